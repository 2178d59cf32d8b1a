"""What every request passes before it is looked at, and every answer on its way out."""

from __future__ import annotations

import hashlib
import hmac
import logging
import math
import threading
import time
from collections import OrderedDict

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from luigi_traffic.commands.serve.figures import Figures
from luigi_traffic.commands.serve.formats import json
from luigi_traffic.commands.serve.problem import Problem

logger = logging.getLogger("luigi_traffic")

#: Longest path with its parameters, and how many clients are told apart.
_LONGEST, _CLIENTS = 8_000, 10_000
#: For these no token is needed: a probe asks, and a browser fetches the page before it has one.
_OPEN = ("/health", "/", "/favicon.ico")
_OPEN_BELOW = "/static/"
#: Names by which a server on loopback is asked. A page of another site that lets its own name lead
#: to 127.0.0.1 (DNS rebinding) is not answered.
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_HEADERS = [
    (
        b"content-security-policy",
        b"default-src 'self'; worker-src 'self' blob:; img-src 'self' data: blob:; "
        b"connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]


class Buckets:
    """A token bucket for each client: `rate` requests a second, and `burst` of them at once."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate, self._burst = rate, burst
        self._guard = threading.Lock()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str) -> float:
        """Take a token; 0, or the seconds until there is one."""
        now = time.monotonic()
        with self._guard:
            left, since = self._left.pop(client, (float(self._burst), now))
            left = min(self._burst, left + (now - since) * self._rate)
            wait = 0.0 if left >= 1 else (1 - left) / self._rate
            self._left[client] = left - 1 if left >= 1 else left, now
            if len(self._left) > _CLIENTS:
                self._left.popitem(last=False)
        return wait


class Gate:
    """Rate, size, host and token; then headers, a line of log and figures for every answer."""

    def __init__(
        self, app: ASGIApp, buckets: Buckets, token: str | None, figures: Figures, access_log: bool
    ) -> None:
        self._app, self._buckets, self._figures = app, buckets, figures
        self._digest = hashlib.sha256(token.encode()).digest() if token else None
        self._access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI calls it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def answered(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        try:
            if (problem := self._refusal(scope)) is not None:
                await _send(problem, answered)
            else:
                await self._app(scope, receive, answered)
        finally:
            self._note(scope, status, time.perf_counter() - began)

    def _refusal(self, scope: Scope) -> Problem | None:
        client = (scope.get("client") or ("", 0))[0]
        if wait := self._buckets.wait(client):
            seconds = math.ceil(wait)
            return Problem(429, f"Too many requests: try again in {seconds} s.", seconds)
        if len(scope["path"]) + len(scope["query_string"]) > _LONGEST:
            return Problem(414, f"The address is longer than {_LONGEST:,} bytes.")
        headers = dict(scope["headers"])
        if self._digest is None:
            host = headers.get(b"host", b"").decode("latin-1")
            name = host if host.endswith("]") else host.rpartition(":")[0] or host
            if name not in _LOOPBACK:
                return Problem(400, "Without a token, only 127.0.0.1 and localhost are answered.")
            return None
        if scope["path"] in _OPEN or scope["path"].startswith(_OPEN_BELOW):
            return None
        scheme, _, given = headers.get(b"authorization", b"").strip().partition(b" ")
        digest = hashlib.sha256(given.strip()).digest()
        if scheme.lower() != b"bearer" or not hmac.compare_digest(digest, self._digest):
            return Problem(401, "A token is needed: send the header Authorization: Bearer …")
        return None

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        # Of a known resource: others would make a figure each.
        resource = getattr(scope.get("route"), "path", "other")
        self._figures.request(resource, status, seconds)
        if self._access_log:
            asked = scope.get("raw_path", b"") + b"?" + scope["query_string"]
            logger.info(
                "serve: %s %s %s %d %.1f ms", (scope.get("client") or ("-", 0))[0],
                scope["method"], asked.rstrip(b"?").decode("ascii", "backslashreplace"), status,
                seconds * 1000,
            )  # fmt: skip


async def _send(problem: Problem, send: Send) -> None:
    headers = {**problem.headers, "Content-Type": "application/json"}
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    body = json({"detail": problem.detail})
    start = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    start.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": problem.status, "headers": start})
    await send({"type": "http.response.body", "body": body})
