"""From a question to an answer: the dataset, its state as ETag, kept answers, the next page."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

from fastapi import Request, Response

from luigi_traffic.api.version import __version__
from luigi_traffic.commands.serve import formats, roads
from luigi_traffic.commands.serve.asked import Asked, Format
from luigi_traffic.commands.serve.catalog import Catalog, Found
from luigi_traffic.commands.serve.figures import Figures
from luigi_traffic.commands.serve.kept import Kept
from luigi_traffic.commands.serve.page import Page
from luigi_traffic.commands.serve.problem import Problem
from luigi_traffic.settings.serve_keys import ServeSettings

Q = TypeVar("Q", bound=Asked)
#: What the answers to a question are made by.
Maker = Callable[[Catalog, Found, Q, int], Page]


@dataclass(frozen=True)
class Answer:
    """A body, and where its next page begins."""

    body: bytes
    next: str | None


@dataclass(frozen=True)
class Service:
    """What the routes work with."""

    catalog: Catalog
    settings: ServeSettings
    answers: Kept[Answer]
    figures: Figures


def answer(
    request: Request, asked: Q, make: Maker[Q],
    known: Sequence[Format] = ("json", "geojson", "csv", "arrow"),
) -> Response:  # fmt: skip
    """The answer of that moment, or 304 if the client has it.

    Raises `Problem` for a question that has no answer.
    """
    service: Service = request.app.state.service
    refuse_repeated(request)
    format = formats.chosen(asked.format, request.headers.get("accept"), known)
    limit = min(asked.limit or service.settings.default_rows, service.settings.max_rows)
    found = service.catalog.find(asked.dataset)
    path = request.url.path
    tag = _tag(__version__, path, found.name, found.token, format, limit, asked)
    headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Accept"}
    if _matches(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)

    def made() -> Answer:
        service.figures.made()
        page = make(service.catalog, found, asked, limit)

        def geometries(ids: Sequence[str]) -> dict[str, bytes]:
            return roads.geometries(service.catalog, found, ids, page.on)

        return Answer(formats.rendered(page, format, geometries), page.next)

    kept = service.answers.made(tag, made)
    if kept.next is not None:
        headers["Link"] = f'<{path}?{_query(request, kept.next)}>; rel="next"'
    return Response(kept.body, media_type=formats.MEDIA[format], headers=headers)


def refuse_repeated(request: Request) -> None:
    """Raise `Problem` 422 if a parameter comes twice: one of its values would be ignored."""
    names = [name for name, _ in request.query_params.multi_items()]
    for name in names:
        if names.count(name) > 1:
            raise Problem(422, f"{name}: give it once.")


def _query(request: Request, after: str) -> str:
    given = {name: value for name, value in request.query_params.items() if name != "after"}
    return urlencode({**given, "after": after})


def _tag(*of: Any) -> str:
    """Weak: an answer of the same state has the same rows, whatever its bytes."""
    return f'W/"{hashlib.blake2b(repr(of).encode(), digest_size=16).hexdigest()}"'


def _matches(given: str | None, tag: str) -> bool:
    if given is None:
        return False
    tags = [one.strip().removeprefix("W/") for one in given.split(",")]
    return "*" in tags or tag.removeprefix("W/") in tags
