"""Small S3 servers for tests, each in a process of its own, and a proxy that makes faults."""

from __future__ import annotations

import http.client
import ipaddress
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from http_server import Answer, HttpServer, Request, Wire, http_server
from minio import Minio

from luigi_traffic.processes.postgres.postmaster import free_port
from luigi_traffic.settings.keys import LakeSettings

BUCKET = "test-lake"
ACCESS_KEY = "test-access-key"
SECRET_KEY = "test-secret-key-5e0c"

# One request at a time: moto looks for a key and writes it in two steps. Bodies are read to their
# end: an answer before that, and the end of the connection, could reset it under the answer.
_MOTO = """
import io, sys
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
moto = DomainDispatcherApplication(create_backend_app)
def app(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    return moto(environ | {"wsgi.input": io.BytesIO(body)}, start_response)
make_server("127.0.0.1", int(sys.argv[1]), app).serve_forever()
"""


def lake_at(port: int, **changes: object) -> LakeSettings:
    """Settings of the test's bucket on a port of this machine."""
    values: dict[str, object] = {
        "kind": "s3", "endpoint": f"http://127.0.0.1:{port}", "bucket": BUCKET,
        "access_key": ACCESS_KEY, "secret_key": SECRET_KEY,
    }  # fmt: skip
    return LakeSettings.model_validate(values | changes)


@contextmanager
def moto(folder: Path) -> Iterator[int]:
    """The port of a server that honours `If-None-Match` and takes any key; it has the bucket."""
    port = free_port()
    with _running([sys.executable, "-c", _MOTO, str(port)], folder / "moto.log", port):
        yield port


@contextmanager
def nanio(folder: Path) -> Iterator[int]:
    """The port of a server that ignores `If-None-Match` and checks keys; it has the bucket."""
    port = free_port()
    command = [sys.executable, "-m", "nanio", "serve", "--host", "127.0.0.1", "--port", str(port)]
    environment = {"NANIO_ACCESS_KEY": ACCESS_KEY, "NANIO_SECRET_KEY": SECRET_KEY}
    command += ["--data-dir", str(folder / "nanio")]
    with _running(command, folder / "nanio.log", port, **environment):
        yield port


@contextmanager
def _running(command: list[str], log: Path, port: int, **environment: str) -> Iterator[None]:
    with log.open("wb") as output, subprocess.Popen(
        command, stdout=output, stderr=output, env=os.environ | environment
    ) as process:  # fmt: skip
        try:
            for _ in range(600):
                assert process.poll() is None, log.read_text()
                with socket.socket() as client:
                    if client.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            Minio(
                f"127.0.0.1:{port}", ACCESS_KEY, SECRET_KEY, secure=False, region="us-east-1"
            ).make_bucket(BUCKET)
            yield
        finally:
            process.kill()


@dataclass
class Fault:
    """What the proxy does, `times` times, to requests of that method whose path has `part`.

    `drop`: nothing is passed on nor answered. `lose`: passed on, not answered. `cut`: half the
    content is answered. `hang`: the same as `drop`, when the proxy ends. `answer`: nothing is
    passed on, that status and XML (or text) are answered.
    """

    method: str
    part: str = ""
    how: str = "drop"
    times: int = 1
    answer: tuple[int, str] | None = None
    date: str | None = None


def error(code: str, message: str = "on purpose") -> str:
    """An error as S3 tells it."""
    return f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"


@dataclass
class Proxy:
    """A proxy before an S3 server: `seen` are (method, path with query, status or fault)."""

    upstream: int
    faults: list[Fault] = field(default_factory=list)
    seen: list[tuple[str, str, object]] = field(default_factory=list)
    #: Access key and session token of each request.
    keys: list[tuple[str, str | None]] = field(default_factory=list)
    ending: threading.Event = field(default_factory=threading.Event)
    web: HttpServer = field(init=False)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    @property
    def port(self) -> int:
        return self.web.port

    def fault(self, method: str, path: str) -> Fault | None:
        """The fault that is this request's."""
        with self._guard:
            for fault in self.faults:
                if fault.times and fault.method == method and fault.part in path:
                    fault.times -= 1
                    return fault
        return None

    def count(self, method: str, part: str = "") -> int:
        """Requests of that method whose path has `part`."""
        return sum(m == method and part in path for m, path, _ in self.seen)

    def answer(self, asked: Request) -> Answer | Wire:
        """What the server answers, or what a fault makes of it."""
        key = asked.headers.get("Authorization", "").partition("Credential=")[2].partition("/")[0]
        self.keys.append((key, asked.headers.get("X-Amz-Security-Token")))
        fault = self.fault(asked.method, asked.path)
        if fault and fault.answer:
            status, text = fault.answer
            self.seen.append((asked.method, asked.path, status))
            kind = "application/xml" if text.startswith("<") else "text/plain"
            headers = {"Content-Type": kind} | ({"Date": fault.date} if fault.date else {})
            return Answer(text, status, headers)
        if fault and fault.how in ("drop", "hang"):
            self.seen.append((asked.method, asked.path, fault.how))
            if fault.how == "hang":
                self.ending.wait(60)
            return Wire()
        status, headers, content = self._pass_on(asked)
        self.seen.append((asked.method, asked.path, fault.how if fault else status))
        if fault and fault.how == "lose":
            return Wire()
        size = int(headers.pop("Content-Length", len(content)))
        end = size // 2 if fault and fault.how == "cut" else size
        return Answer(content[:end], status, headers, size)

    def _pass_on(self, asked: Request) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=60)
        connection.request(asked.method, asked.path, asked.body, dict(asked.headers))
        response = connection.getresponse()
        content = response.read()
        connection.close()
        left_out = ("connection", "transfer-encoding")
        headers = {n: v for n, v in response.getheaders() if n.lower() not in left_out}
        return response.status, headers, content


@contextmanager
def proxy(upstream: int, certificate: Path | None = None) -> Iterator[Proxy]:
    """A proxy before the server at port `upstream`; with a certificate it speaks TLS."""
    made = Proxy(upstream)
    with http_server(made.answer, certificate) as made.web:
        try:
            yield made
        finally:
            made.ending.set()


def self_signed(path: Path) -> Path:
    """A certificate of 127.0.0.1 with its key, and its own CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, path.stem)])
    now = datetime.now(UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(certificate.public_bytes(Encoding.PEM) + private)
    return path
