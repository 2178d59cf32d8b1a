"""One day of a file of many, by a function of the plugin's own."""

from __future__ import annotations

import gzip
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path

import pytest

import luigi_traffic as lt

DAY = date(2024, 1, 2)
LINES = ["id;when;v", "a;01.01.2024 08:00;5", "a;02.01.2024 08:00;6", "", "a;soon;7",
         "b;02.01.2024 08:05;8", "a;04.01.2024 00:00;9", "short"]  # fmt: skip


def day_of(line: bytes) -> date | None:
    return datetime.strptime(line.split(b";")[1].decode(), "%d.%m.%Y %H:%M").date()


def text_of(source: lt.Source, day: date = DAY) -> list[str]:
    with source.open(day) as streams:
        made = [b"".join(s.edit(s.chunks) if s.edit else s.chunks) for s in streams]
    return [line for text in made for line in text.decode().splitlines()]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "2024.csv"
    path.write_text("\n".join(LINES) + "\n", encoding="utf-8-sig")
    return path


def test_the_header_and_the_lines_of_the_day(file: Path) -> None:
    source = lt.ManyDays(lt.Files(str(file)), day_of=day_of, header=True)
    assert text_of(source) == [LINES[0], LINES[2], LINES[4], LINES[5]]
    assert text_of(source, date(2024, 1, 4)) == [LINES[0], LINES[6], LINES[7]]


def test_a_day_without_a_line_is_absent_and_the_days_of_the_file_are_told(file: Path) -> None:
    source = lt.ManyDays(lt.Files(str(file)), day_of=day_of, header=True)
    told = r"no row belongs to 2024-01-03; the rows are from 2024-01-01 to 2024-01-04"
    with pytest.raises(lt.SourceAbsent, match=told):
        text_of(source, date(2024, 1, 3))
    file.write_text(LINES[0] + "\n")
    with pytest.raises(lt.SourceAbsent, match="the rows are none at all"):
        text_of(source)


def test_without_a_header_the_first_line_is_a_row(file: Path) -> None:
    file.write_text("\n".join(LINES[2:4]))
    assert text_of(lt.ManyDays(lt.Files(str(file)), day_of=day_of)) == [LINES[2]]


def test_what_the_files_say_is_passed_on(file: Path) -> None:
    files = lt.Files(str(file))
    source = lt.ManyDays(files, day_of=day_of, header=True)
    assert source.address() == files.address() and source.look(DAY) == files.look(DAY)
    assert source.recipe() == files.recipe() | {"header": True, "cut": "2"}
    assert source.recipe() != lt.ManyDays(files, day_of=day_of).recipe()


def test_an_edit_of_the_files_comes_first() -> None:
    class Compressed(lt.Source):
        def recipe(self) -> dict:
            return {}

        @contextmanager
        def open(self, day: date):
            data = gzip.compress("\n".join(LINES).encode())
            whole = lambda chunks: iter([gzip.decompress(b"".join(chunks))])  # noqa: E731
            yield iter([lt.Stream("x", iter([data]), edit=whole)])

    source = lt.ManyDays(Compressed(), day_of=day_of, header=True)
    assert text_of(source)[1] == LINES[2]
