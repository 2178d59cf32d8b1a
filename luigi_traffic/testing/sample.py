"""One day of a dataset as the suites see it: taken in by the core's ingest, collected once."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from luigi_traffic.api import functions as F
from luigi_traffic.api.dataset import Dataset, RawDay
from luigi_traffic.api.source import Source, Stream
from luigi_traffic.errors import SettingsError
from luigi_traffic.ingest.download import Ingested, ingest
from luigi_traffic.lake.catalog import Catalog
from luigi_traffic.lake.local import LocalStore
from luigi_traffic.settings.keys import IngestSettings
from luigi_traffic.targets.stage_settings import dataset_for

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from luigi_traffic.testing.dataset_suite import DatasetSuite

#: Columns of bronze that say nothing of the observation.
VERDICT = ("reject_reason", "raw_line")
DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class Table:
    """A collected frame: Spark types by column, and the rows."""

    types: dict[str, str]
    rows: list[dict[str, Any]]

    @property
    def good(self) -> list[dict[str, Any]]:
        """Rows of bronze that are not rejected."""
        return [row for row in self.rows if row["reject_reason"] is None]

    @property
    def rejected(self) -> list[dict[str, Any]]:
        """Rows of bronze that are."""
        return [row for row in self.rows if row["reject_reason"] is not None]


class Sample:
    """The suite's dataset and day. What takes a source or Spark is made when asked for, once."""

    def __init__(
        self, suite: DatasetSuite, folder: Path, spark: Callable[[], SparkSession]
    ) -> None:
        self.suite, self.folder, self._spark = suite, folder, spark
        self._files = 0
        #: The files by the address that Spark has for them.
        self.files: dict[str, Path] = {}
        self._views: dict[str, Dataset] = {}

    @property
    def spark(self) -> SparkSession:
        """The session of this process."""
        return self._spark()

    @cached_property
    def dataset(self) -> Dataset:
        """The dataset with the suite's settings."""
        return self.suite.make_dataset(self.folder)

    def declared(self) -> Dataset:
        """The dataset of the file that `yaml` names, or a failure that says what is wrong in it."""
        try:
            return self.dataset
        except SettingsError as e:
            pytest.fail(str(e), pytrace=False)

    def dataset_for(self, stage: str) -> Dataset:
        """The dataset as that stage of the pipeline reads it."""
        if stage not in self._views:
            self._views[stage] = dataset_for(self.dataset, stage)
        return self._views[stage]

    # Raw

    def take(self, into: str) -> Ingested:
        """The day through the core's ingest, from `text()` where the suite has one."""
        dataset: Any = self.dataset_for("raw")
        if (text := self.suite.text()) is not None:
            dataset = _Given(dataset, text)
        store = LocalStore(self.folder / into)
        return ingest(
            dataset, self.suite.day, Catalog(store), IngestSettings(attempts=2, settle_seconds=0),
            self.folder / "spool", lambda *_: None,
        )  # fmt: skip

    @cached_property
    def taken(self) -> Ingested:
        """The whole day in a lake of its own."""
        found = self.take("lake")
        if not found.lines:
            pytest.fail(
                f"the source sent no data row for {self.suite.day}: set `day` of the suite to a "
                "day that the source has"
            )
        return found

    @cached_property
    def lines(self) -> list[str]:
        """The data lines of the day; of a large day every second, third, … of them."""
        every = -(-self.taken.lines // self.suite.most_lines)
        root, found, number = self.folder / "lake", [], 0
        for file in self.taken.files:
            with gzip.open(root / file.key, "rt", encoding="utf-8", newline="\n") as text:
                for line in text:
                    if number % every == 0:
                        found.append(line.removesuffix("\n"))
                    number += 1
        return found

    @cached_property
    def raw(self) -> RawDay:
        """What bronze reads: the ingested pieces, or the lines that were drawn from a large day."""
        if len(self.lines) < self.taken.lines:
            return self.raw_of(self.lines)
        store = LocalStore(self.folder / "lake")
        paths = tuple(self._address(store, file.key) for file in self.taken.files)
        taken = self.taken
        return RawDay(self.suite.day, paths, taken.header, taken.first_line, taken.lines)

    def raw_of(
        self,
        lines: Sequence[str],
        *,
        header: str | None = "",
        parts: int = 1,
        end: str = "\n",
    ) -> RawDay:
        """A day of other lines, in `parts` files; `header` is the day's own where it is ""."""
        paths = []
        for part in range(parts):
            self._files += 1
            path = self.folder / f"text-{self._files}.csv"
            text = "".join(line + end for line in lines[part::parts])
            path.write_bytes(text.encode())
            paths.append(self._address(LocalStore(self.folder), path.name))
        first = lines[0] if lines else ""
        named = self.taken.header if header == "" else header
        return RawDay(self.suite.day, tuple(paths), named, first, len(lines))

    def _address(self, store: LocalStore, key: str) -> str:
        address = store.spark_pattern(key)
        self.files[address] = store.local_path(key)
        return address

    def as_read(self) -> Dataset:
        """The dataset, whose source sends again what was read of the day: no second download."""
        made: Any = self.suite.make_dataset(self.folder)
        header = self.taken.header
        text = "".join(f"{line}\n" for line in ([] if header is None else [header]) + self.lines)
        given = _Given(made, text)
        made.source = given.source
        return made  # type: ignore[no-any-return]

    # Bronze and silver

    def bronze_frame(self, raw: RawDay, session: Any = None) -> DataFrame:
        """Bronze's plan, on Spark or in another engine's session."""
        return self.dataset_for("bronze").bronze(session or self.spark, raw)

    def silver_frame(self, raw: RawDay, session: Any = None) -> DataFrame:
        """Silver's plan: of bronze's good rows that pass the link filter, as the pipeline does."""
        return self.dataset_for("silver").silver(self.silver_input(raw, session))

    def silver_input(self, raw: RawDay, session: Any = None) -> DataFrame:
        """What silver reads."""
        good = self.bronze_frame(raw, session).where("reject_reason IS NULL").drop(*VERDICT)
        links = self.dataset.settings.links
        return good.where(F.col("link_id").isin(list(links))) if links else good

    def bronze_of(self, raw: RawDay) -> Table:
        """Bronze, collected."""
        return collected(self.bronze_frame(raw))

    def silver_of(self, raw: RawDay) -> Table:
        """Silver, collected."""
        return collected(self.silver_frame(raw))

    @cached_property
    def bronze(self) -> Table:
        """Bronze of the day."""
        with advised(
            "bronze of the day",
            "ANSI mode is on, so cast() raises on bad text: use F.number and other functions of "
            "luigi_traffic.functions, and flag NULL.",
        ):
            return self.bronze_of(self.raw)

    @cached_property
    def silver(self) -> Table:
        """Silver of the day."""
        with advised(
            "silver of the day",
            "Reject in bronze the values that silver cannot use; NaN is not NULL: test it with "
            "F.isnan.",
        ):
            found = self.silver_of(self.raw)
        if not found.rows:
            pytest.fail(
                "silver of the day is empty: bronze rejects all rows, or none passes the link "
                "filter (give the suite settings = {'links': []})"
            )
        return found

    @cached_property
    def good_lines(self) -> list[str]:
        """Up to 20 lines that bronze takes for good, of a link that silver has if there are."""
        bad = Counter((row["raw_line"] or "").strip() for row in self.bronze.rejected)
        good = [line for line in self.lines if line.strip() not in bad]
        link = str(self.silver.rows[0]["link_id"])
        of_link = [line for line in good if link in line]
        found = of_link or good
        if not found:
            pytest.fail("bronze rejects every line of the day: the tests need a good one")
        return found[:: max(1, len(found) // 20)][:20]

    @cached_property
    def originals(self) -> list[dict[str, Any]]:
        """What bronze makes of them."""
        return self.bronze_of(self.raw_of(self.good_lines)).good

    @cached_property
    def checksums(self) -> tuple[str, str]:
        """Of bronze and silver of the day, with the session as it is made: its zone is UTC."""
        return self.checksums_now()

    def checksums_now(self) -> tuple[str, str]:
        """The same, computed under the session's settings of now."""
        return checksum(self.bronze_frame(self.raw)), checksum(self.silver_frame(self.raw))

    @cached_property
    def junk(self) -> list[str]:
        """Lines that are no row of any dataset."""
        mark = self.delimiter or ","
        width = self.good_lines[0].count(mark) + 1
        cells = ("x", "\ufffd", "\x00", "1e999", "9" * 400, "-", '"')
        whole = ["", "   ", ",,,,,,,,,,", "total: 12", "\x00" * 8, "\ufffd" * 5, '"', "'"]
        whole.append("z" * 200_000)
        return [*whole, mark * (width - 1), *(mark.join([cell] * width) for cell in cells)]

    @cached_property
    def junk_rows(self) -> Table:
        """Bronze of them, between good lines."""
        with advised("bronze of garbage lines", "See test_garbage_lines."):
            return self.bronze_of(self.raw_of([*self.good_lines[:1], *self.junk]))

    @cached_property
    def delimiter(self) -> str | None:
        """What stands between the fields, None where there is no table."""
        line = self.taken.header or self.good_lines[0]
        best = max(DELIMITERS, key=line.count)
        return best if best in line else None

    def fields(self, line: str) -> list[str]:
        """The fields of a line; skips the test where the text is no table."""
        if self.delimiter is None:
            pytest.skip(f"the lines have no fields between any of {DELIMITERS!r}: nothing to split")
        return line.split(self.delimiter)


class _Given(Source):
    """Stands in for a dataset whose source needs a network: its text comes from the suite."""

    def __init__(self, dataset: Dataset, text: str) -> None:
        self.name, self.header, self._text = dataset.name, dataset.header, text
        self.settings = dataset.settings

    def source(self) -> Source:
        return self

    def recipe(self) -> dict[str, Any]:
        return {}

    @contextmanager
    def open(self, day: Any) -> Iterator[Iterator[Stream]]:
        yield iter([Stream("text", iter([self._text.encode()]))])


def collected(frame: DataFrame) -> Table:
    """All rows of a frame."""
    arrow = frame.toArrow()
    types = {field.name: field.dataType.simpleString() for field in frame.schema.fields}
    return Table(types, arrow.to_pylist())


def checksum(frame: DataFrame) -> str:
    """The content checksum that manifests hold: the same in any order and layout."""
    from luigi_traffic.compute.spark_engine import SparkEngine

    return SparkEngine(frame.sparkSession).checksum(frame)


@contextmanager
def advised(what: str, advice: str, *allowed: type[Exception]) -> Iterator[None]:
    """Turn any error of the plugin but the `allowed` into a failure that says what to change."""
    try:
        yield
    # Whatever the plugin, or Spark on its behalf, raises is the finding.
    except Exception as e:
        if isinstance(e, (AssertionError, *allowed)):
            raise
        said = str(e).strip().splitlines()
        shown = said[0][:300] if said else ""
        pytest.fail(f"{what} raised {e.__class__.__name__}: {shown}\n{advice}")
