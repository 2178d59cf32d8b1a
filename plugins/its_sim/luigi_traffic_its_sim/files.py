"""Simulated days and the node-link table as files, in the format of the real source."""

from __future__ import annotations

import csv
import io
import os
import secrets
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np

from luigi_traffic_its_sim.day import WARM_UP_SLOTS, plan_day
from luigi_traffic_its_sim.network import Floats, Network, build_network
from luigi_traffic_its_sim.sensors import Faults, Observations, observe
from luigi_traffic_its_sim.settings import ARCHIVE, NODE_LINKS, ItsSimSettings
from luigi_traffic_its_sim.traffic import simulate

_HEADER = b"CREATDE,CREATHM,LINKID,ROADINSTTCD,PASNGSPED,PASNGTIME\n"
_ROWS_A_BATCH = 500_000
_CENTRE = "L01"  # ROADINSTTCD: the road authority that measured


@dataclass(frozen=True)
class Town:
    """One simulated town: everything about it follows from its settings."""

    settings: ItsSimSettings

    @cached_property
    def network(self) -> Network:
        """The links."""
        return build_network(self.settings.links_count, self.settings.seed)

    def speeds(self, day: date) -> Floats:
        """True space-mean speeds of the day, (288, N), km/h."""
        settings = self.settings
        expected = settings.incidents_per_100_links * len(self.network) / 100
        plan = plan_day(self.network, settings.seed, day, expected)
        run = simulate(self.network, plan.demand, plan.incidents, plan.weather)
        return run.speed[WARM_UP_SLOTS:] * 3.6

    def observations(self, day: date) -> Observations:
        """What the sensors report of that day."""
        s = self.settings
        faults = Faults(s.noise, s.missing_slots, s.dropout, s.duplicates, s.implausible)
        return observe(self.speeds(day), self.network.limit_kmh, s.seed, day, faults)

    def write_day(self, folder: Path, day: date) -> Path:
        """The day's archive in `folder`, written unless it is there: whole, or not at all."""
        path = folder / ARCHIVE.format(date=f"{day:%Y%m%d}")
        if not path.exists():
            rows = self.observations(day)
            _whole(path, lambda file: write_archive(file, self.network, day, rows))
        return path

    def write_node_links(self, folder: Path) -> Path:
        """The node-link table in `folder`, with the columns of MOCT_LINK."""
        path = folder / NODE_LINKS
        if not path.exists():
            _whole(path, lambda file: file.write(_node_links(self.network)))
        return path


def write_archive(file: IO[bytes], network: Network, day: date, rows: Observations) -> None:
    """A ZIP with one CSV: equal arguments give equal bytes. Memory stays flat in the rows."""
    from pyarrow import RecordBatch, array
    from pyarrow.csv import CSVWriter, WriteOptions

    links, length = array(network.link_id), network.length
    minutes = np.arange(288) * 5
    times = array([f"{m // 60:02d}{m % 60:02d}" for m in minutes.tolist()])
    # The archive must not carry the clock: equal content, equal hash.
    member = zipfile.ZipInfo(f"{day:%Y%m%d}_5Min.csv", date_time=(1980, 1, 1, 0, 0, 0))
    member.compress_type = zipfile.ZIP_DEFLATED
    member.create_system = 3
    member.external_attr = 0o644 << 16
    schema = _batch_schema()
    options = WriteOptions(include_header=False, quoting_style="none")
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(member, "w", force_zip64=True) as text,
    ):
        text.write(_HEADER)
        writer = CSVWriter(text, schema, write_options=options)
        for start in range(0, len(rows.slot), _ROWS_A_BATCH):
            part = slice(start, start + _ROWS_A_BATCH)
            speed, link = rows.speed[part], rows.link[part]
            # A sensor that reports no speed reports no travel time.
            travel = np.where(
                speed > 0, np.round(length[link] * 3.6 / np.maximum(speed, 0.01), 2), 0
            )
            columns = [
                array([f"{day:%Y%m%d}"]).take(array(np.zeros(len(link), np.int64))),
                times.take(array(rows.slot[part])),
                links.take(array(link)),
                array([_CENTRE]).take(array(np.zeros(len(link), np.int64))),
                array(speed),
                array(travel),
            ]
            writer.write(RecordBatch.from_arrays(columns, schema=schema))
        writer.close()


def _batch_schema() -> Any:
    import pyarrow as pa

    names = ("CREATDE", "CREATHM", "LINKID", "ROADINSTTCD")
    return pa.schema(
        [*((name, pa.string()) for name in names), ("PASNGSPED", pa.float64()),
         ("PASNGTIME", pa.float64())]
    )  # fmt: skip


def _node_links(network: Network) -> bytes:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["LINK_ID", "F_NODE", "T_NODE", "LENGTH", "MAX_SPD"])
    columns = (network.link_id, network.start_node, network.end_node)
    lengths, limits = network.length.astype(int).tolist(), network.limit_kmh.tolist()
    table.writerows(zip(*columns, lengths, limits, strict=True))
    return text.getvalue().encode()


def _whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write under another name, then rename: two writers at once leave the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with unfinished.open("wb") as file:
            write(file)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
