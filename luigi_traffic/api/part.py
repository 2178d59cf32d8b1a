"""What came of a download that broke off, kept on disk so that the next try fetches only the rest.

Two files in a scratch folder, named by a hash of the URL: `part-<hash>` has the first bytes of the
file, `part-<hash>.json` what the server said of it. `luigi-traffic gc` removes forgotten ones.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from luigi_traffic.errors import TransientError

if TYPE_CHECKING:
    import requests

log = logging.getLogger("luigi_traffic")

CHUNK_BYTES = 1 << 20
#: RFC 7232: a file may change twice in the second of its Last-Modified.
_SETTLED_SECONDS = 60
_BOOT = Path("/proc/sys/kernel/random/boot_id")

Said = Mapping[str, str | int]


class Part:
    """The first bytes of one file. Only one process at a time has it: `opened_part`."""

    def __init__(self, path: Path, file: IO[bytes], boot: str) -> None:
        self._path, self._beside = path, path.with_name(f"{path.name}.json")
        self._file: IO[bytes] | None = file
        self._boot = boot
        self._validator: str | None = None
        #: What the server said of the file.
        self.said: Said = {}
        #: Bytes that need not be fetched.
        self.bytes = 0
        with suppress(OSError, ValueError, KeyError, TypeError):
            self._read()

    def _read(self) -> None:
        kept: dict[str, Any] = json.loads(self._beside.read_bytes())
        # What a machine wrote before it lost power may be there in part.
        if kept["boot"] != self._boot:
            return
        self.said, self._validator = dict(kept["said"]), str(kept["validator"])
        # The last byte is asked for in any case: the answer says whether the file is still this.
        self.bytes = min(self._path.stat().st_size, self.length - 1)

    @property
    def length(self) -> int:
        """Bytes of the whole file."""
        return int(self.said["length"])

    @property
    def headers(self) -> dict[str, str]:
        """What asks for the rest, or for the whole if the file has changed; nothing without one."""
        if not self.bytes or self._validator is None:
            return {}
        return {"Range": f"bytes={self.bytes}-", "If-Range": self._validator}

    def continues(self, answer: requests.Response) -> bool:
        """Whether an answer is the rest of this very file."""
        headers = answer.headers
        etag = headers.get("ETag", self.said.get("etag"))
        return (
            answer.status_code == 206
            and headers.get("Content-Range")
            == f"bytes {self.bytes}-{self.length - 1}/{self.length}"
            and etag == self.said.get("etag")
            and "Content-Encoding" not in headers
        )

    def start(self, said: Said, headers: Mapping[str, str]) -> bool:
        """Begin anew with a file that the server says this of; False if it cannot be continued.

        That takes a length of more than one chunk, bytes without a coding, and a validator that
        changes with every byte.
        """
        self.bytes, self._validator = 0, _validator(headers)
        length = headers.get("Content-Length", "")
        long = length.isdecimal() and int(length) > CHUNK_BYTES
        if self._validator is None or not long or "Content-Encoding" in headers:
            self.remove()
            return False
        self.said = said
        body = {"validator": self._validator, "said": dict(said), "boot": self._boot}
        try:
            if self._file:
                self._file.truncate(0)
            self._beside.write_text(json.dumps(body))
        except OSError as e:
            self._give_up(e)
        return self._file is not None

    def read(self) -> Iterator[bytes]:
        """The bytes that are kept, and nothing that was written behind them."""
        if self._file and self.bytes:
            left = self.bytes
            self._file.seek(0)
            while left and (chunk := self._file.read(min(CHUNK_BYTES, left))):
                left -= len(chunk)
                yield chunk
            self._file.truncate(self.bytes)

    def add(self, chunk: bytes) -> None:
        """Keep the bytes that come next."""
        if self._file:
            try:
                self._file.write(chunk)
            except OSError as e:
                self._give_up(e)

    def _give_up(self, error: OSError) -> None:
        log.warning(
            "The download goes on, but it could not be resumed: writing %s failed: %s",
            self._path, error.strerror,
        )  # fmt: skip
        self.remove()

    def remove(self) -> None:
        """All has come, or it is of no use."""
        if self._file:
            self._path.unlink(missing_ok=True)
            self._beside.unlink(missing_ok=True)
            self._file.close()
            self._file = None


@contextmanager
def opened_part(folder: Path | None, url: str) -> Iterator[Part | None]:
    """The part of that URL; None without a folder, or while another process has it."""
    boot = _BOOT.read_text() if _BOOT.exists() else None
    if folder is None or boot is None:
        yield None
        return
    path = folder / f"part-{hashlib.sha256(url.encode()).hexdigest()[:32]}"
    # Unbuffered: what is written outlives a process that is killed.
    with path.open("a+b", buffering=0) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        part = Part(path, file, boot)
        try:
            yield part
        except TransientError:
            raise
        except Exception:  # something is wrong with the bytes, and it may be with those here
            part.remove()
            raise
        finally:
            if not file.closed and not os.fstat(file.fileno()).st_size:
                part.remove()


def _validator(headers: Mapping[str, str]) -> str | None:
    """The strong validator of RFC 9110 for If-Range, None if there is none."""
    etag = headers.get("ETag")
    if etag is not None:
        return None if etag.startswith("W/") else etag
    with suppress(KeyError, ValueError, TypeError):
        changed = parsedate_to_datetime(headers["Last-Modified"])
        age = parsedate_to_datetime(headers["Date"]) - changed
        if age.total_seconds() >= _SETTLED_SECONDS:
            return headers["Last-Modified"]
    return None
