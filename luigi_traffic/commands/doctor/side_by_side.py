"""Checks of servers at the same time, so that one that does not answer holds up no other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future

from luigi_traffic.commands.doctor.finding import PROBLEM, Finding

#: More than a server of ours ever takes that is well.
DEADLINE_S = 20.0
Named = tuple[str, Callable[[], Finding]]


def together(checks: Sequence[Named]) -> Iterator[tuple[str, Finding]]:
    """What each check finds, in their order; a problem where it has found nothing in 20 s."""
    # Not an executor: the end of the command would wait for a check that hangs.
    asked = [(name, _begin(check)) for name, check in checks]
    deadline = time.monotonic() + DEADLINE_S
    for name, future in asked:
        try:
            yield name, future.result(max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            yield (
                name,
                Finding(
                    f"no answer within {DEADLINE_S:.0f} s",
                    PROBLEM,
                    "The server accepts connections but does not answer: see its log, or restart "
                    "it.",
                ),
            )


def _begin(check: Callable[[], Finding]) -> Future[Finding]:
    future: Future[Finding] = Future()

    def run() -> None:
        try:
            future.set_result(check())
        except BaseException as e:  # noqa: BLE001 - raised where the result is asked for
            future.set_exception(e)

    threading.Thread(target=run, daemon=True).start()
    return future
