"""What a person sees on the terminal: our own lines, and errors without a traceback."""

from __future__ import annotations

import logging

from luigi_traffic.errors import TrafficError

#: How a traceback begins its last line where the error is ours.
_OWN = f"\n{TrafficError.__module__}."
_CHATTER = ("Informed scheduler", "Checking if ", "Asking scheduler", "Pending tasks:",
            "There are no more tasks", "Running Worker", "Done", "[pid %s] Worker %s",
            "Worker ")  # fmt: skip


class PlainErrors(logging.Filter):
    """Our own errors are written for people: one message, no traceback, no repeat of the cause.

    Anything else keeps its traceback: it is a defect, and its reader a programmer.
    """

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: D102
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if isinstance(error, TrafficError):
            record.exc_info = record.exc_text = None
            record.levelno, record.levelname = logging.ERROR, "ERROR"
            # Luigi's own message ends with the task that failed.
            task = f"{record.args[-1]}: " if isinstance(record.args, tuple) and record.args else ""
            record.msg, record.args = f"{task}{error.__class__.__name__}: {error}", None
            return True
        if told := _own_error(record):
            record.levelno, record.levelname = logging.ERROR, "ERROR"
            record.msg, record.args = told, None
            return True
        return record.levelno >= logging.WARNING or not str(record.msg).startswith(_CHATTER)


def _own_error(record: logging.LogRecord) -> str:
    """Our error out of a traceback that Luigi has put into its message as text."""
    text = str(record.msg)
    return text.rpartition(_OWN)[2].strip() if "Traceback" in text and _OWN in text else ""


def set_up() -> None:
    """Send our log to where Luigi's goes, and keep both readable. Safe to call twice."""
    luigi_log = logging.getLogger("luigi-interface")
    if not any(isinstance(f, PlainErrors) for f in luigi_log.filters):
        luigi_log.addFilter(PlainErrors())
    ours = logging.getLogger("luigi_traffic")
    if not ours.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
        ours.addHandler(handler)
        ours.setLevel(logging.INFO)
        ours.propagate = False
