"""A try of a stage, written down in the warehouse."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from luigi_traffic.errors import TrafficError
from luigi_traffic.warehouse import attempts
from luigi_traffic.warehouse.attempts import Work
from luigi_traffic.warehouse.connection import Warehouse

logger = logging.getLogger("luigi_traffic")


@dataclass
class Outcome:
    """What the work says of itself when it is done."""

    message: str = ""
    rows: int | None = None


@contextmanager
def attempt(
    warehouse: Warehouse, work: Work, on_failure: Callable[[str], None]
) -> Iterator[Outcome]:
    """Write down the work of the block, and how it ends; an error of the block is raised again.

    `on_failure` gets a line that names the attempt.
    """
    with warehouse.connect() as connection:
        number = attempts.begin(connection, work)
    outcome = Outcome()
    try:
        yield outcome
    except BaseException as error:
        said = str(error) if isinstance(error, TrafficError) else f"{type(error).__name__}: {error}"
        how = attempts.FAILED if isinstance(error, Exception) else attempts.STOPPED
        on_failure(f"{how}: {said} (luigi-traffic attempts --dataset {work.dataset}, {number})")
        try:
            with warehouse.connect() as connection:
                attempts.end(connection, number, how, said, None)
        except TrafficError as unwritten:  # the warehouse itself may be what failed
            logger.warning("the attempt %d is not written down as %s: %s", number, how, unwritten)
        raise
    with warehouse.connect() as connection:
        attempts.end(connection, number, attempts.DONE, outcome.message, outcome.rows)
