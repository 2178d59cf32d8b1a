"""Plugins: the hooks, finding and checking who implements them, and calling them safely."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """`plugins`, which models that were registered before this was a package import from here."""
    if name != "plugins":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from luigi_traffic.project import current

    return lambda: current().plugins
