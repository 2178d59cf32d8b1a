"""A source that is cut is never taken for whole: HTTP bodies, announced sizes, files in use."""

from __future__ import annotations

import gzip
import io
import os
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from declared_tables import declared
from http_server import HttpServer, Wire, http_server

import luigi_traffic as lt
from luigi_traffic.errors import SourceError, TrafficError, TransientError
from luigi_traffic.ingest.download import Ingested, ingest
from luigi_traffic.lake.catalog import Catalog
from luigi_traffic.lake.local import LocalStore
from luigi_traffic.settings.keys import IngestSettings

DAY = date(2024, 1, 2)
HEAD = b"time,sensor,v\n"
#: No bytes of it repeat, so that gzip has something to do.
ROWS = [b"2024-01-02 %02d:%02d,l%d,50.%d\n" % (n // 60, n % 60, n, n * n) for n in range(864)]
TEXT = HEAD + b"".join(ROWS)
PACKED = gzip.compress(TEXT)
QUICK = IngestSettings(attempts=2, backoff_seconds=0.01, settle_seconds=0)


@pytest.fixture
def wire() -> Iterator[HttpServer]:
    with http_server(Wire()) as made:
        yield made


@pytest.fixture
def take(tmp_path: Path) -> Callable[..., tuple[Ingested, bytes]]:
    """Ingest a dataset, or a table; nothing may be left of what is refused."""

    def lake() -> list[Path]:
        return [p for p in (tmp_path / "lake").rglob("*") if p.is_file()]

    def go(
        dataset: lt.Dataset | None = None, limits: IngestSettings = QUICK, **table: Any
    ) -> tuple[Ingested, bytes]:
        store = LocalStore(tmp_path / "lake")
        found = dataset or declared(**table)
        before = lake()
        try:
            got = ingest(found, DAY, Catalog(store), limits, tmp_path / "tmp", lambda *_: None)
        except TrafficError:
            assert lake() == before
            raise
        return got, b"".join(gzip.decompress(store.read(file.key)) for file in got.files)

    return go


def answer(body: bytes, *headers: str, version: str = "1.1", status: str = "200 OK") -> Wire:
    head = "".join(f"{line}\r\n" for line in (f"HTTP/{version} {status}", *headers))
    return Wire(head.encode() + b"\r\n" + body)


def chunked(body: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    pieces = [body[at : at + 4000] for at in range(0, len(body), 4000)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + end


def length(body: bytes) -> str:
    return f"Content-Length: {len(body)}"


GZIP, CHUNKED, CLOSE = "Content-Encoding: gzip", "Transfer-Encoding: chunked", "Connection: close"
HALF, HALF_PACKED = TEXT[: len(TEXT) // 2], PACKED[: len(PACKED) // 2]
#: Cut where a line ends: the text alone says nothing.
HALF_LINES = HEAD + b"".join(ROWS[:432])
CUT = {
    "gzip coding, length": answer(HALF_PACKED, GZIP, length(HALF_PACKED)),
    "gzip coding, chunked": answer(chunked(HALF_PACKED), GZIP, CHUNKED),
    "gzip coding, until close": answer(HALF_PACKED, GZIP, CLOSE),
    "gzip coding, its check sum missing": answer(PACKED[:-8], GZIP, length(PACKED[:-8])),
    "gzip coding, shorter than announced": answer(HALF_PACKED, GZIP, length(PACKED)),
    "gzip coding of nothing": answer(b"", GZIP, "Content-Length: 0"),
    "gzip coding, damaged": answer(
        PACKED[:3000] + b"x" * 50 + PACKED[3050:], GZIP, length(PACKED)
    ),
    "gzip coding, more behind it": answer(PACKED + b"more", GZIP, length(PACKED + b"more")),
    "a coding that was not asked for": answer(TEXT, "Content-Encoding: br", length(TEXT)),
    "shorter than announced": answer(HALF_LINES, length(TEXT)),
    "no last chunk": answer(chunked(HALF_LINES, end=b""), CHUNKED),
    "within a chunk": answer(chunked(TEXT)[: len(TEXT) // 2], CHUNKED),
    "until close": answer(HALF_LINES, CLOSE),
    "until close, HTTP/1.0": answer(HALF_LINES, version="1.0"),
    "a length that is none": answer(HALF_LINES, "Content-Length: many", CLOSE),
    "a length below zero": answer(HALF_LINES, "Content-Length: -1", CLOSE),
    "two lengths": answer(TEXT, length(HALF_LINES), length(TEXT)),
    "a part, said with 206": answer(HALF_LINES, length(HALF_LINES), status="206 P"),
    "a part, said with 200": answer(
        HALF_LINES, length(HALF_LINES),
        f"Content-Range: bytes 0-{len(HALF_LINES) - 1}/{len(TEXT)}",
    ),
}  # fmt: skip
WHOLE = {
    "length": answer(TEXT, length(TEXT)),
    "chunked": answer(chunked(TEXT), CHUNKED),
    "gzip coding, length": answer(PACKED, GZIP, length(PACKED)),
    "gzip coding, chunked": answer(chunked(PACKED), "Content-Encoding: x-gzip", CHUNKED),
    "gzip coding, until close": answer(PACKED, GZIP, CLOSE),
    "identity": answer(TEXT, "Content-Encoding: identity", length(TEXT)),
}


@pytest.mark.parametrize("name", CUT)
def test_a_cut_answer_is_an_error(wire: HttpServer, take: Callable, name: str) -> None:
    wire.answer(CUT[name])
    with pytest.raises(
        (SourceError, TransientError), match=r"city 2024-01-02: http://127\.0\.0\.1"
    ):
        take(glob=None, url_template=f"{wire.url}/{{date}}.csv")


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_answer_is_taken(wire: HttpServer, take: Callable, name: str) -> None:
    wire.answer(WHOLE[name])
    _, text = take(glob=None, url_template=f"{wire.url}/{{date}}.csv")
    assert text == b"".join(ROWS)
    assert wire.asked[0].headers["Accept-Encoding"] == "gzip"


def test_a_long_coded_answer_is_limited_too(wire: HttpServer, take: Callable) -> None:
    bomb = gzip.compress(HEAD + b"\n" * (8 << 20))
    wire.answer(answer(bomb, GZIP, length(bomb)))
    few = QUICK.model_copy(update={"max_bytes": 1 << 20})
    url = f"{wire.url}/{{date}}.csv"
    with pytest.raises(SourceError, match=r"more than 1,048,576 bytes.*ingest\.max_bytes"):
        take(glob=None, url_template=url, limits=few)
    wire.answer(answer(TEXT, length(TEXT)))
    with pytest.raises(SourceError, match=r"more than 1,024 bytes.*ingest\.max_bytes"):
        take(glob=None, url_template=url, limits=QUICK.model_copy(update={"max_bytes": 1024}))


def zipped(text: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("day.csv"), text, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def parquet() -> bytes:
    file = io.BytesIO()
    times = pa.array([datetime(2024, 1, 2) + timedelta(minutes=n) for n in range(864)])
    columns = {"time": times, "sensor": ["a"] * 864, "v": [50.5] * 864}
    pq.write_table(pa.table(columns), file, row_group_size=100)
    return file.getvalue()


@pytest.mark.parametrize(
    ("end", "whole", "more"),
    [("zip", zipped(TEXT), {}), ("gz", PACKED, {}), ("parquet", parquet(), {"format": "parquet"})],
)
def test_formats_that_check_themselves_need_no_length(
    wire: HttpServer, take: Callable, end: str, whole: bytes, more: dict[str, str]
) -> None:
    url = f"{wire.url}/{{date}}.{end}"
    wire.answer(answer(whole, CLOSE))
    assert take(glob=None, url_template=url, **more)[0].lines == 864
    for cut in (len(whole) - 1, len(whole) - 40, len(whole) // 2):
        wire.answer(answer(whole[:cut], CLOSE))
        with pytest.raises(SourceError, match=r"cut short|damaged|Parquet"):
            take(glob=None, url_template=url, **more)


def test_text_of_unknown_length_is_taken_where_the_settings_say_so(
    wire: HttpServer, take: Callable
) -> None:
    url = f"{wire.url}/{{date}}.csv"
    wire.answer(answer(TEXT, CLOSE))
    with pytest.raises(SourceError, match=r"does not say how long.*unknown_length"):
        take(glob=None, url_template=url)
    assert take(glob=None, url_template=url, unknown_length="accept")[1] == b"".join(ROWS)
    wire.answer(answer(HALF, CLOSE))
    assert not HALF.endswith(b"\n")
    with pytest.raises(TransientError, match="in the middle of a line"):
        take(glob=None, url_template=url, unknown_length="accept")


def test_the_archive_of_a_gzip_file_is_the_same_however_it_is_sent(
    wire: HttpServer, take: Callable
) -> None:
    """Some servers take the .gz of a file for the coding of the answer, and only sometimes."""
    url = f"{wire.url}/{{date}}.csv.gz"
    hashes = set()
    for headers in ((length(PACKED),), (length(PACKED), GZIP)):
        wire.answer(answer(PACKED, *headers))
        hashes.add(take(glob=None, url_template=url)[0].content_hash)
    assert len(hashes) == 1


# What any source announces.


class Announced(lt.Source):
    """Text with an announced size."""

    def __init__(self, size: int | None, packing: Any = "none", edit: Any = None) -> None:
        self.size, self.packing, self.edit = size, packing, edit

    def recipe(self) -> dict[str, Any]:
        return {}

    @contextmanager
    def open(self, day: date) -> Iterator[Iterator[lt.Stream]]:
        body = {"none": TEXT, "gzip": PACKED, "zip": zipped(TEXT)}[self.packing]
        chunks = (body[at : at + 1000] for at in range(0, len(body), 1000))
        yield iter([lt.Stream("day.csv", chunks, self.size, self.packing, edit=self.edit)])


def of(source: lt.Source) -> lt.Dataset:
    dataset = declared()
    dataset.source = lambda: source  # type: ignore[method-assign]
    return dataset


@pytest.mark.parametrize(("packing", "real"), [("none", TEXT), ("gzip", PACKED)])
@pytest.mark.parametrize("off", [-1000, -1, 1, 5000])
def test_an_announced_size_that_does_not_come(
    take: Callable, packing: str, real: bytes, off: int
) -> None:
    says = f"{'more than ' if off < 0 else ''}.* bytes came, but {len(real) + off:,} were announced"
    with pytest.raises(TransientError, match=says):
        take(of(Announced(len(real) + off, packing)))
    assert take(of(Announced(len(real), packing)))[0].lines == 864


def first_line_only(chunks: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk[: chunk.find(b"\n", 20) + 1]
        return


@pytest.mark.parametrize("packing", ["none", "gzip", "zip"])
def test_an_edit_that_stops_early_hides_no_cut(take: Callable, packing: str) -> None:
    body = {"none": TEXT, "gzip": PACKED, "zip": zipped(TEXT)}[packing]
    got, text = take(of(Announced(len(body), packing, first_line_only)))
    assert text == ROWS[0]
    assert got.archives[0]["bytes"] == len(body)  # and the hash is of all of them
    with pytest.raises(TransientError, match="were announced"):
        take(of(Announced(len(body) + 1, packing, first_line_only)))


# Files that somebody is still writing.


class Writer(threading.Thread):
    """Writes the rest of a file while it is read."""

    def __init__(self, path: Path, pause: float) -> None:
        super().__init__()
        self.path, self.pause = path, pause

    def run(self) -> None:
        with self.path.open("ab") as file:
            for row in ROWS[432:]:
                file.write(row)
                file.flush()
                time.sleep(self.pause)


def half_file(path: Path) -> Path:
    path.write_bytes(HALF_LINES)
    return path


def old(path: Path, seconds: float = 3600) -> None:
    at = time.time() - seconds
    os.utime(path, (at, at))


TABLES = [
    lambda folder: {"glob": f"{folder}/{{date}}*.csv"},
    lambda folder: {"glob": None, "url_template": f"{folder.as_uri()}/{{date}}.csv"},
]


@pytest.mark.parametrize("table", TABLES, ids=["glob", "file url"])
def test_a_file_that_is_being_written_is_waited_for(
    tmp_path: Path, take: Callable, table: Callable
) -> None:
    writer = Writer(half_file(tmp_path / "20240102.csv"), 0.002)
    writer.start()
    slow = IngestSettings(attempts=5, backoff_seconds=0.01, settle_seconds=1.5)
    got, text = take(limits=slow, **table(tmp_path))
    writer.join()
    assert (got.lines, text) == (864, b"".join(ROWS))


@pytest.mark.parametrize("table", TABLES, ids=["glob", "file url"])
def test_a_file_that_is_written_for_longer_than_that_is_an_error(
    tmp_path: Path, take: Callable, table: Callable
) -> None:
    half_file(tmp_path / "20240102.csv")
    late = IngestSettings(attempts=1, settle_seconds=60)
    with pytest.raises(TransientError, match=r"20240102\.csv changed .* s ago.*still be written"):
        take(limits=late, **table(tmp_path))
    old(tmp_path / "20240102.csv")
    assert take(limits=late, **table(tmp_path))[0].lines == 432


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"".join(ROWS[432:]))


def rewrite(path: Path) -> None:
    path.write_bytes(HALF_LINES.replace(b",50.", b",60."))


def replace(path: Path) -> None:
    path.with_suffix(".new").write_bytes(TEXT)
    path.with_suffix(".new").replace(path)


def truncate(path: Path) -> None:
    os.truncate(path, 1000)


@pytest.mark.parametrize("change", [grow, rewrite, replace, truncate])
@pytest.mark.parametrize("table", TABLES, ids=["glob", "file url"])
def test_a_file_that_changes_while_it_is_read(
    tmp_path: Path, take: Callable, table: Callable, change: Callable[[Path], None]
) -> None:
    path = half_file(tmp_path / "20240102.csv")
    old(path)
    dataset = declared(**table(tmp_path))
    source = dataset.source()

    class Disturbed(lt.Source):
        recipe = source.recipe

        @contextmanager
        def open(self, day: date) -> Iterator[Iterator[lt.Stream]]:
            with source.open(day) as streams:
                yield (self.disturbed(stream) for stream in streams)

        def disturbed(self, stream: lt.Stream) -> lt.Stream:
            from dataclasses import replace as with_

            def chunks() -> Iterator[bytes]:
                first = next(stream.chunks)
                change(path)
                yield first
                yield from stream.chunks

            return with_(stream, chunks=chunks())

    dataset.source = Disturbed  # type: ignore[method-assign]
    with pytest.raises(TransientError, match=r"changed while it was read|bytes came"):
        take(dataset, QUICK.model_copy(update={"attempts": 1}))


def test_a_file_that_comes_while_the_others_are_read(tmp_path: Path) -> None:
    half_file(tmp_path / "20240102_a.csv")
    with lt.Files(f"{tmp_path}/{{date}}_*.csv").open(DAY) as streams:
        b"".join(next(streams).chunks)
        half_file(tmp_path / "20240102_b.csv")
        with pytest.raises(TransientError, match=r"20240102_b\.csv appeared"):
            next(streams)


def test_a_damaged_young_archive_may_still_be_written(tmp_path: Path, take: Callable) -> None:
    path = tmp_path / "20240102.csv.zip"
    path.write_bytes(zipped(TEXT)[:-30])
    late = IngestSettings(attempts=1, settle_seconds=60)
    with pytest.raises(TransientError, match=r"cut short.*changed .* s ago"):
        take(limits=late, glob=f"{tmp_path}/{{date}}*")
    old(path)
    with pytest.raises(SourceError, match="cut short"):
        take(limits=late, glob=f"{tmp_path}/{{date}}*")
    path.write_bytes(zipped(TEXT))  # whole by its own account: nothing to wait for
    assert take(limits=late, glob=f"{tmp_path}/{{date}}*")[0].lines == 864


def test_a_growing_file_of_many_days_has_the_days_before_its_last_row(
    tmp_path: Path, take: Callable
) -> None:
    """A log that is always young: a row of a later day says that the day is whole."""
    path = tmp_path / "all.csv"
    path.write_bytes(HALF_LINES)
    late = IngestSettings(attempts=1, settle_seconds=60)
    with pytest.raises(TransientError, match="still be written"):
        take(limits=late, glob=f"{tmp_path}/all.csv")
    grow(path)
    with path.open("ab") as file:
        file.write(b"2024-01-03 00:00,a,50\n2024-01-0")
    assert take(limits=late, glob=f"{tmp_path}/all.csv")[1] == b"".join(ROWS)


def test_each_growing_file_needs_a_later_row_of_its_own(tmp_path: Path, take: Callable) -> None:
    (tmp_path / "a.csv").write_bytes(TEXT + b"2024-01-03 00:00,a,50\n")
    half_file(tmp_path / "b.csv")
    late = IngestSettings(attempts=1, settle_seconds=60)
    with pytest.raises(TransientError, match=r"b\.csv changed"):
        take(limits=late, glob=f"{tmp_path}/*.csv")


def test_a_time_in_the_future_says_nothing(tmp_path: Path, take: Callable) -> None:
    half_file(tmp_path / "20240102.csv")
    old(tmp_path / "20240102.csv", seconds=-7200)
    late = IngestSettings(attempts=1, settle_seconds=60)
    assert take(limits=late, glob=f"{tmp_path}/{{date}}.csv")[0].lines == 432


def test_a_source_may_say_when_it_last_changed(take: Callable) -> None:
    from dataclasses import replace as with_

    class Young(Announced):
        @contextmanager
        def open(self, day: date) -> Iterator[Iterator[lt.Stream]]:
            with super().open(day) as streams:
                yield (with_(s, modified=lambda: datetime.now(UTC)) for s in streams)

    with pytest.raises(TransientError, match="still be written"):
        take(of(Young(None)), IngestSettings(attempts=1, settle_seconds=60))
    assert take(of(Young(None, "gzip")), IngestSettings(settle_seconds=60))[0].lines == 864
