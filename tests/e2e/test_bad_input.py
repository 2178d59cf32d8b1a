"""Promise 5: bad input never passes bronze, and says what and where.

Each case is a file behind `LUIGI_TRAFFIC__DATASETS__ITS__URL_TEMPLATE=file://…`, run up to
silver by Luigi's own command line. It passes with the right rows, or it ends with exit ≠ 0, one
clear message and nothing committed. The table of `docs/bad-input.md` lists the same cases.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from small import FOLDER

HEADER = "CREATDE,CREATHM,LINKID,ROADINSTTCD,PASNGSPED,PASNGTIME\n"
LINKS = ("1920161400", "1920161500")
CSV = "20240110_5Min.csv"


def rows(date: str = "20240110", speed: Callable[[int], str] = lambda n: f"{40 + n % 20}.5") -> str:
    """One row for each of two links and twelve slots."""
    times = [f"{h:02d}{m:02d}" for h in (0, 23) for m in range(0, 30, 5)]
    return "".join(
        f"{date},{time},{link},5,{speed(n)},30\n" for n, time in enumerate(times) for link in LINKS
    )


def zipped(text: str | bytes, name: str = CSV) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text)
    return buffer.getvalue()


def two_members() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.csv", HEADER + rows())
        archive.writestr("b.csv", HEADER + rows())
    return buffer.getvalue()


def no_member() -> bytes:
    buffer = io.BytesIO()
    zipfile.ZipFile(buffer, "w").close()
    return buffer.getvalue()


def bomb() -> bytes:
    return zipped(HEADER.encode() + b"0" * 100 + b"\n" + b"\n" * (80 << 20))


def lying_bomb() -> bytes:
    """The same, with headers that declare one kilobyte."""
    data = bytearray(bomb())
    real = struct.pack("<I", zipfile.ZipFile(io.BytesIO(bytes(data))).infolist()[0].file_size)
    return bytes(data).replace(real, struct.pack("<I", 1024))


def half_garbage() -> str:
    good = rows().splitlines()
    return "\n".join(f"{line}\n####,not a row" for line in good) + "\n"


def old_format(count: int = 12) -> str:
    return "".join(
        f"2024-01-10 00:{m:02d}:00.000,{link},{40 + m}.0\n" for m in range(count) for link in LINKS
    )


@dataclass(frozen=True)
class Case:
    """What lies behind the URL, and what must come of it: rows of silver, or words of the error."""

    name: str
    data: Callable[[], bytes]
    rows: int | None = None
    says: str | None = None


GOOD = 24  # two links, twelve slots
CASES = [
    Case("as documented", lambda: zipped(HEADER + rows()), rows=GOOD),
    Case("truncated zip", lambda: zipped(HEADER + rows())[:-60], says="cut short"),
    Case("damaged zip", lambda: _damaged(), says="damaged or cut short"),
    Case("not a zip (an HTML page)", lambda: b"<!DOCTYPE html><p>error</p>", says="HTML"),
    Case("empty file", lambda: b"", says="empty file"),
    Case("zip bomb", bomb, says="zip bomb"),
    Case("zip bomb with lying sizes", lying_bomb, says="damaged|zip bomb"),
    Case("`../` member", lambda: zipped(HEADER + rows(), "../evil.csv"), says="outside itself"),
    Case("empty zip", no_member, says="found 0"),
    Case("zip of an empty file", lambda: zipped(""), says="without any data row"),
    Case("header and nothing else", lambda: zipped(HEADER), says="without any data row"),
    Case("two CSV members", two_members, says="found 2: 'a.csv', 'b.csv'"),
    Case("wrong columns", lambda: zipped("a,b,c\n1,2,3\n"), says="expected the header CREATDE"),
    Case("columns in another order", lambda: zipped(HEADER.replace("CREATDE,CREATHM", "CREATHM,CREATDE") + rows()), says="another order"),  # noqa: E501
    Case("wrong day inside", lambda: zipped(HEADER + rows("20240111")), says="other day"),
    Case("UTF-16", lambda: zipped((HEADER + rows()).encode("utf-16")), says="UTF-16"),
    Case("CP949 text", lambda: zipped(HEADER.encode() + "도로,1,2,3,4,5\n".encode("cp949") + rows().encode()), says="not UTF-8"),  # noqa: E501
    Case("CRLF", lambda: zipped((HEADER + rows()).replace("\n", "\r\n")), rows=GOOD),
    Case("BOM", lambda: zipped(b"\xef\xbb\xbf" + (HEADER + rows()).encode()), rows=GOOD),
    Case("headerless", lambda: zipped(rows()), rows=GOOD),
    Case("unpadded CREATHM", lambda: zipped(HEADER + re.sub(r",0{1,3}(\d+),192", r",\1,192", rows())), rows=GOOD),  # noqa: E501
    Case("the 2020 format", lambda: zipped(old_format()), rows=6),
    Case("half the rows garbage", lambda: zipped(HEADER + half_garbage()), says="50.0%"),
    Case("negative and absurd speeds", lambda: zipped(HEADER + rows() + "20240110,1200,1920161400,5,-3,30\n20240110,1205,1920161400,5,999,30\n"), rows=GOOD),  # noqa: E501
    Case("only absurd speeds", lambda: zipped(HEADER + rows(speed=lambda n: "999")), says="implausible speed"),  # noqa: E501
    Case("duplicate rows", lambda: zipped(HEADER + rows() + rows()), rows=GOOD),
]  # fmt: skip


def _damaged() -> bytes:
    data = bytearray(zipped(HEADER + rows()))
    middle = len(HEADER) // 2 + 60
    data[middle : middle + 8] = b"\xff" * 8
    return bytes(data)


@pytest.fixture
def run(tmp_path, luigi_here):
    """Run silver of 2024-01-10 on these bytes: exit code and what the log said."""

    def go(data: bytes | None) -> tuple[int, str, Path]:
        folder = tmp_path / FOLDER / "source"
        folder.mkdir(parents=True, exist_ok=True)
        if data is not None:
            (folder / "20240110_5Min.zip").write_bytes(data)
        template = f"file://{folder}/{{date}}_5Min.zip"
        luigi_here.set(DATASETS__ITS__URL_TEMPLATE=template)
        code, log = luigi_here.run("Silver", "--dataset", "its", "--date", "2024-01-10")
        return code, log, luigi_here.lake

    return go


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input(case: Case, run) -> None:
    code, log, lake = run(case.data())
    silver = list(lake.glob("silver/its/2024-01-10/*/*.parquet"))
    if case.rows is not None:
        assert code == 0, log
        table = pq.read_table(silver)
        assert table.num_rows == case.rows
        assert set(table["link_id"].to_pylist()) == set(LINKS)
        return
    assert case.says is not None
    assert code != 0
    messages = [r for r in log.splitlines() if re.search(case.says, r)]
    assert len(messages) == 1, f"expected one message that says {case.says!r}:\n{log}"
    assert "Traceback" not in log
    for stage in ("bronze", "silver"):
        assert not list(lake.glob(f"_manifests/{stage}/*/*/*.json"))
        assert not list(lake.glob(f"{stage}/**/*.parquet")), "data of a failed attempt was left"


def test_a_missing_file_is_recorded_and_fails(run) -> None:
    code, log, lake = run(None)
    assert code != 0
    assert "no such file" in log
    assert "missing_days.policy" in log
    assert len(list(lake.glob("_manifests/raw/its/2024-01-10/*-absent-*.json"))) == 1


def test_the_documented_table_lists_every_case() -> None:
    text = (Path(__file__).parents[2] / "docs" / "bad-input.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| (.+?) \|", text, re.MULTILINE)[2:]
    assert listed == [case.name for case in CASES] + ["no file at all (404)"]
