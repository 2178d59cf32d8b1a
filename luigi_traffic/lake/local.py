"""A folder as object store. Commits are `link(2)`: it fails where the name exists."""

from __future__ import annotations

import errno
import hashlib
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from io import BufferedReader
from pathlib import Path
from typing import IO

from luigi_traffic.errors import SettingsError, StoreError
from luigi_traffic.lake.store import ObjectInfo, ObjectStore, Sealed

_TEMPORARY = ".tmp-"


class LocalStore(ObjectStore):
    """Objects are files below `root`; temporary files start with `.tmp-` and are never listed."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def _path(self, key: str) -> Path:
        if key.startswith("/") or ".." in key.split("/"):
            raise ValueError(f"not a key of the lake: {key!r}")
        return self.root / key

    @contextmanager
    def _temporary(self, path: Path) -> Iterator[Path]:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise SettingsError(
                f"the lake folder {self.root} cannot be written: {e.strerror} ({e.filename}). Set "
                "lake.path to a folder that can be written."
            ) from e
        temporary = path.parent / f"{_TEMPORARY}{uuid.uuid4().hex}"
        try:
            yield temporary
        except OSError as e:
            if e.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StoreError(f"no space left in {self.root}: {e.strerror}") from e
            raise
        finally:
            temporary.unlink(missing_ok=True)

    def create(self, key: str, data: bytes) -> bool:  # noqa: D102
        path = self._path(key)
        with self._temporary(path) as temporary:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(temporary, path)
            except FileExistsError:
                return False
            _sync_folder(path.parent)
        return True

    @contextmanager
    def writer(self, key: str) -> Iterator[IO[bytes]]:  # noqa: D102
        path = self._path(key)
        with self._temporary(path) as temporary:
            with temporary.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(path)
            _sync_folder(path.parent)

    def seal(self, key: str) -> Sealed:  # noqa: D102
        with self._open(key) as file:
            digest = hashlib.file_digest(file, "sha256")
            os.fsync(file.fileno())
            return Sealed(key, file.tell(), f"sha256:{digest.hexdigest()}")

    def read(self, key: str) -> bytes:  # noqa: D102
        with self._open(key) as file:
            return file.read()

    def _open(self, key: str) -> BufferedReader:
        try:
            return self._path(key).open("rb")
        except FileNotFoundError:
            raise KeyError(key) from None

    def list(self, prefix: str) -> Iterator[ObjectInfo]:  # noqa: D102
        folder, root = str(self._path(prefix.rpartition("/")[0])), str(self.root)
        # Text and no Path: a listing of years is ten thousand files.
        paths = {
            path[len(root) + 1 :].replace(os.sep, "/"): path
            for base, _, names in os.walk(folder)
            for name in names
            if not name.startswith(_TEMPORARY)
            for path in [os.path.join(base, name)]  # noqa: PTH118
        }
        # Not the order of the walk: "a.txt" comes before "a/b".
        for key in sorted(k for k in paths if k.startswith(prefix)):
            with suppress(FileNotFoundError):  # deleted since it was listed
                info = os.stat(paths[key])  # noqa: PTH116
                modified = datetime.fromtimestamp(info.st_mtime, UTC)
                yield ObjectInfo(key, info.st_size, modified)

    def _remove(self, keys: Iterable[str]) -> None:
        for key in keys:
            path = self._path(key)
            path.unlink(missing_ok=True)
            # Spark leaves a hidden checksum file beside each of its files.
            (path.parent / f".{path.name}.crc").unlink(missing_ok=True)
            # Only the attempt's own folder: one further up may just be getting a new child.
            with suppress(OSError):  # not empty yet, or gone
                path.parent.rmdir()

    def spark_url(self, key: str) -> str:  # noqa: D102
        # Not Path.as_uri(), which percent-encodes: Spark takes the text as it is.
        return f"file://{self._path(key).absolute()}"

    def local_path(self, key: str) -> Path:  # noqa: D102
        return self._path(key).absolute()

    def describe(self) -> str:  # noqa: D102
        return str(self.root)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
