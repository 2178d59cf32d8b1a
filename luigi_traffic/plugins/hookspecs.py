"""pluggy markers, and every hook of luigi_traffic. One page each in `docs/hooks/`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from luigi_traffic.api.dataset import Dataset
    from luigi_traffic.api.model import Model

PROJECT = "luigi_traffic"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def luigi_traffic_datasets() -> Sequence[type[Dataset]]:  # type: ignore[empty-body]
    """Dataset classes this plugin provides."""


@hookspec
def luigi_traffic_models() -> Sequence[type[Model]]:  # type: ignore[empty-body]
    """Model classes this plugin provides."""


@hookspec
def luigi_traffic_commands() -> Sequence[Any]:  # type: ignore[empty-body]
    """Command functions that this plugin adds to `luigi-traffic`."""
