"""Settings of a dataset or model that nobody provides: a slip in the name, most often."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from luigi_traffic.errors import did_you_mean
from luigi_traffic.plugins.isolation import Found
from luigi_traffic.settings.reading import Layers

#: `its_simm` is a slip for `its_sim`; `its` and `its_sim` are two names.
_NEAR = 0.8


@dataclass(frozen=True)
class Stray:
    """A section that has no effect."""

    key: str
    told: str
    #: The provided name that it is a slip for, None if none is near.
    meant: str | None
    #: A plugin that is disabled or did not load may provide it: no mistake then.
    excused: bool


def strays(
    kind: str, given: Iterable[str], known: Collection[str], found: Sequence[Found], layers: Layers
) -> list[Stray]:
    """The sections among `given` that none of `known` is, by name; `kind` is dataset or model."""
    unloaded = [plugin for plugin in found if plugin.problem or plugin.disabled]
    # A dataset that a file declares wrongly, or that is disabled, is told by that.
    declared = {plugin.name for plugin in unloaded if plugin.version == "declared"}
    others = [p for p in unloaded if p.version != "declared"]
    return [
        _stray(kind, name, known, others, layers) for name in sorted({*given} - {*known} - declared)
    ]


def _stray(
    kind: str, name: str, known: Collection[str], unloaded: Sequence[Found], layers: Layers
) -> Stray:
    key = f"{kind}s.{name}"
    told = (
        f"unknown setting {key!r}, set in {layers.place_of(key)}: no plugin provides the {kind} "
        f"{name!r}, so it has no effect.{did_you_mean(name, known)}"
    )
    for plugin in unloaded:
        why = "is disabled" if plugin.disabled else "did not load"
        told += f" It may belong to {plugin}, which {why}."
    near = get_close_matches(name, known, n=1, cutoff=_NEAR)
    return Stray(key, told, near[0] if near else None, bool(unloaded))
