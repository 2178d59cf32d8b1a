"""Files into raw: one day of many, several files, encodings, packings."""

from __future__ import annotations

import gzip
import hashlib
import tracemalloc
import zipfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from declared_tables import declared

from luigi_traffic.api.source import Stream
from luigi_traffic.errors import DataError, SourceAbsent, SourceError
from luigi_traffic.ingest.download import Ingested, ingest
from luigi_traffic.lake.catalog import Catalog
from luigi_traffic.lake.local import LocalStore
from luigi_traffic.settings.keys import IngestSettings
from luigi_traffic.yaml_dataset.dataset import DeclaredDataset

DAY = date(2024, 1, 2)
HEAD = "time,sensor,v\n"


@pytest.fixture
def raw(tmp_path: Path):
    """What raw keeps of a day: (what was ingested, its text)."""

    def read(dataset: DeclaredDataset, day: date = DAY, **limits: Any) -> tuple[Ingested, str]:
        store = LocalStore(tmp_path / "lake")
        got = ingest(
            dataset, day, Catalog(store), IngestSettings(settle_seconds=0, **limits),
            tmp_path / "spool", lambda *_: None,
        )  # fmt: skip
        return got, "".join(gzip.decompress(store.read(f.key)).decode() for f in got.files)

    return read


def rows(day: int, *sensors: str, end: str = "\n") -> str:
    return "".join(f"2024-01-{day:02d} 08:0{n},{s},5{n}{end}" for n, s in enumerate(sensors))


def test_several_files_of_a_day_are_one_text(tmp_path: Path, raw) -> None:
    for name in ("b", "a"):
        (tmp_path / f"20240102_{name}.csv").write_text(HEAD + rows(2, name))
    (tmp_path / "20240103_a.csv").write_text(HEAD + rows(3, "c"))
    got, text = raw(declared(glob=f"{tmp_path}/{{date}}_*.csv"))
    assert text == rows(2, "a") + rows(2, "b")
    assert (got.header, got.lines, len(got.archives)) == ("time,sensor,v", 2, 2)
    # Nothing is edited: what makes the id is the files as they came.
    kept = {"name", "origin", "bytes", "sha256", "said"}
    assert [set(archive) for archive in got.archives] == [kept] * 2


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ["{year}.csv", "{year}-{month}.csv", "all.csv"])
def test_a_day_is_cut_out_of_a_file_of_many(tmp_path: Path, raw, end: str, name: str) -> None:
    file = tmp_path / name.format(year="2024", month="01")
    content = HEAD.replace("\n", end) + rows(1, "a", end=end) + rows(2, "a", "나", end=end)
    content += end + rows(3, "a", end=end) + rows(2, "c", end=end).rstrip()
    file.write_bytes(("\ufeff" + content).encode())
    dataset = declared(glob=f"{tmp_path}/{name}")
    got, text = raw(dataset)
    assert text.replace("\r\n", "\n") == rows(2, "a", "나") + rows(2, "c")
    assert got.header == "time,sensor,v"
    # The archive is the whole file, what makes the partition's id is the day alone.
    assert got.archives[0]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    other, _ = raw(dataset, date(2024, 1, 3))
    assert other.archives[0]["sha256"] == got.archives[0]["sha256"]
    assert other.content_hash != got.content_hash
    with file.open("ab") as grown:
        grown.write((end + rows(4, "a", end=end)).encode())
    again, _ = raw(dataset)
    assert again.content_hash == got.content_hash or end == "\r\n"


def test_quoted_and_positional_columns_are_cut_too(tmp_path: Path, raw) -> None:
    lines = ['"a;b";"01.01.2024";8:00;5', '"c";"02.01.2024";8:00;5', "d;02.01.2024;9:00;6"]
    (tmp_path / "all.csv").write_text("\n".join(lines))
    dataset = declared(
        glob=f"{tmp_path}/all.csv", header=False, delimiter=";", time_format="dd.MM.yyyy H:mm",
        columns={"timestamp": None, "date": 1, "time": 2, "link_id": 0, "speed": 3},
    )  # fmt: skip
    got, text = raw(dataset)
    assert text.splitlines() == lines[1:]
    assert (got.header, got.first_line) == (None, lines[1])


def test_a_line_without_a_readable_time_is_rejected_in_the_day_of_the_line_above(
    tmp_path: Path, raw
) -> None:
    """Once, and not in every day of the file: a day is judged by its own lines."""
    (tmp_path / "all.csv").write_text(
        HEAD + "x1\n" + rows(1, "a") + "x2,b,50\n" + rows(2, "a") + "x3\n" + rows(3, "a")
    )
    dataset = declared(glob=f"{tmp_path}/all.csv")
    texts = [raw(dataset, date(2024, 1, day))[1] for day in (1, 2, 3)]
    assert texts == ["x1\n" + rows(1, "a") + "x2,b,50\n", rows(2, "a") + "x3\n", rows(3, "a")]


def test_a_file_in_which_no_time_can_be_read_is_refused(tmp_path: Path, raw) -> None:
    (tmp_path / "all.csv").write_text(HEAD + "soon,b,50\n")  # one line may be bad by chance
    assert raw(declared(glob=f"{tmp_path}/all.csv"))[1] == "soon,b,50\n"
    (tmp_path / "all.csv").write_text(HEAD + "".join(f"soon,{n},50\n" for n in range(200_000)))
    with pytest.raises(DataError, match="none of its first 20 times can be read as ISO 8601"):
        raw(declared(glob=f"{tmp_path}/all.csv"))


def test_lines_that_no_reader_of_csv_takes_are_kept_too(tmp_path: Path, raw) -> None:
    odd = ['a\rb"', '"' + "x" * 200_000 + '",b,5']
    (tmp_path / "all.csv").write_bytes((HEAD + rows(2, "a") + "\n".join(odd)).encode())
    _, text = raw(declared(glob=f"{tmp_path}/all.csv"))
    assert text == rows(2, "a") + "".join(f"{line}\n" for line in odd)
    (tmp_path / "all.csv").write_bytes(b"time,sensor\rv,x\r1,2,3\n")
    with pytest.raises(DataError, match="Lines must end with LF or CRLF"):
        raw(declared(glob=f"{tmp_path}/all.csv"))


def test_a_day_that_no_file_has_is_absent(tmp_path: Path, raw) -> None:
    (tmp_path / "a-1.csv").write_text(HEAD + rows(1, "a"))
    (tmp_path / "a-2.csv").write_text(HEAD + rows(5, "a"))
    with pytest.raises(
        SourceAbsent, match=r"no row belongs to 2024-01-02; .* 2024-01-01 to 2024-01-05"
    ):
        raw(declared(glob=f"{tmp_path}/a-*.csv"))
    with pytest.raises(SourceAbsent, match="no file matches"):
        raw(declared(glob=f"{tmp_path}/{{date}}.csv"))


def test_a_large_file_of_many_days_is_cut_in_flat_memory(tmp_path: Path) -> None:
    # Few lines for their bytes: tracemalloc makes each of them slow.
    some = rows(1, *(letter * 1000 for letter in "abcdefgh")) * 10
    chunks = [(HEAD + some).encode(), *[some.encode()] * 60, rows(2, "a").encode()]
    source = declared(glob="all.csv").source()
    stream = next(source._edited(iter([Stream("all.csv", iter(chunks))]), DAY))
    tracemalloc.start()
    kept = b"".join(stream.edit(stream.chunks))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept.decode() == HEAD + rows(2, "a")
    assert sum(map(len, chunks)) > 4e6 > 1e6 > peak


def test_a_file_without_line_ends_is_refused_before_it_fills_the_memory() -> None:
    source = declared(glob="all.csv").source()
    zeros = (bytes(1 << 16) for _ in range(10_000))
    stream = next(source._edited(iter([Stream("all.csv", zeros)]), DAY))
    with pytest.raises(DataError, match="no line end within 1,048,576 bytes"):
        list(stream.edit(stream.chunks))


def test_other_encodings_become_utf8(tmp_path: Path, raw) -> None:
    (tmp_path / "20240102.csv").write_text(HEAD + rows(2, "울산 1"), encoding="cp949")
    _, text = raw(declared(glob=f"{tmp_path}/{{date}}.csv", encoding="cp949"))
    assert text == rows(2, "울산 1")
    with pytest.raises(DataError, match="is not UTF-8"):
        raw(declared(glob=f"{tmp_path}/{{date}}.csv"))
    (tmp_path / "20240102.csv").write_text(HEAD + rows(2, "울산 1"), encoding="utf-16")
    _, text = raw(declared(glob=f"{tmp_path}/{{date}}.csv", encoding="utf-16"))
    assert text == rows(2, "울산 1")
    with pytest.raises(DataError, match="are not ascii, the configured `encoding`"):
        raw(declared(glob=f"{tmp_path}/{{date}}.csv", encoding="ascii"))


def test_packed_files(tmp_path: Path, raw) -> None:
    text = HEAD + rows(2, "a", "b")
    (tmp_path / "20240102.csv.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "20240102.bin").write_bytes(gzip.compress(text.encode()))
    with zipfile.ZipFile(tmp_path / "20240102.csv.zip", "w") as archive:
        archive.writestr("x.csv", text)
    for dataset in (
        declared(glob=f"{tmp_path}/{{date}}.csv.gz"),
        declared(glob=None, url_template=f"file://{tmp_path}/{{date}}.csv.gz"),
        declared(glob=None, url_template=f"file://{tmp_path}/{{date}}.csv.zip"),
        declared(glob=f"{tmp_path}/{{date}}.bin", packing="gzip"),
    ):
        assert raw(dataset)[1] == rows(2, "a", "b")


def test_parquet_becomes_lines(tmp_path: Path, raw) -> None:
    at = [datetime(2024, 1, 2, 8), datetime(2024, 1, 2, 9), datetime(2024, 1, 3, 0)]
    table = pa.table(
        {
            "time": pa.array(at, pa.timestamp("us")),
            "sensor": pa.array(['강남 "1"', "b, c", None]).dictionary_encode(),
            "v": pa.array([50.25, None, float("nan")]),
            "note": ["two\nlines", "", "x"],
            "shape": [[1, 2], [], None],
        }
    )
    pq.write_table(table, tmp_path / "20240102.parquet", row_group_size=2)
    got, text = raw(declared(glob=f"{tmp_path}/{{date}}.parquet", format="parquet"))
    assert got.header == "time,sensor,v,note"
    assert text.splitlines() == [
        '2024-01-02 08:00:00.000000,"강남 ""1""",50.25,"two lines"',
        '2024-01-02 09:00:00.000000,"b, c",,""',
        '2024-01-03 00:00:00.000000,,nan,"x"',
    ]
    file = (tmp_path / "20240102.parquet").read_bytes()
    assert got.archives[0]["sha256"] == hashlib.sha256(file).hexdigest()
    # One file of many days, of the same rows.
    (tmp_path / "20240102.parquet").rename(tmp_path / "all.parquet")
    _, text = raw(declared(glob=f"{tmp_path}/all.parquet", format="parquet"))
    assert text.count("\n") == 2


def test_what_is_no_parquet_or_too_large(tmp_path: Path, raw) -> None:
    (tmp_path / "20240102.parquet").write_bytes(b"<html>sorry</html>")
    dataset = declared(glob=f"{tmp_path}/{{date}}.parquet", format="parquet")
    with pytest.raises(SourceError, match=r"expected a readable Parquet file.*<html>sorry"):
        raw(dataset)
    pq.write_table(pa.table({"v": range(1000)}), tmp_path / "20240102.parquet")
    with pytest.raises(DataError, match="the header has no column 'time'"):
        raw(dataset)
    with pytest.raises(SourceError, match="more than 100 bytes"):
        raw(declared(
            glob=f"{tmp_path}/{{date}}.parquet", format="parquet",
            columns={"timestamp": "v", "link_id": "v", "speed": "v"},
        ), max_bytes=100)  # fmt: skip


@pytest.mark.parametrize(
    ("first", "told"),
    [
        ("time,sensor,speed", "no column 'v' (columns.speed)"),
        ("time,sensor,V", "Known: V, sensor, time"),
        ("time,sensor,v,v", "2 columns 'v'"),
        ("time;sensor;v", "It looks delimited by semicolons"),
        ("2024-01-02 08:00,a,50", "header: false"),
        ("<html><body>", "HTML"),
        ('{"error": 1}', "JSON"),
    ],
)
def test_a_wrong_first_line_says_what_it_may_be(tmp_path: Path, raw, first, told) -> None:
    (tmp_path / "20240102.csv").write_text(f"{first}\n2024-01-02 08:00,a,50\n")
    with pytest.raises(DataError) as caught:
        raw(declared(glob=f"{tmp_path}/{{date}}.csv"))
    assert told in str(caught.value)
    assert "20240102.csv" in str(caught.value)


def test_a_position_beyond_the_first_line(tmp_path: Path, raw) -> None:
    (tmp_path / "20240102.csv").write_text(rows(2, "a"))
    columns = {"timestamp": 0, "link_id": 1, "speed": 3}
    with pytest.raises(DataError, match="speed is column 3, but the first line has 3 columns"):
        raw(declared(glob=f"{tmp_path}/{{date}}.csv", header=False, columns=columns))


def test_what_makes_the_text_is_in_the_recipe_and_where_it_lies_is_not() -> None:
    def recipe(**table: Any) -> dict[str, Any]:
        return declared(**table).source().recipe()

    daily = recipe(glob="/d/{date}.csv")
    assert daily == {"packing": "none", "header": True}
    assert recipe(glob="/elsewhere/{date}.csv") == daily
    assert recipe(glob=None, url_template="https://host/{date}.csv?key=pw") == daily
    # A header is left out of raw, so what is taken for one makes another text.
    columns = {"timestamp": 0, "link_id": 1, "speed": 2}
    assert recipe(glob="/d/{date}.csv", header=False, columns=columns) != daily
    assert recipe(glob="/d/{date}.csv", encoding="cp949") != daily
    # Of a daily file the columns change bronze, of a file of many days also what is cut out.
    assert recipe(glob="/d/{date}.csv", time_format="yyyyMMddHHmm") == daily
    many = recipe(glob="/d/all.csv")
    assert recipe(glob="/d/all.csv", time_format="yyyyMMddHHmm") != many
    assert recipe(glob="/d/all.csv", timezone="Europe/Vienna") != many
    assert recipe(glob="/d/all.csv", speed_range=[0, 90]) == many


def test_an_address_has_the_query_and_no_password() -> None:
    address = declared(glob=None, url_template="https://me:pw@host/{date}.csv?city=A").source()
    assert address.address() == {"url": "https://host/{date}.csv?city=A"}


def test_members_and_absent_when_reach_the_files() -> None:
    url = "https://h/{date}.zip"
    source = declared(glob=None, url_template=url, members="*.csv", absent_when=["NoData"]).source()
    assert source.recipe()["members"] == "*.csv"
    assert source.files.absent == ("NoData",)
    assert "members" not in declared(glob=None, url_template=url).source().recipe()
    assert declared(members="a*").source().recipe()["members"] == "a*"
