"""Each engine, and ITS files that come in through the core's own download."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from luigi_traffic import RawDay
from luigi_traffic.ingest.download import ingest
from luigi_traffic.lake.catalog import Catalog
from luigi_traffic.lake.local import LocalStore
from luigi_traffic.settings.keys import IngestSettings
from luigi_traffic_its import Its

if TYPE_CHECKING:
    from luigi_traffic.compute.engine import Engine

DAY = date(2024, 1, 1)


@pytest.fixture
def engine(luigi_traffic_engine: Engine) -> Engine:
    return luigi_traffic_engine


@pytest.fixture
def raw_day(engine: Engine, tmp_path: Path) -> Callable[..., RawDay]:
    """What bronze gets of a file with that content."""

    def make(content: str | bytes, day: date = DAY) -> RawDay:
        data = content.encode() if isinstance(content, str) else content
        with zipfile.ZipFile(tmp_path / f"{day:%Y%m%d}_5Min.zip", "w") as archive:
            archive.writestr("data.csv", data)
        template = f"file://{tmp_path}/{{date}}_5Min.zip"
        dataset = Its(Its.Settings(url_template=template))
        store = LocalStore(tmp_path / "lake")
        got = ingest(
            dataset,
            day,
            Catalog(store),
            IngestSettings(settle_seconds=0),
            tmp_path / "spool",
            lambda *_: None,
        )
        paths = tuple(engine.address(store, file.key) for file in got.files)
        return RawDay(day, paths, got.header, got.first_line, got.lines)

    return make
