"""What a source says now: for datasets that can be asked again and again during a day."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path


class LiveSource(ABC):
    """The present of a dataset, poll by poll.

    An answer is kept in files, and when a day is over, the dataset's `source()` gives the lines of
    the same files: so what is live and the day's own partition are made of the same rows.
    """

    @abstractmethod
    def claimed(self) -> AbstractContextManager[bool]:
        """Whether this process is the one that polls, for as long as the block runs.

        False if another one does: what that one keeps is there for this one to read.
        """

    @abstractmethod
    def poll(self) -> str:
        """Ask once, keep the answer durably, and return a line for people.

        Raises `TransientError` or `SourceError` if there is no answer; nothing is kept then.
        """

    @abstractmethod
    def kept(self, day: date) -> Sequence[Path]:
        """The files that are kept of that day so far, the oldest first.

        Text in UTF-8 without a header, a line a row, each ended by LF. A file is there as a whole
        or not at all, never changes, and its name is its own among those of its day.
        """
