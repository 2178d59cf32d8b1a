"""A stream into an upload: one thread writes, one sends, in flat memory."""

from __future__ import annotations

import io
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

log = logging.getLogger(__name__)

#: One part of a multipart upload. S3 wants 5 MiB at least and takes 10,000 parts.
PART_BYTES = 16 << 20
_BLOCK = 1 << 20


class Abandoned(Exception):
    """What has been sent is to be dropped: the block that wrote has failed."""


class Pipe(io.RawIOBase):
    """Bytes from the thread that writes to the one that reads, `capacity` of them at most.

    A queue of our own and no `os.pipe`: a child that another thread forks would inherit the
    pipe's ends and keep the reader waiting for an end of file.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._blocks: deque[bytes] = deque()
        self._held = 0
        self._ended = self._abandoned = False
        self._changed = threading.Condition()
        #: What ended the reader.
        self.error: BaseException | None = None
        #: Bytes so far.
        self.written = 0

    def writable(self) -> bool:  # noqa: D102
        return True

    def write(self, data: Any) -> int:
        """Take a part of the data, once there is room. Raises what ended the reader."""
        block = bytes(memoryview(data)[:_BLOCK])
        with self._changed:
            self._changed.wait_for(
                lambda: self._held < self._capacity or self.error or self._abandoned
            )
            if self._abandoned:  # a buffer that is flushed when it is dropped
                return len(block)
            self.check()
            self._blocks.append(block)
            self._held += len(block)
            self.written += len(block)
            self._changed.notify_all()
        return len(block)

    def read(self, size: int = -1) -> bytes:
        """`size` bytes, fewer only at the end. Raises `Abandoned`."""
        if size < 0:
            raise ValueError("all of a stream that is still written: say how many bytes")
        taken: list[bytes] = []
        missing = size
        with self._changed:
            while missing:
                self._changed.wait_for(lambda: self._blocks or self._ended or self._abandoned)
                if self._abandoned:
                    raise Abandoned
                if not self._blocks:
                    break
                block = self._blocks.popleft()
                if len(block) > missing:
                    self._blocks.appendleft(block[missing:])
                    block = block[:missing]
                taken.append(block)
                missing -= len(block)
                self._held -= len(block)
                self._changed.notify_all()
        return b"".join(taken)

    def end(self) -> None:
        """All is written."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def abandon(self) -> None:
        """Nothing of it is wanted any more."""
        with self._changed:
            self._abandoned = True
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """The reader has stopped."""
        with self._changed:
            self.error = error
            self._changed.notify_all()

    def check(self) -> None:
        """Raises what ended the reader, if anything did."""
        if self.error is not None:
            raise self.error


@contextmanager
def uploading(send: Callable[[Pipe], None], name: str) -> Iterator[IO[bytes]]:
    """A stream whose bytes `send` reads in a thread until they end; waits for it at the end.

    An exception inside the block makes `send` see `Abandoned`. What `send` raises is raised
    by the block's next write, and at the block's end.
    """
    pipe = Pipe(capacity=PART_BYTES)

    def run() -> None:
        try:
            send(pipe)
        except BaseException as e:  # noqa: BLE001  # it is raised where the block writes
            pipe.fail(e)

    thread = threading.Thread(target=run, name=f"upload {name}", daemon=True)
    thread.start()
    try:
        file = io.BufferedWriter(pipe, _BLOCK)
        yield file
        file.flush()
    except BaseException as error:
        pipe.abandon()
        thread.join()
        if not isinstance(pipe.error, Abandoned) and pipe.error is not error:
            log.warning(
                "Parts of %s stay in the store until `luigi-traffic gc`: %s", name, pipe.error
            )
        raise
    pipe.end()
    thread.join()
    pipe.check()
