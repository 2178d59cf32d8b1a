from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from luigi_traffic.commands import logs
from luigi_traffic.errors import SourceAbsent


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """A logger as Luigi's is after `set_up`, and what it prints."""
    logger, out = logging.getLogger("test_logs"), io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logger.addHandler(handler)
    logger.addFilter(logs.PlainErrors())
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    yield logger, out
    logger.handlers.clear()
    logger.filters.clear()


def test_our_errors_are_one_message_with_the_task_and_no_traceback(log) -> None:
    logger, out = log
    try:
        try:
            raise KeyError("the cause")
        except KeyError as cause:
            raise SourceAbsent("no file of 2012-03-28") from cause
    except SourceAbsent:
        logger.exception("[pid %s] Worker %s failed    %s", 1, "w", "IngestRaw(2012-03-28)")
    assert out.getvalue() == "ERROR: IngestRaw(2012-03-28): SourceAbsent: no file of 2012-03-28\n"


def test_other_errors_keep_their_traceback(log) -> None:
    logger, out = log
    try:
        raise ZeroDivisionError("a defect")
    except ZeroDivisionError:
        logger.exception("failed")
    assert "Traceback" in out.getvalue()
    assert "ZeroDivisionError: a defect" in out.getvalue()


def test_our_error_in_a_traceback_that_is_text(log) -> None:
    logger, out = log
    logger.error(
        "Luigi unexpected framework error:\n%s" % "Traceback (most recent call last):\n"  # noqa: UP031
        '  File "x"\nluigi_traffic.errors.SettingsError: unknown setting\n  looked in: a\n'
    )
    assert out.getvalue() == "ERROR: SettingsError: unknown setting\n  looked in: a\n"


def test_luigis_chatter_is_silent_and_its_warnings_are_not(log) -> None:
    logger, out = log
    logger.info("Informed scheduler that task %s has status %s", "x", "DONE")
    logger.debug("Checking if %s is complete", "x")
    logger.info("Done scheduling tasks")
    assert out.getvalue() == ""
    logger.warning("Checking if this is loud")
    logger.info("===== Luigi Execution Summary =====")
    assert out.getvalue().splitlines() == [
        "WARNING: Checking if this is loud",
        "INFO: ===== Luigi Execution Summary =====",
    ]


def test_set_up_twice_is_set_up_once() -> None:
    for _ in range(2):
        logs.set_up()
    filters = logging.getLogger("luigi-interface").filters
    assert sum(isinstance(f, logs.PlainErrors) for f in filters) == 1
    # pytest hangs its own on loggers that do not propagate.
    ours = logging.getLogger("luigi_traffic").handlers
    assert sum(type(handler) is logging.StreamHandler for handler in ours) == 1
