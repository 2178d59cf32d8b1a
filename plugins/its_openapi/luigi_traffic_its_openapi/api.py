"""Questions to the ITS OpenAPI and what comes of the answers. The key is shown nowhere."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus

import requests
from pydantic import SecretStr

from luigi_traffic import SourceError, TransientError
from luigi_traffic_its_openapi.settings import KEY_VARIABLE, Area

#: What a link says: linkId, speed, travelTime, createdDate, startNodeId, endNodeId, …: all text.
Item = dict[str, Any]

MAX_BYTES = 256 << 20
_CHUNK = 1 << 20
_SHOWN = 100
_TRY_AGAIN = {408, 425, 429}


class Refused(SourceError):
    """The service said no: a wrong key, a spent quota, a parameter. Asking again is no use."""


@dataclass(frozen=True)
class Page:
    """One answer: its items, and how many there are of the area in all pages."""

    items: list[Item]
    total: int


@dataclass(frozen=True)
class Api:
    """The service at `url`, asked with `key`."""

    url: str
    key: SecretStr
    timeout: float

    def items(self, area: Area) -> list[Item]:
        """What is known now of all links of an area, page by page.

        Raises `Refused` for a wrong key, `TransientError` where asking again may help (a
        timeout, a 5xx, pages that changed while they were read), `SourceError` for an answer
        that is not what the service documents.
        """
        first = page = self._page(area)
        found, number, seen = list(first.items), 1, _links(first)
        while len(found) < first.total:
            if not page.items:
                raise SourceError(
                    f"{self.url}: page {number} of area {list(area)} is empty, but only "
                    f"{len(found):,} of {first.total:,} items came before it"
                )
            number += 1
            page = self._page(area, pageNo=number, numOfRows=len(first.items))
            links = _links(page)
            if links and links == _links(first):
                raise SourceError(
                    f"{self.url}: page {number} of area {list(area)} is page 1 again, so the "
                    f"service returns no more than {len(first.items):,} of {first.total:,} items. "
                    "Set smaller areas (datasets.its_openapi.areas)"
                )
            if page.total != first.total or links & seen:
                raise TransientError(
                    f"{self.url}: area {list(area)} changed while its pages were read"
                )
            found += page.items
            seen |= links
        return found

    def _page(self, area: Area, **paging: int) -> Page:
        min_x, max_x, min_y, max_y = area
        parameters: dict[str, str | float] = {
            "apiKey": self.key.get_secret_value(), "type": "all", "drcType": "all",
            "minX": min_x, "maxX": max_x, "minY": min_y, "maxY": max_y, "getType": "json",
            **paging,
        }  # fmt: skip
        try:
            # A redirect would carry the key to another address.
            with _address_not_logged(), requests.get(
                self.url, params=parameters, timeout=(10, self.timeout), stream=True,
                allow_redirects=False,
            ) as answer:  # fmt: skip
                self._judge(answer.status_code, answer.reason)
                return self._parsed(self._body(answer))
        except requests.RequestException as e:
            # `from None`: what requests says holds the whole address.
            raise TransientError(f"{self.url}: {_reason(e)}") from None

    def _judge(self, status: int, reason: str) -> None:
        said = f"{self.url} answered {status} {reason}"
        if status >= 500 or status in _TRY_AGAIN:
            raise TransientError(said)
        if status in (401, 403):
            raise Refused(f"{said}: is the key in {KEY_VARIABLE} right, and approved?")
        if status != 200:
            raise SourceError(f"{said}, expected 200")

    def _body(self, answer: requests.Response) -> bytes:
        body = bytearray()
        for chunk in answer.iter_content(_CHUNK):
            body += chunk
            if len(body) > MAX_BYTES:
                raise SourceError(f"{self.url} sent more than {MAX_BYTES >> 20} MiB for one area")
        return bytes(body)

    def _parsed(self, body: bytes) -> Page:
        try:
            answer = json.loads(body)
        except ValueError:
            raise self._strange(body) from None
        header = answer.get("header") if isinstance(answer, dict) else None
        if not isinstance(header, dict) or "resultCode" not in header:
            raise SourceError(f"{self.url} answered without header.resultCode: {self._shown(body)}")
        code = str(header["resultCode"]).strip()
        if not code or code.strip("0"):
            said = self._without_key(str(header.get("resultMsg", "")))
            raise Refused(
                f"{self.url} refused: resultCode {code!r}, {said!r}. Is the key in {KEY_VARIABLE} "
                "right, and approved? Keys are handed out at www.its.go.kr/opendata"
            )
        content = answer.get("body")
        total = _whole_number(content.get("totalCount")) if isinstance(content, dict) else None
        if not isinstance(content, dict) or total is None:
            raise SourceError(f"{self.url} answered without body.totalCount: {self._shown(body)}")
        items = content.get("items") or []
        if isinstance(items, dict):  # a list of one
            items = [items]
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise SourceError(
                f"{self.url}: body.items is not a list of objects: {self._shown(body)}"
            )
        return Page(items, total)

    def _strange(self, body: bytes) -> SourceError:
        start = body.lstrip()[:_SHOWN].lower()
        kind = "something else"
        if start.startswith((b"<!doctype html", b"<html")):
            kind = "an HTML page (maintenance, or a proxy's)"
        elif start.startswith(b"<"):
            kind = "XML (its answer to the demonstration key `test`)"
        elif start.startswith(b"{"):
            kind = "JSON that is damaged"
        elif not start:
            kind = "nothing"
        return SourceError(
            f"{self.url} answered 200 with {kind}, expected JSON: {self._shown(body)}"
        )

    def _shown(self, body: bytes) -> str:
        # The key first: cut in two, it would not be found.
        text = self._without_key(body[: 16 * _SHOWN].decode("utf-8", "replace"))
        return repr(text[:_SHOWN] + "…" if len(text) > _SHOWN else text)

    def _without_key(self, text: str) -> str:
        key = self.key.get_secret_value()
        for form in (key, quote(key, safe=""), quote_plus(key)):
            text = text.replace(form, "********")
        return text


@contextmanager
def _address_not_logged() -> Iterator[None]:
    """At level DEBUG urllib3 logs the address with all its parameters, the key among them."""
    chatter = logging.getLogger("urllib3.connectionpool")
    level = chatter.level
    chatter.setLevel(logging.INFO)
    try:
        yield
    finally:
        chatter.setLevel(level)


def _links(page: Page) -> set[str]:
    return {str(item.get("linkId")) for item in page.items}


def _whole_number(value: object) -> int | None:
    text = str(value).strip()
    return int(text) if text.isdecimal() else None


def _reason(error: Exception) -> str:
    """What went wrong, without the address that requests puts into its messages."""
    inner = error.args[0] if error.args else None
    return str(getattr(inner, "reason", None) or error.__class__.__name__)
