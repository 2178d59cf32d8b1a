"""pluggy markers: `@hookimpl` in a plugin, `@hookspec` in the core."""

from __future__ import annotations

import pluggy

PROJECT = "luigi_traffic"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
