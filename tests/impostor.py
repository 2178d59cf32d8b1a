"""Somebody who listens where a PostgreSQL server was, and asks for the password in clear."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_SSL_REQUEST = 80877103
_CLEARTEXT_PASSWORD = b"R" + struct.pack("!ii", 8, 3)


@contextmanager
def impostor(port: int) -> Iterator[list[bytes]]:
    """What it was sent after it had asked, while it listens on loopback."""
    heard: list[bytes] = []
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", port))
        server.listen()
        listener = threading.Thread(target=_serve, args=(server, heard))
        listener.start()
        try:
            yield heard
        finally:
            server.shutdown(socket.SHUT_RDWR)
            listener.join(10)


def _serve(server: socket.socket, heard: list[bytes]) -> None:
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        with client, contextlib.suppress(OSError):
            client.settimeout(5)
            length, code = struct.unpack("!ii", client.recv(8))
            if code == _SSL_REQUEST:
                client.sendall(b"N")
                length, _ = struct.unpack("!ii", client.recv(8))
            client.recv(length - 8)
            client.sendall(_CLEARTEXT_PASSWORD)
            heard.append(client.recv(1024))
