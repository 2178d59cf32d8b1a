"""SIGTERM and Ctrl-C as a wish that a loop looks at, so that it ends at a place it knows."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stop_signal() -> Iterator[threading.Event]:
    """An event that SIGTERM or SIGINT sets, for as long as the block runs.

    Main thread only. The handlers of before come back at the end.
    """
    wanted = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        wanted.set()

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield wanted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
