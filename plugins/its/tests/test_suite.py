"""The conformance kit on this dataset, in both formats."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from luigi_traffic import Dataset
from luigi_traffic.testing import DatasetSuite
from luigi_traffic_its import ULSAN_LINKS, Its

LINKS = ULSAN_LINKS[:3]


def speed(slot: int, link: int) -> float:
    return 25 + 7.31 * link + slot % 41


class TestIts(DatasetSuite):
    dataset = Its
    day = date(2024, 1, 1)
    speed_lines = 20_000

    def text(self) -> str:
        rows = [
            f"20240101,{slot * 5 // 60:02}{slot * 5 % 60:02},{link},L01,{speed(slot, n)},{n + 9.5}"
            for slot in range(288)
            for n, link in enumerate((*LINKS, "1100000000"))
        ]
        header = "CREATDE,CREATHM,LINKID,ROADINSTTCD,PASNGSPED,PASNGTIME"
        return "\n".join([header, *rows, rows[0], f"20240101,5,{LINKS[0]},L01,0,1", ""])

    def make_dataset(self, folder: Path) -> Dataset:
        table = folder / "MOCT_LINK.csv"
        rows = [f"{link},{n},{n + 1}" for n, link in enumerate(LINKS)]
        table.write_text("\n".join(["LINK_ID,F_NODE,T_NODE", *rows]))
        return Its(Its.Settings(node_link_csv=table))


class TestFormatOf2020(DatasetSuite):
    dataset = Its
    day = date(2020, 1, 1)
    speed_lines = 20_000

    def text(self) -> str:
        return "".join(
            f"2020-01-01 {minute // 60:02}:{minute % 60:02}:00.000,{link},{speed(minute, n)}\n"
            for minute in range(4, 1440, 7)
            for n, link in enumerate(LINKS)
        )
