"""Challenger beside champion for the report: what was compared, day by day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from luigi_traffic.training.comparison import Comparison
from luigi_traffic.training.drawn_day import ChampionLines

if TYPE_CHECKING:
    from luigi_traffic.settings.training_keys import PromotionSettings


@dataclass(frozen=True)
class ComparedDays:
    """A comparison with the champion, which is `version`, and its lines on the drawn day."""

    comparison: Comparison
    version: str
    settings: PromotionSettings
    lines: ChampionLines | None = None

    def rows(self) -> list[tuple[str, ...]]:
        """Day, number of targets, both MAEs and the gain of each day, and of all of them."""
        of = self.comparison
        days = zip(of.dates, of.targets, of.challenger, of.champion, strict=True)
        found = [_row(str(day), int(n), ours, theirs) for day, n, ours, theirs in days]
        if len(found) > 1:
            total = int(of.targets.sum())
            found.append(_row("all", total, of.challenger.sum(), of.champion.sum()))
        return found

    def verdict(self) -> str:
        """How sure the gain is, and what is needed; "" if a day or none was compared."""
        of, confidence = self.comparison, self.settings.confidence
        if len(of.targets) < 2:
            return ""
        return (
            f"The gain is {of.gain:.4f}, and at least {of.least_gain(confidence):.4f} with "
            f"{confidence:.3g} confidence. More than {self.settings.margin * of.champion_mae:.4f} "
            f"is needed ({self.settings.margin:.3g} of the error of version {self.version}), on "
            f"{self.settings.min_days} days or more."
        )


def _row(name: str, targets: int, ours: float, theirs: float) -> tuple[str, ...]:
    """`ours` and `theirs` are sums of absolute errors."""
    mine, his = ours / targets, theirs / targets
    return name, f"{targets:,}", f"{mine:.3f}", f"{his:.3f}", f"{his - mine:+.3f}"
