"""The simulated present over HTTP, in the format of the ITS OpenAPI, with outages on demand."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from luigi_traffic_its_sim.service import Item, Service, last_slot

PATH = "/trafficInfo"
#: The key that is refused; any other is right.
WRONG_KEY = "wrong"
#: Items of a page at most: a town of more links has several.
MOST_ROWS = 10_000
_AREA = ("minX", "maxX", "minY", "maxY")
_LOOK_EVERY = 0.1
#: What the service answers to a request that it does not like: resultCode and resultMsg.
_BAD_PARAMETER, _NO_PARAMETER, _UNKNOWN_KEY = (
    (10, "INVALID_REQUEST_PARAMETER_ERROR"),
    (11, "NO_MANDATORY_REQUEST_PARAMETERS_ERROR"),
    (30, "SERVICE_KEY_IS_NOT_REGISTERED_ERROR"),
)


@dataclass(frozen=True)
class Span:
    """From `begin` to before `end`, both aware."""

    begin: datetime
    end: datetime

    def __contains__(self, at: datetime) -> bool:
        return self.begin <= at < self.end


class Pages:
    """Answers of the service as JSON. Each page is made once for each slot."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._lock = threading.Lock()
        self._slot: tuple[date, int] | None = None
        self._items: list[Item] = []
        self._made: dict[tuple[int, int], bytes] = {}

    def answer(self, query: Mapping[str, str], at: datetime) -> bytes:
        """What a request with these parameters is answered at that moment (aware)."""
        if query.get("apiKey", "").strip() in ("", WRONG_KEY):
            return _json(*_UNKNOWN_KEY)
        if any(name not in query for name in _AREA):
            return _json(*_NO_PARAMETER)
        try:
            for name in _AREA:
                float(query[name])
            number, rows = int(query.get("pageNo", 1)), int(query.get("numOfRows", MOST_ROWS))
        except ValueError:
            return _json(*_BAD_PARAMETER)
        if number < 1 or rows < 1:
            return _json(*_BAD_PARAMETER)
        return self._page(number, min(rows, MOST_ROWS), at)

    def _page(self, number: int, rows: int, at: datetime) -> bytes:
        slot = last_slot(at)
        with self._lock:
            if slot != self._slot:
                self._items, self._slot, self._made = self._service.items(at), slot, {}
            page = self._made.get((number, rows))
            if page is None:
                shown = self._items[(number - 1) * rows : number * rows]
                body = {"totalCount": len(self._items), "items": shown}
                page = self._made[number, rows] = _json(0, "success", body=body)
            return page


def _json(code: int, message: str, **more: object) -> bytes:
    answer = {"header": {"resultCode": code, "resultMsg": message}, **more}
    return json.dumps(answer, separators=(",", ":")).encode()


@dataclass
class Conduct:
    """How the server behaves: by which clock (aware), and when it fails.

    In an outage it answers 503. In a hang it takes requests, answers nothing, and breaks the
    connections at the end.
    """

    now: Callable[[], datetime]
    outages: Sequence[Span] = ()
    hangs: Sequence[Span] = ()
    verbose: bool = False
    ended: threading.Event = field(default_factory=threading.Event)

    def hangs_up(self) -> bool:
        """Wait until no hang is on; whether there was one."""
        waited = False
        while any(self.now() in span for span in self.hangs) and not self.ended.is_set():
            waited = True
            self.ended.wait(_LOOK_EVERY)
        return waited


class Server(ThreadingHTTPServer):
    """On loopback only. Port 0: a free one. Raises OSError if the port cannot be had."""

    def __init__(self, port: int, pages: Pages, conduct: Conduct) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.pages, self.conduct = pages, conduct

    @property
    def url(self) -> str:
        """The address of the service."""
        return f"http://127.0.0.1:{self.server_port}{PATH}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        """Answer, or fail as it is time for."""
        conduct = self.server.conduct
        if conduct.hangs_up():
            self.close_connection = True
            return
        at, address = conduct.now(), urlsplit(self.path)
        status, body = 200, b""
        if any(at in span for span in conduct.outages):
            status = 503
        elif address.path != PATH:
            status = 404
        else:
            body = self.server.pages.answer(dict(parse_qsl(address.query)), at)
        with suppress(ConnectionError):  # a client that does not wait any longer
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """A line without the address: that has the key."""
        self.log_message("%s", getattr(code, "value", code))

    def log_message(self, format: str, *words: Any) -> None:
        """Only if it is asked for, with the time of the clock."""
        if self.server.conduct.verbose:
            at = self.server.conduct.now()
            sys.stderr.write(f"{at:%Y-%m-%d %H:%M:%S} {format % words}\n")
