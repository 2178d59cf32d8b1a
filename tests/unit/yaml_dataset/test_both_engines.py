"""Generated days of odd lines: both engines make the same bronze and silver of them, bit by bit."""

from __future__ import annotations

import random
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from declared_tables import declared

from luigi_traffic import RawDay
from luigi_traffic.compute.duckdb_engine import DuckDbEngine
from luigi_traffic.compute.engine import Engine
from luigi_traffic.compute.spark_engine import SparkEngine
from luigi_traffic.lake.attempt import Attempt
from luigi_traffic.lake.local import LocalStore
from luigi_traffic.settings.keys import Settings
from luigi_traffic_its import Its

pytestmark = pytest.mark.spark
DAY = date(2024, 3, 31)  # clocks change in Europe
LINES = 1500

ODD = [*'",;|+-.09eE$^[]{}\\/%_\0\t\r \x0b\x1f', '""', "강", "\U0001f697", "\u00a0", "\u3000", "İ",
       "ΣΣ", "\u0663", "１", "\u2028", "\ufeff", "NaN", "$1", "\\1"]  # fmt: skip
NUMBERS = [
    "0", "-0.0", "57.25", "5e-324", "2e-324", "1.7976931348623157e308", "1.7976931348623159e308",
    "9223372036854775808", "9007199254740993", ".5", "5.", ".", "+.5e+1", "1e", "0.1", "1e-400",
    "NaN", "Infinity", "1d", "0x1p3", "-1", "-1.0", "K.A.", "", "149.99999999999999", "150.01",
    "2.5000005",
]  # fmt: skip
LINKS = ["a", "b", "1920161400", "강남대로 1", '"x, y"', '"the ""old"" road"', "", "x" * 256, "\0"]
OFFSETS = ["", "", "Z", " Z", "+09:00", "+02", "-0130", "+18:00", "+18:01", "+01:60", "z"]


def mutated(rng: random.Random, text: str) -> str:
    at = rng.randint(0, len(text))
    how = rng.random()
    if how < 0.8:
        return text
    if how < 0.9:
        return text[:at] + rng.choice(ODD) + text[at:]
    return text[:at] + text[at + 1 :]


def clock(rng: random.Random) -> dict[str, Any]:
    hour = rng.choice([*range(24), 1, 2, 24, 25])
    zeros = hour == 24 and rng.random() < 0.7
    return {
        "y": rng.choice([2024] * 12 + [1, 1900, 1970, 9999]),
        "m": rng.choice([3] * 12 + [4, 0, 13]),
        "d": rng.choice([31] * 9 + [30, 1, 32]), "H": hour, "h": rng.choice([*range(1, 13), 0, 13]),
        "M": 0 if zeros else rng.choice([*range(0, 60, 5), 60]),
        "S": 0 if zeros else rng.choice([0, 0, 0, 59, 60]), "a": rng.choice(["AM", "pm", "Pm"]),
        "f": rng.choice(["0", "000", "5", "123456", "999999999"]), "o": rng.choice(OFFSETS),
        "n": rng.choice([0, 86400, 86400.5, rng.randint(0, 86400), round(rng.random() * 9, 7)]),
        "u": 1711810800 + rng.randint(-90_000, 180_000) + rng.choice([0, 0.5, 0.1234567]),
    }  # fmt: skip


TIMES = {
    "ISO 8601": (None, "{y:04}-{m:02}-{d:02} {H:02}:{M:02}:{S:02}.{f}{o}"),
    "ISO 8601, minutes": (None, "{y:04}-{m}-{d}T{H}:{M:02}{o}"),
    "Hmm": ("yyyyMMdd Hmm", "{y:04}{m:02}{d:02} {H}{M:02}"),
    "12 hours": ("M/d/yyyy h:mm:ss a", "{m}/{d}/{y:04} {h}:{M:02}:{S:02} {a}"),
    "two digits": ("dd.MM.yy H:mm", "{d:02}.{m:02}.24 {H}:{M:02}"),
    "fraction": ("yyyy-MM-dd'T'HH:mm:ss.SSS", "{y:04}-{m:02}-{d:02}T{H:02}:{M:02}:{S:02}.{f}"),
    "words": ("yyyy년 MM월 dd일 HH시 mm분", "{y:04}년 {m:02}월 {d:02}일 {H:02}시 {M:02}분"),
    "unix": ("unix", "{u}"),
    "unix_ms": ("unix_ms", "{u:.0f}123"),
}


def engines(spark: Any) -> list[Engine]:
    return [SparkEngine(spark), DuckDbEngine(Settings())]


def made(engine: Engine, dataset: Any, raw: RawDay, folder: Path) -> tuple[Any, ...]:
    """Checksum and rows of bronze and of silver."""
    store = LocalStore(folder / engine.name)
    found: list[Any] = []
    with engine.in_force():
        frame = dataset.bronze(engine.session(), raw)
        for stage in ("bronze", "silver"):
            schema = engine.schema(frame)
            written = engine.write(frame, store, Attempt.fresh(stage, "city", DAY), {})
            rows = engine.read(store, written.files, schema)
            found += [written.checksum, schema, sorted(map(repr, engine.collect(rows)))]
            if stage == "bronze":
                frame = dataset.silver(rows.where("reject_reason IS NULL"))
    return tuple(found)


def same_on_both(
    spark: Any, dataset: Any, lines: list[str], header: str | None, folder: Path
) -> None:
    file = folder / "piece.csv"
    file.write_bytes("".join(f"{line}\n" for line in lines).encode())
    raw = RawDay(DAY, (str(file),), header, lines[0], len(lines))
    theirs, ours = (made(engine, dataset, raw, folder) for engine in engines(spark))
    for one, other in zip(theirs, ours, strict=True):
        if isinstance(one, list):
            assert [row for row in zip(one, other, strict=True) if row[0] != row[1]] == []
        assert one == other
    reasons = {reason for reason in dataset.reject_reasons if f"'{reason}'" in str(theirs[2])}
    assert len(theirs[2]) == len(lines)
    assert len(theirs[5]) > 20  # enough good rows, and most faults
    assert len(reasons) >= len(dataset.reject_reasons) // 2


@pytest.mark.parametrize("kind", TIMES)
def test_tables(spark, tmp_path: Path, kind: str) -> None:
    rng = random.Random(kind)
    time_format, text = TIMES[kind]
    dataset = declared(
        time_format=time_format, timezone="Europe/Berlin", missing=["", "nan", -1, "k.a."],
        columns={"flow": "q"}, stamp=rng.choice(["start", "end"]),
    )  # fmt: skip
    lines = ["", '"open', *(
        mutated(rng, ",".join([
            mutated(rng, text.format(**clock(rng))), mutated(rng, rng.choice(LINKS)),
            mutated(rng, rng.choice([*NUMBERS, *map(str, range(20, 60))])),
            mutated(rng, rng.choice([*NUMBERS, "7", "8"])),
        ])) for _ in range(LINES)
    )]  # fmt: skip
    lines = [line.replace("\n", " ").rstrip("\r") for line in lines]
    same_on_both(spark, dataset, [*lines, *lines[:50]], "time,sensor,v,q", tmp_path)


@pytest.mark.parametrize("unit", ["seconds", "minutes", "hours"])
def test_numbers_since_midnight(spark, tmp_path: Path, unit: str) -> None:
    rng = random.Random(unit)
    dataset = declared(time_unit=unit, columns={"timestamp": None, "date": "day", "time": "time"})
    scale = {"seconds": 1, "minutes": 60, "hours": 3600}[unit]
    lines = ["", '"open', *(
        ",".join([
            mutated(rng, rng.choice(["2024-3-31"] * 9 + ["2024-03-31", "2024-3-30"])),
            mutated(rng, str(clock(rng)["n"] / scale)), rng.choice(LINKS),
            rng.choice(NUMBERS + ["50"] * 9),
        ]) for _ in range(LINES)
    )]  # fmt: skip
    same_on_both(spark, dataset, lines, "day,time,sensor,v", tmp_path)


def test_its(spark, tmp_path: Path) -> None:
    rng = random.Random("its")
    lines = ["", "   ", *(
        mutated(rng, ",".join([
            mutated(rng, rng.choice(["20240331"] * 9 + ["20240330", "20240230", "2024-3-31"])),
            mutated(rng, rng.choice(["0005", "5", "130", "2355", "2400", "0060", "24:5", "-5"])),
            mutated(rng, rng.choice(["1920161400"] * 9 + ["192016140", "-920161400", "1.9E+9"])),
            "L01", mutated(rng, rng.choice([*NUMBERS, *["50.5", "7"] * 9])), rng.choice(NUMBERS),
        ])) for _ in range(LINES)
    )]  # fmt: skip
    lines += [
        f"20240331,{h:02}{m:02},1920161400,L01,{h + m / 7},1" for h in range(24) for m in (0, 5)
    ]
    same_on_both(spark, Its(Its.Settings()), [*lines, *lines], None, tmp_path)
