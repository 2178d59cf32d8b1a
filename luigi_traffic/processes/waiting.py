"""Asking again until something holds, for a limited time."""

from __future__ import annotations

from collections.abc import Callable
from operator import not_

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed


def until(holds: Callable[[], bool], seconds: float, pause_s: float) -> bool:
    """Ask every `pause_s` seconds, and once at least; False if it did not hold in `seconds`."""
    retry = Retrying(
        retry=retry_if_result(not_),
        stop=stop_after_delay(seconds),
        wait=wait_fixed(pause_s),
        retry_error_callback=lambda _: False,
    )
    return retry(holds)
