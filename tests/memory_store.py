"""An object store in memory, for tests that make thousands of objects."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BytesIO
from typing import IO

from luigi_traffic.lake.store import ObjectInfo, ObjectStore, Sealed


class MemoryStore(ObjectStore):
    """`requests` counts calls by their names."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, datetime]] = {}
        self.requests: dict[str, int] = {}

    def _count(self, name: str) -> None:
        self.requests[name] = self.requests.get(name, 0) + 1

    def _put(self, key: str, data: bytes) -> None:
        self.objects[key] = data, datetime.now(UTC)

    def create(self, key: str, data: bytes) -> bool:
        self._count("create")
        if key in self.objects:
            return False
        self._put(key, data)
        return True

    @contextmanager
    def writer(self, key: str) -> Iterator[IO[bytes]]:
        self._count("write")
        file = BytesIO()
        yield file
        self._put(key, file.getvalue())

    def seal(self, key: str) -> Sealed:
        data = self.objects[key][0]
        return Sealed(key, len(data), f"sha256:{hashlib.sha256(data).hexdigest()}")

    def read(self, key: str) -> bytes:
        self._count("read")
        return self.objects[key][0]

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        self._count("list")
        for key in sorted(k for k in self.objects if k.startswith(prefix)):
            data, modified = self.objects[key]
            yield ObjectInfo(key, len(data), modified)

    def _remove(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.objects.pop(key, None)

    def spark_url(self, key: str) -> str:
        return f"memory:{key}"

    def describe(self) -> str:
        return "memory"
