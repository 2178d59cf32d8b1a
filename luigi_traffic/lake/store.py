"""What the lake needs of an object store: any S3, or a folder, can provide it."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from luigi_traffic.lake.attempt import Attempt

_PATTERN_SIGNS = re.compile(r"[][{}*?\\]")


@dataclass(frozen=True)
class ObjectInfo:
    """One object of a listing. `modified` is aware, in UTC."""

    key: str
    size: int
    modified: datetime


@dataclass(frozen=True)
class Sealed:
    """An object that is durable: its size in bytes and "sha256:<hex>" of its content."""

    key: str
    size: int
    checksum: str


class ObjectStore(ABC):
    """Keys are `/`-separated text; an object is written whole or not at all.

    Methods raise `KeyError` for an object that is not there and `StoreError` where the
    store did not answer.
    """

    @abstractmethod
    def create(self, key: str, data: bytes) -> bool:
        """Create the object if its key is free, in one atomic step; False where it is taken.

        This is the only commit of the lake: of any number of callers at once, one gets True.
        """

    @abstractmethod
    def writer(self, key: str) -> AbstractContextManager[IO[bytes]]:
        """A stream into a new object; what it holds at the end of the block is kept.

        An exception inside the block leaves no object.
        """

    @abstractmethod
    def seal(self, key: str) -> Sealed:
        """Make an object durable (others may have written it) and tell size and checksum."""

    @abstractmethod
    def read(self, key: str) -> bytes:
        """A small object whole."""

    @abstractmethod
    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """All objects whose key begins with `prefix`, in the order of their keys."""

    def delete(self, attempt: Attempt, keys: Iterable[str]) -> None:
        """Remove objects of an attempt; one that is not there is no error.

        Raises `ValueError`, and removes nothing, if a key is not one of the attempt's.
        """
        doomed = list(keys)
        for key in doomed:
            if not attempt.holds(key):
                raise ValueError(f"not a key of the attempt {attempt.prefix}: {key!r}")
        self._remove(doomed)

    @abstractmethod
    def _remove(self, keys: Iterable[str]) -> None:
        """Remove these objects. `delete` has made sure whose they are."""

    @abstractmethod
    def spark_url(self, key: str) -> str:
        """The address under which Spark writes that key or prefix."""

    def spark_pattern(self, key: str) -> str:
        """The address under which Spark reads that key: it takes `[`, `{`, `*` and `?` for a
        pattern, so those of the address are escaped."""
        return _PATTERN_SIGNS.sub(r"\\\g<0>", self.spark_url(key))

    def local_path(self, key: str) -> Path | None:
        """The file of that key, None if the store is no folder of this machine."""
        return None

    @abstractmethod
    def describe(self) -> str:
        """Where this store is, for people."""
