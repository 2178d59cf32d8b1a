"""An HTTP server for tests: a function says what it answers, and it keeps what it was asked.

`with http_server(Answer("{}", status=503)) as web:` runs one on loopback: its address is `web.url`,
and `web.paths` are what clients asked for.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass(frozen=True)
class Request:
    """What a client asked; `path` has the query."""

    method: str
    path: str
    headers: Message
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What the server sends; text is sent as UTF-8, and no body to HEAD.

    `size` is the length that is announced, by default the body's. With a larger one the body
    breaks off: the connection ends behind it.
    """

    body: bytes | str = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    size: int | None = None
    chunked: bool = False


@dataclass(frozen=True)
class Wire:
    """An answer of exactly these bytes, after which the connection ends. Empty: it hangs up."""

    data: bytes = b""


#: What a request is answered. It may wait, and it may raise nothing.
Answers = Callable[[Request], Answer | Wire]


@dataclass
class HttpServer:
    """A server that runs; `answers` may be set anew at any time."""

    answers: Answers
    port: int
    asked: list[Request] = field(default_factory=list)
    connections: int = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.asked]

    def answer(self, *answers: Answer | Wire) -> None:
        """Give these from now on, one a request, and the last one for ever."""
        self.answers = in_turn(*answers)


def in_turn(*answers: Answer | Wire) -> Answers:
    """One answer a request, and the last one for ever."""
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


@contextmanager
def http_server(
    answers: Answers | Answer | Wire, certificate: Path | None = None
) -> Iterator[HttpServer]:
    """Run a server while the block runs; it speaks HTTP/1.1 and keeps connections open.

    With a certificate (PEM, its key in the same file) it speaks TLS.
    """

    class Handler(_Handler):
        pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    made = HttpServer(answers if callable(answers) else in_turn(answers), server.server_port)
    Handler.made = made
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    made: HttpServer

    def setup(self) -> None:
        super().setup()
        self.made.connections += 1

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = Request(self.command, self.path, self.headers, body)
        self.made.asked.append(request)
        answer = self.made.answers(request)
        with suppress(ConnectionError):  # a client that has seen enough has gone
            if isinstance(answer, Wire):
                self.wfile.write(answer.data)
                self.close_connection = True
            else:
                self._send(answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _answer

    def _send(self, answer: Answer) -> None:
        body = answer.body.encode() if isinstance(answer.body, str) else answer.body
        size = len(body) if answer.size is None else answer.size
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.chunked:
            self.send_header("Transfer-Encoding", "chunked")
            pieces = [body[at : at + 1000] for at in range(0, len(body), 1000)] + [b""]
            body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
        else:
            self.send_header("Content-Length", str(size))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
            if not answer.chunked and size > len(body):
                self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass
