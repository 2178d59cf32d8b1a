"""Locks on files, for processes of one machine: waited for, but not for ever."""

from __future__ import annotations

import fcntl
from pathlib import Path

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from luigi_traffic.errors import StoreError


def lock(descriptor: int, path: Path, patience_s: float) -> None:
    """Lock the open file `path` for this process until it closes `descriptor`, or dies.

    Raises StoreError if another process holds it for longer than `patience_s`: one that is
    stopped or hangs, since nobody works that long with it.
    """
    retry = Retrying(
        retry=retry_if_exception_type(BlockingIOError),
        stop=stop_after_delay(patience_s),
        wait=wait_exponential(multiplier=0.02, max=0.5),
        reraise=True,
    )
    try:
        retry(fcntl.flock, descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StoreError(
            f"another process has held {path} for {patience_s:g} s: it is stopped, or hangs. "
            f"`fuser {path}` shows it: continue or end it, then run again."
        ) from error
