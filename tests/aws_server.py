"""A small server that plays AWS's part in giving roles."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

JWT = "the-jwt-of-this-pod"
ROLE = "arn:aws:iam::123456789012:role/lake"


@dataclass
class Aws:
    """STS, a container's credentials and EC2's metadata. `asked` are method, address and body."""

    server: ThreadingHTTPServer
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    #: How long the keys of an answer are good, and what it is instead.
    lasts: timedelta = timedelta(hours=1)
    answer: tuple[int, str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def content(self, method: str, path: str) -> str:
        key = f"key-{len(self.asked)}"
        end = f"{datetime.now(UTC) + self.lasts:%Y-%m-%dT%H:%M:%SZ}"
        if path.endswith("/latest/api/token"):
            return "the-imds-token"
        if path.endswith("security-credentials/"):
            return "lake-role"
        if method == "GET":
            return json.dumps({"AccessKeyId": key, "SecretAccessKey": "s", "Token": f"token-{key}",
                               "Expiration": end})  # fmt: skip
        return (
            '<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
            f"<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{key}</AccessKeyId>"
            f"<SecretAccessKey>s</SecretAccessKey><SessionToken>token-{key}</SessionToken>"
            f"<Expiration>{end}</Expiration></Credentials></AssumeRoleWithWebIdentityResult>"
            "</AssumeRoleWithWebIdentityResponse>"
        )


@contextmanager
def aws() -> Iterator[Aws]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            made.asked.append((self.command, self.path, body))
            made.headers.append(dict(self.headers))
            status, text = made.answer or (200, made.content(self.command, self.path))
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = do_PUT = answer

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = Aws(server)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield made
        server.shutdown()
