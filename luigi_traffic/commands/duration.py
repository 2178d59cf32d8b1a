"""A span of time as it is written on the command line."""

from __future__ import annotations

import re
from datetime import timedelta

from luigi_traffic.errors import SettingsError

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def duration(text: str, option: str, *, zero: bool = False) -> timedelta:
    """`90s`, `10m`, `12h`, `1d`, `2w`; `0s` if `zero` is allowed.

    Raises `SettingsError` that names `option`.
    """
    found = re.fullmatch(r"(\d+)\s*([smhdw])", text.strip())
    if not found or not (zero or int(found[1])):
        raise SettingsError(
            f"{option} {text!r}: expected a number and a unit (s, m, h, d or w), for example 10m"
        )
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
