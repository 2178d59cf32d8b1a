import pytest
from luigi_traffic_its.header import Layout, is_header, layout_of_row

from luigi_traffic import DataError

HEADER = "CREATDE,CREATHM,LINKID,ROADINSTTCD,PASNGSPED,PASNGTIME"


@pytest.mark.parametrize(
    "line",
    [
        HEADER,
        HEADER.lower(),
        ",".join(f'"{name}"' for name in HEADER.split(",")),
        " , ".join(HEADER.split(",")),
        HEADER + "\r",
        HEADER + ",SOMETHING_NEW",
    ],
)
def test_documented_header_in_any_dress(line):
    assert is_header(line) is True


@pytest.mark.parametrize(
    ("line", "layout"),
    [
        ("20240101,0005,1920161400,L01,55.0,12.3", Layout.SIX),
        ("20240101,0,1920161400,,55,12", Layout.SIX),
        ('"20240101","0005","1920161400","L01","55.0","12.3"', Layout.SIX),
        # Its link is bad, its layout is not: bronze rejects the row, not the day.
        ("20240101,0005,19201,L01,55.0,12.3", Layout.SIX),
        ("2020-01-01 00:44:00.000,1920161400,57.2", Layout.THREE),
        ("2020-01-01 00:44:00.000,1920161400,57.2,31,A", Layout.THREE),
    ],
)
def test_headerless_rows(line, layout):
    assert is_header(line) is False
    assert layout_of_row(line) is layout


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("<!DOCTYPE html><html>", "HTML"),
        ('{"error": "no such day"}', "JSON"),
        ("", "blank"),
        (HEADER.replace(",", ";"), "semicolons"),
        (HEADER.replace(",", "\t"), "tabs"),
        ("CREATHM,CREATDE,LINKID,ROADINSTTCD,PASNGSPED,PASNGTIME", "another order"),
        ("CREATDE,CREATHM,LINKID,ROADINSTTCD,PASNGSPED", "without PASNGTIME"),
        ("C\x00R\x00E\x00A\x00", "UTF-16"),
        ("timestamp,sensor,speed", "expected the header CREATDE"),
        ("x" * 5000, "x…"),
    ],
)
def test_anything_else_is_refused_and_explained(line, said):
    with pytest.raises(DataError, match="the first line is") as error:
        is_header(line)
    assert said in str(error.value)
    assert len(str(error.value)) < 600
