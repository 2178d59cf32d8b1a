from __future__ import annotations

import pytest

from luigi_traffic import DataError
from luigi_traffic_its import Its

COLUMNS = "CREATDE,CREATHM,LINKID,ROADINSTTCD,PASNGSPED,PASNGTIME"


def is_header(line: str) -> bool:
    return Its(Its.Settings()).header(line)


@pytest.mark.parametrize(
    "line",
    [
        COLUMNS,
        COLUMNS.lower(),
        COLUMNS.replace(",", " , "),
        ",".join(f'"{name}"' for name in COLUMNS.split(",")),
        COLUMNS + ",NEWCOLUMN",
    ],
)
def test_header(line: str) -> None:
    assert is_header(line) is True


@pytest.mark.parametrize(
    "line",
    [
        "20240101,0005,1920161400,L01,57.2,10.1",
        "20240101,5,1920161400,,,",
        '"20240101","0005","1920161400","L01","57.2","10.1"',
        "2020-01-01 00:44:00.000,1920161400,57.2",
        "2020-01-01 00:44:00.000,1920161400,57.2,a,b,c,d",
        "2021-12-31 23:59,1920161400,57.2",
    ],
)
def test_data(line: str) -> None:
    assert is_header(line) is False


@pytest.mark.parametrize(
    ("line", "guess"),
    [
        ("CREATDE,CREATHM,LINKID,ROADINSTTCD,PASNGSPED", "header without PASNGTIME"),
        ("CREATDE,CREATHM,LINK,ROADINSTTCD,SPEED,PASNGTIME", "without LINKID, PASNGSPED"),
        ("LINKID,CREATDE,CREATHM,ROADINSTTCD,PASNGSPED,PASNGTIME", "in another order"),
        (COLUMNS.replace(",", ";"), "semicolons"),
        (COLUMNS.replace(",", "\t"), "tabs"),
        ("20240101|0005|1920161400|L01|57.2|10", "vertical bars"),
        ("<!DOCTYPE html><html>", "HTML or XML page"),
        ('{"resultCode": "30"}', "JSON"),
        ("C\x00R\x00E\x00", "UTF-16"),
        ("", "blank"),
        ("timestamp,link,speed", "neither"),
        ("20240101,0005,1920161400", "neither"),
        ("2020-01-01 00:44:00.000,12,57.2", "neither"),
    ],
)
def test_anything_else_says_expected_and_found(line: str, guess: str) -> None:
    with pytest.raises(DataError) as e:
        is_header(line)
    said = str(e.value)
    assert repr(line) in said
    assert f"expected the header {COLUMNS}" in said
    assert guess in said


def test_a_long_line_is_cut() -> None:
    with pytest.raises(DataError) as e:
        is_header("x" * 10_000)
    assert len(str(e.value)) < 500


def test_a_file_with_wrong_columns_leaves_nothing_in_the_lake(raw_day, tmp_path) -> None:
    with pytest.raises(DataError, match=r"its 2024-01-01: .*_5Min\.zip: the first line is 'a,b,c'"):
        raw_day("a,b,c\n1,2,3\n")
    assert [path for path in (tmp_path / "lake").rglob("*") if path.is_file()] == []
