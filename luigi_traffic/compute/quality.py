"""Counts and checks of a partition, and what they must be before it is committed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from luigi_traffic.api import functions as F
from luigi_traffic.api.columns import MEASURES
from luigi_traffic.api.dataset import NO_OBSERVATION, Check
from luigi_traffic.api.scope import Outside, Scope
from luigi_traffic.compute.spans import second_of_day
from luigi_traffic.errors import DataError

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_LONGEST_EXAMPLE = 120
_EXAMPLES = 5


#: The column that says whether the link filter keeps a row, see `Engine.marked`.
KEPT = "lt_kept"
#: How manifests name lines that were left out.
OUTSIDE, NO_LINK = "outside the link filter", "without a link id"
_NOTHING_OUTSIDE = Outside()


@dataclass(frozen=True)
class BronzeCounts:
    """What bronze wrote: all rows, the rejected ones by reason, one example a reason; and the lines
    that its scope left out."""

    rows: int
    rejected: dict[str, int]
    examples: dict[str, str]
    outside: Outside = _NOTHING_OUTSIDE

    @property
    def rows_good(self) -> int:
        """All other rows."""
        return self.rows - self.rows_rejected

    @property
    def rows_rejected(self) -> int:
        """All rejected rows."""
        return sum(self.rejected.values())

    @property
    def rows_bad(self) -> int:
        """Those of them that were no rows of "no observation"."""
        return self.rows_rejected - self.rejected.get(NO_OBSERVATION, 0)


def bronze_aggregates(reasons: Iterable[str]) -> dict[str, Column]:
    """The counts of bronze, for `bronze_counts`."""
    reason = F.col("reject_reason")
    wanted = {"rows": F.count(F.lit(1)), "rejected": F.count(reason)}
    for number, name in enumerate(reasons):
        wanted[f"n{number}"] = F.count_if(reason == name)
        line = F.when(reason == name, F.substring("raw_line", 1, _LONGEST_EXAMPLE))
        wanted[f"example{number}"] = F.min(line)
    return wanted


def bronze_counts(
    found: Mapping[str, Any], reasons: Iterable[str], outside: Outside = _NOTHING_OUTSIDE
) -> BronzeCounts:
    """What the aggregates of bronze say."""
    rejected: dict[str, int] = {}
    examples: dict[str, str] = {}
    for number, name in enumerate(reasons):
        if found[f"n{number}"]:
            rejected[name] = found[f"n{number}"]
            examples[name] = found[f"example{number}"] or ""
    if other := found["rejected"] - sum(rejected.values()):
        rejected["other"] = other
    return BronzeCounts(found["rows"], rejected, examples, outside)


def left_out(outside: Outside) -> dict[str, int]:
    """Lines outside the scope, as the manifest names them."""
    named = {OUTSIDE: outside.other_links, NO_LINK: outside.no_link}
    return {name: count for name, count in named.items() if count}


def judge_bronze(
    counts: BronzeCounts,
    lines: int,
    most_rejected: float,
    *,
    scope: Scope | None = None,
    known_links: Callable[[], str] = lambda: "others",
) -> None:
    """Raise `DataError` where rows were lost or too many were rejected.

    Of a scope, its own rows are judged, and apart from them the lines without any link id.
    """
    outside = counts.outside
    kept = lines - outside.lines
    if counts.rows != kept:
        raise DataError(
            f"bronze made {counts.rows:,} rows of {kept:,} lines: the dataset plugin must return "
            "exactly one row for each line"
        )
    if outside.no_link > most_rejected * lines:
        raise DataError(
            f"{outside.no_link:,} of {lines:,} lines ({outside.no_link / lines:.1%}) have no link "
            f"id, more than max_rejected_share = {most_rejected:.1%} allows. Set scope to all to "
            "see what is wrong with them"
        )
    if scope and lines and not kept:
        raise DataError(_no_line(f"the {lines:,} lines", scope.links, known_links()))
    bad = counts.rows_bad
    if kept and bad / kept > most_rejected:
        shown = "".join(
            f"\n  {n:,} x {reason}, for example: {counts.examples.get(reason, '')!r}"
            for reason, n in sorted(counts.rejected.items(), key=lambda item: -item[1])
        )
        raise DataError(
            f"{bad:,} of {kept:,} rows ({bad / kept:.1%}) are rejected, more than "
            f"max_rejected_share = {most_rejected:.1%} allows:{shown}"
        )


@dataclass(frozen=True)
class SilverCounts:
    """What silver read and wrote. rows_in = rows_out + merged + outside."""

    rows_in: int
    rows_out: int
    observations: int
    outside: int
    first: str | None
    last: str | None
    checks: dict[str, Any]
    #: Links of the filter that have no good row; none is named if there is no good row at all.
    missing_links: tuple[str, ...] = ()

    @property
    def merged(self) -> int:
        """Rows averaged into another row of the same link and interval."""
        return self.observations - self.rows_out


def input_aggregates(links: Sequence[str]) -> dict[str, Column]:
    """The counts of the good rows of bronze before the link filter is applied.

    With a filter also which of its links have a row; the engine has `marked` the rows as `KEPT`.
    """
    kept = F.col(KEPT) if links else F.lit(True)
    wanted = {"rows": F.count(F.lit(1)), "outside": F.count_if(~kept)}
    if links:  # at most as many as the filter has
        wanted["links"] = F.collect_set(F.when(kept, F.col("link_id")))
    return wanted


def link_range(frame: DataFrame) -> str:
    """Which links a frame has, in words. The engine reads the frame for it."""
    link = F.col("link_id")
    (found,) = frame.agg(
        F.min(link).alias("first"), F.max(link).alias("last"),
        F.approx_count_distinct(link).alias("count"),
    ).collect()  # fmt: skip
    return f"about {found['count']:,}, for example {found['first']!r} and {found['last']!r}"


def silver_aggregates(
    columns: Sequence[str], day: date, interval: timedelta, checks: Sequence[Check]
) -> dict[str, Column]:
    """The counts of silver, what lies off its grid, and the dataset's checks."""
    seconds = int(interval.total_seconds())
    time = F.col("timestamp")
    on_grid = F.in_day(time, day) & (second_of_day(time) % seconds == 0)
    nothing = F.lit(True)
    for measure in (name for name in MEASURES if name in columns):
        nothing = nothing & (F.col(measure).isNull() | F.isnan(measure))
    whole = F.coalesce(on_grid, F.lit(False)) & F.col("link_id").isNotNull()
    wanted = {
        "rows": F.count(F.lit(1)),
        "observations": F.coalesce(F.sum("n_obs"), F.lit(0)).cast("bigint"),
        "off_grid": F.count_if(~whole),
        "nothing": F.count_if(nothing),
        "first": F.min(time).cast("string"),
        "last": F.max(time).cast("string"),
    }
    return wanted | {f"check{n}": c.aggregate.cast("double") for n, c in enumerate(checks)}


def judge_silver(
    read: Mapping[str, Any],
    found: Mapping[str, Any],
    rows_good: int,
    checks: list[Check],
    *,
    links: Sequence[str] = (),
    min_rows: int = 0,
    known_links: Callable[[], str] = lambda: "others",
) -> SilverCounts:
    """The counts of silver; raises `DataError` where a promise of the contract is broken.

    A day without one good row is empty, and no fault unless `min_rows` or a check says so. Good
    rows that all lie outside the filter `links` are one: `known_links` says which links there are.
    """
    if links and read["rows"] and read["outside"] == read["rows"]:
        raise DataError(_no_line(f"the {read['rows']:,} good rows", links, known_links()))
    seen = set(read["links"] or ()) if links and read["rows"] else set(links)
    counts = SilverCounts(
        rows_in=read["rows"],
        rows_out=found["rows"],
        observations=found["observations"],
        outside=read["outside"],
        first=found["first"],
        last=found["last"],
        checks={check.name: found[f"check{n}"] for n, check in enumerate(checks)},
        missing_links=tuple(sorted(set(links) - seen)),
    )
    broken = [why for c in checks if (why := c.fails(counts.checks[c.name]))]
    if counts.rows_out < min_rows:
        broken.append(f"{counts.rows_out:,} rows, fewer than min_rows = {min_rows:,}")
    if counts.rows_in != rows_good:
        broken.append(
            f"silver read {counts.rows_in:,} rows; bronze committed {rows_good:,} good ones"
        )
    if counts.observations + counts.outside != counts.rows_in:
        broken.append(
            f"rows are not conserved: {counts.rows_in:,} in, but n_obs sums to "
            f"{counts.observations:,} and {counts.outside:,} are outside the link filter"
        )
    if found["off_grid"]:
        broken.append(
            f"{found['off_grid']:,} rows are not on the day's time grid or have no link_id"
        )
    if found["nothing"]:
        broken.append(
            f"{found['nothing']:,} rows have no value of any measure: remove such rows from silver"
        )
    if broken:
        raise DataError("silver does not contain what it must:\n  " + "\n  ".join(broken))
    return counts


def _no_line(what: str, links: Sequence[str], known_links: str) -> str:
    return (
        f"none of {what} belongs to the {len(links):,} links of the setting `links`, for example "
        f"{min(links)!r}. The file has other links: {known_links}. If they were renumbered, "
        "correct the setting `links`; an empty list keeps all"
    )


def empty_reason(rejected: Mapping[str, int]) -> str:
    """Why a day has no good row, in words."""
    said = ", ".join(f"{n:,} x {reason}" for reason, n in sorted(rejected.items()))
    return f"empty: no good row ({said or 'no row at all'})"


def missing_links(missing: Sequence[str], links: Sequence[str]) -> str:
    """Which links of the filter have no good row, in words."""
    shown = ", ".join(missing[:_EXAMPLES]) + (", …" if len(missing) > _EXAMPLES else "")
    return f"{len(missing):,} of the {len(set(links)):,} links of `links` have no good row: {shown}"
