"""Errors a person is meant to read: what is wrong, where, and what to do.

Transient and terminal are separate classes, so that nobody matches strings to
decide on a retry.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class TrafficError(Exception):
    """Base of every error this framework raises on purpose.

    Logged as one message without a traceback (see `luigi_traffic.logs`).
    """


class TransientError(TrafficError):
    """Trying again may help: a timeout, a 5xx answer, a server that restarts."""


class TerminalError(TrafficError):
    """Trying again will not help until somebody changes something."""


class SettingsError(TerminalError):
    """A setting is missing, unknown or of the wrong type."""


class PluginError(TerminalError):
    """A plugin is missing, broken, or returned what its contract does not allow."""


class SourceError(TerminalError):
    """The source answered, but not with what it promised (HTML, a truncated archive)."""


class SourceAbsent(TerminalError):
    """The source has nothing for that day (404); see the setting `missing_days`."""


class DayNotOver(TerminalError):
    """The day is not over in the dataset's zone, or has not settled: it may be asked for later."""


class DataError(TerminalError):
    """The data breaks its contract (columns, day, encoding, too many rejected rows)."""


class DamageError(TransientError):
    """What was committed is lost or altered. It is marked: the next run makes it anew."""


class StoreError(TransientError):
    """The lake, the warehouse, the event log or the tracking store does not answer, or is full."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`" Did you mean 'x'?"` for the nearest known word, or the list of known ones."""
    names = sorted(known)
    near = get_close_matches(word, names, n=1, cutoff=0.5)
    if near:
        return f" Did you mean {near[0]!r}?"
    return f" Known: {', '.join(names)}." if names else ""
