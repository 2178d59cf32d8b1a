"""What is kept in memory: values up to a total weight, and values for a time."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")
#: So many values may be made at once, unless two keys fall together.
_TURNS = 64


class Kept(Generic[T]):
    """Values by key, of a total weight; those not asked for the longest go first. For many threads.

    `weigh` is the weight of a value; without it, each has one.
    """

    def __init__(self, most: int, weigh: Callable[[T], int] = lambda _: 1) -> None:
        self._most, self._weigh, self._weight = most, weigh, 0
        self._making = [threading.RLock() for _ in range(_TURNS)]
        self._values: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()
        self._guard = threading.Lock()

    def get(self, key: Hashable) -> T | None:
        """The value, None if it is not kept."""
        with self._guard:
            found = self._values.get(key)
            if found is None:
                return None
            self._values.move_to_end(key)
            return found[0]

    def put(self, key: Hashable, value: T) -> None:
        """Keep a value, unless it is heavier than a quarter of all that may be kept."""
        weight = self._weigh(value)
        if 4 * weight > self._most:
            return
        with self._guard:
            if (before := self._values.pop(key, None)) is not None:
                self._weight -= before[1]
            self._values[key] = value, weight
            self._weight += weight
            while self._weight > self._most:
                _, (_, gone) = self._values.popitem(last=False)
                self._weight -= gone

    def made(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value, which `make` gives if it is not kept.

        Who asks for it meanwhile waits: after a tick, all clients ask the same.
        """
        with self._making[hash(key) % _TURNS]:
            found = self.get(key)
            if found is None:
                found = make()
                self.put(key, found)
            return found


class Recent(Generic[T]):
    """A value that is made anew after `seconds`, by one thread; the others get the one before."""

    def __init__(self, make: Callable[[], T], seconds: float) -> None:
        self._make, self._seconds = make, seconds
        self._guard = threading.Lock()
        self._found: tuple[float, T] | None = None

    def get(self) -> T:
        """The value. Raises what `make` raises; then the next one tries again."""
        found = self._found
        if found is not None and time.monotonic() < found[0]:
            return found[1]
        if found is not None and not self._guard.acquire(blocking=False):
            return found[1]
        if found is None:
            self._guard.acquire()
        try:
            if found is None and self._found is not None:
                return self._found[1]  # made while we waited
            try:
                value = self._make()
            except BaseException:
                self._found = None
                raise
            self._found = time.monotonic() + self._seconds, value
            return value
        finally:
            self._guard.release()
