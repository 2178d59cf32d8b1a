"""Small S3 servers for tests, each in a process of its own, and a proxy that makes faults."""

from __future__ import annotations

import http.client
import ipaddress
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
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

    port: int
    faults: list[Fault] = field(default_factory=list)
    seen: list[tuple[str, str, object]] = field(default_factory=list)
    #: Access key and session token of each request.
    keys: list[tuple[str, str | None]] = field(default_factory=list)
    connections: int = 0
    ending: threading.Event = field(default_factory=threading.Event)
    _guard: threading.Lock = field(default_factory=threading.Lock)

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


@contextmanager
def proxy(upstream: int, certificate: Path | None = None) -> Iterator[Proxy]:
    """A proxy before the server at port `upstream`; it keeps connections open.

    With a certificate (PEM, its key in the same file) it speaks TLS.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    made = Proxy(server.server_address[1])
    _Handler.places[made.port] = (made, upstream)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.ending.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    places: dict[int, tuple[Proxy, int]] = {}

    @property
    def place(self) -> tuple[Proxy, int]:
        host_and_port: Any = self.server.server_address
        return self.places[host_and_port[1]]

    def setup(self) -> None:
        super().setup()
        self.place[0].connections += 1

    def _pass(self) -> None:
        proxy, upstream = self.place
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        key = self.headers.get("Authorization", "").partition("Credential=")[2].partition("/")[0]
        proxy.keys.append((key, self.headers.get("X-Amz-Security-Token")))
        fault = proxy.fault(self.command, self.path)
        if fault and fault.answer:
            status, text = fault.answer
            proxy.seen.append((self.command, self.path, status))
            kind = "application/xml" if text.startswith("<") else "text/plain"
            headers = {"Content-Type": kind} | ({"Date": fault.date} if fault.date else {})
            self._answer(status, headers, text.encode(), len(text))
            return
        if fault and fault.how in ("drop", "hang"):
            proxy.seen.append((self.command, self.path, fault.how))
            if fault.how == "hang":
                proxy.ending.wait(60)
            self._hang_up()
            return
        connection = http.client.HTTPConnection("127.0.0.1", upstream, timeout=60)
        connection.request(self.command, self.path, body, dict(self.headers))
        response = connection.getresponse()
        content = response.read()
        connection.close()
        proxy.seen.append((self.command, self.path, fault.how if fault else response.status))
        if fault and fault.how == "lose":
            self._hang_up()
            return
        headers = {
            name: value for name, value in response.getheaders()
            if name.lower() not in ("connection", "content-length", "transfer-encoding")
        }  # fmt: skip
        size = int(response.headers.get("Content-Length", len(content)))
        if fault and fault.how == "cut":
            self._answer(response.status, headers, content[: size // 2], size)
            self._hang_up()
            return
        self._answer(response.status, headers, content, size)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass

    def _answer(self, status: int, headers: dict[str, str], content: bytes, size: int) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        self.wfile.write(content)

    def _hang_up(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        pass


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
