"""Days that raw keeps as they came, and lines of a scope that it keeps apart."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

import luigi_traffic as lt
from luigi_traffic.api.raw_archive import RawArchive
from luigi_traffic.api.scope import Outside, Scope
from luigi_traffic.api.source import Packing, Source, Stream
from luigi_traffic.compute.duckdb_engine import DuckDbEngine
from luigi_traffic.errors import SourceError
from luigi_traffic.ingest.archived_lines import archived_lines
from luigi_traffic.ingest.day_writer import Keep
from luigi_traffic.ingest.download import Ingested, ingest
from luigi_traffic.lake.catalog import Catalog
from luigi_traffic.lake.local import LocalStore
from luigi_traffic.lake.manifest import Manifest
from luigi_traffic.settings.keys import IngestSettings, Settings
from luigi_traffic.tasks.raw_day import archives_as_text, day_of_scope

DAY = date(2012, 3, 28)
HEADER = "time,link,speed"
ROWS = [f"08:{n % 60:02d},l{n % 7},{n}" for n in range(5000)] + ["08:00,,1", "울산", "09:00,l3,2"]
TEXT = ("\ufeff" + HEADER + "\r\n" + "\r\n".join(ROWS)).encode()  # and no line end at the end
WHOLE = "".join(f"{row}\n" for row in ROWS)
LIMITS = IngestSettings(attempts=1, settle_seconds=0, piece_bytes=9000)


def zipped(**texts: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            archive.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_DEFLATED)
    return file.getvalue()


class Files(Source):
    """Files of one packing."""

    def __init__(self, packing: Packing, *files: bytes, **more: Any) -> None:
        self._packing, self._files, self._more = packing, files, more

    def open(self, day: date) -> Any:
        return nullcontext(iter(list(self._streams())))

    def _streams(self) -> Iterator[Stream]:
        for number, data in enumerate(self._files):
            chunks = iter([data[at : at + 1000] for at in range(0, len(data), 1000)])
            yield Stream(f"f{number}", chunks, len(data), packing=self._packing, **self._more)

    def recipe(self) -> dict[str, Any]:
        return {}


class City(lt.Dataset):
    name, version, interval, timezone, speed_unit = "city", "1", timedelta(minutes=5), "UTC", "km/h"

    def __init__(self, source: Source) -> None:
        super().__init__(self.Settings())
        self._source = source

    def source(self) -> Source:
        return self._source

    def header(self, first_line: str) -> bool:
        return first_line.startswith("time")

    def bronze(self, spark, raw):
        raise AssertionError

    def silver(self, bronze):
        raise AssertionError


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "lake")


def take(store: LocalStore, source: Source, keep: Keep) -> Ingested:
    spool = store.root.parent / "tmp"
    taken = ingest(City(source), DAY, Catalog(store), LIMITS, spool, lambda *_: None, keep)
    for file in taken.files:
        assert store.seal(file.key) == file
    assert {info.key for info in store.list("")} == {file.key for file in taken.files}
    return taken


def raw_day(store: LocalStore, taken: Ingested) -> lt.RawDay:
    """The day as it is committed, with all its lines."""
    others = [a["key"] for a in taken.as_came] + (taken.scoped or {}).get("keys", [])
    paths = tuple(str(store.local_path(f.key)) for f in taken.files if f.key not in others)
    archives = tuple(
        RawArchive(str(store.local_path(a["key"])), a["packing"], a["members"])
        for a in taken.as_came
    )
    return lt.RawDay(
        DAY, paths, taken.header, taken.first_line, taken.lines, archives=archives
    )  # fmt: skip


KEPT = [
    ("zip", [zipped(day=TEXT)], {}),
    ("zip", [zipped(a=TEXT, note=b"no table"), zipped(b=TEXT)], {"members": "[ab]"}),
    ("gzip", [gzip.compress(TEXT)], {}),
    # Members one after another, and the zeros of a tape.
    ("gzip", [gzip.compress(TEXT[:777]) + gzip.compress(TEXT[777:]) + bytes(5000)], {}),
]


@pytest.mark.parametrize(("packing", "files", "more"), KEPT)
def test_what_is_kept_as_it_came_has_the_same_lines(
    store: LocalStore, packing: Packing, files: list[bytes], more: dict[str, Any]
) -> None:
    source = Files(packing, *files, **more)
    taken = take(store, source, Keep(archives=True))
    assert [store.read(file.key) for file in taken.files] == files
    assert taken.header == HEADER and taken.first_line == ROWS[0]
    assert taken.lines == len(ROWS) * len(files)
    day = raw_day(store, taken)
    for archive in day.archives:
        assert b"".join(archived_lines(archive, HEADER)).replace(b"\r", b"").decode() == WHOLE
    pieces = take(LocalStore(store.root / "other"), source, Keep())
    assert len(pieces.files) > 1 and not pieces.as_came
    assert pieces.content_hash == taken.content_hash
    assert (pieces.lines, pieces.text_bytes) == (taken.lines, taken.text_bytes)


@pytest.mark.parametrize(
    ("packing", "data", "more"),
    [
        ("none", TEXT, {}),
        # What a source edits is not what came.
        ("zip", zipped(day=TEXT), {"edit": lambda chunks: chunks}),
        ("gzip", gzip.compress(TEXT), {"edit": lambda chunks: chunks}),
    ],
)
def test_other_text_is_kept_as_pieces(
    store: LocalStore, packing: Packing, data: bytes, more: dict[str, Any]
) -> None:
    taken = take(store, Files(packing, data, **more), Keep(archives=True))
    assert not taken.as_came
    text = b"".join(gzip.decompress(store.read(file.key)) for file in taken.files)
    assert text.replace(b"\r", b"").decode() == WHOLE


@pytest.mark.parametrize(
    ("packing", "data"), [("zip", zipped(day=TEXT)), ("gzip", gzip.compress(TEXT))]
)
@pytest.mark.parametrize("damage", ["cut", "other"])
def test_a_damaged_file_leaves_nothing(
    store: LocalStore, packing: Packing, data: bytes, damage: str
) -> None:
    at = len(data) // 2
    broken = data[:at] if damage == "cut" else data[:at] + b"\xff" * 40 + data[at + 40 :]
    scope = Scope(["l3"], lt.LinkCell(1))
    with pytest.raises(SourceError, match=r"city 2012-03-28: f0"):
        take(store, Files(packing, broken), Keep(archives=True, scope=lambda *_: scope))
    assert [path for path in store.root.rglob("*") if path.is_file()] == []


@pytest.mark.spark
def test_both_engines_read_it(engine, store: LocalStore, tmp_path: Path) -> None:
    from luigi_traffic import functions as F

    taken = take(store, Files("zip", zipped(a=TEXT), zipped(b=TEXT)), Keep(archives=True))
    with archives_as_text(engine, tmp_path / "scratch") as as_text:
        day = as_text(raw_day(store, taken))
        every = engine.collect(F.lines(engine.session(), day))
        assert sorted(row["line"] for row in every) == sorted(ROWS + ROWS)
        scope = Scope(["l3", "l5"], lt.LinkCell(1))
        found = F.lines(engine.session(), replace(day, scope=scope))
        kept = engine.collect(found) if engine.name == "duckdb" else found.collect()
        lines = [row for row in ROWS if row.split(",")[1:2] in (["l3"], ["l5"])]
        assert sorted(row["line"] for row in kept) == sorted(lines + lines)
        assert scope.outside == Outside(2 * (len(ROWS) - len(lines) - 2), 4)
    assert not list((tmp_path / "scratch").glob("*"))


@pytest.mark.parametrize("archives", [True, False])
@pytest.mark.parametrize(("packing", "data"), [("zip", zipped(day=TEXT)), ("none", TEXT)])
def test_lines_of_a_scope_are_kept_apart(
    store: LocalStore, packing: Packing, data: bytes, archives: bool
) -> None:
    asked: list[tuple[str | None, str]] = []

    def scope_of(header: str | None, first_line: str) -> Scope:
        asked.append((header, first_line))
        return Scope(["l5", "l3"], lt.LinkCell(1))

    taken = take(store, Files(packing, data), Keep(archives, scope_of))
    assert asked == [(HEADER, ROWS[0])]
    assert taken.scoped
    lines = [row for row in ROWS if row.split(",")[1:2] in (["l3"], ["l5"])]
    text = b"".join(gzip.decompress(store.read(key)) for key in taken.scoped["keys"])
    assert text.decode() == "".join(f"{line}\n" for line in lines)
    assert taken.scoped["outside"] == {"other_links": len(ROWS) - len(lines) - 2, "no_link": 2}
    assert taken.scoped.items() >= Scope(["l3", "l5"], lt.LinkCell(1)).described.items()
    # The day itself is whole.
    day = raw_day(store, taken)
    whole = [gzip.decompress(Path(path).read_bytes()) for path in day.paths]
    whole += [block for archive in day.archives for block in archived_lines(archive, HEADER)]
    assert b"".join(whole).replace(b"\r", b"").decode() == WHOLE


def test_other_lines_than_those_that_raw_kept_apart_are_looked_for(tmp_path: Path) -> None:
    engine = DuckDbEngine(Settings())
    store, scope = LocalStore(tmp_path), Scope(["l5", "l3"], lt.LinkCell(1))
    apart = {"keys": ["raw/x.gz"], "outside": {"other_links": 4, "no_link": 2}}
    day = lt.RawDay(DAY, ("whole.gz",), HEADER, ROWS[0], len(ROWS))
    for change in ({}, {"version": "0"}, {"cell": [2, ","]}, {"links": "others"}, None):
        said = None if change is None else {**scope.described, **apart, **change}
        raw = Manifest("raw", "city", "", {}, "", "", [], details={"scoped": said})
        found = day_of_scope(day, scope, raw, engine, store)
        kept = change == {}
        assert found.scope == (None if kept else scope)
        assert found.paths == ((str(tmp_path / "raw/x.gz"),) if kept else day.paths)
        if kept:
            assert scope.outside == Outside(4, 2)


def test_a_day_without_a_place_of_links_has_none_apart(store: LocalStore) -> None:
    taken = take(store, Files("none", TEXT), Keep(scope=lambda *_: None))
    assert taken.scoped is None
