from __future__ import annotations

import logging
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from luigi_traffic.compute.duckdb_engine import DuckDbEngine
from luigi_traffic.compute.engine import Engine
from luigi_traffic.compute.spark_engine import SparkEngine
from luigi_traffic.processes.postgres import initdb
from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.processes.postgres.server_user import ServerUser
from luigi_traffic.settings.engine_keys import SparkSettings
from luigi_traffic.settings.keys import Settings
from luigi_traffic.spark.session import start


@pytest.fixture(scope="session")
def initdb_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """As `initdb._initdb`, which is half of what a home costs: its files, copied."""
    made: dict[tuple[str, ...], Path] = {}
    really = initdb._initdb

    def copied(data: Path, user: ServerUser, *options: str) -> Path:
        if any("pwfile" in option for option in options):
            return really(data, user, *options)
        attempt = data.parent / f"{data.name}.new-copy"
        if options in made:
            subprocess.run(["cp", "-a", made[options], attempt], check=True)
        else:
            really(data, user, *options).rename(attempt)
            made[options] = tmp_path_factory.mktemp("initdb") / "data"
            subprocess.run(["cp", "-a", attempt, made[options]], check=True)
        return attempt

    return copied


@pytest.fixture(scope="module", autouse=True)
def quick_servers(initdb_once: Callable[..., Path]) -> Iterator[None]:
    """Tests of the server itself go without it (processes/conftest.py)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(initdb, "_initdb", initdb_once)
        yield


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedServer]:
    """One real PostgreSQL server, in a folder of its own."""
    # Not pytest's tmp_path: other users, whom root needs for a server, cannot enter that.
    with tempfile.TemporaryDirectory(prefix="luigi_traffic-test-") as folder:
        Path(folder).chmod(0o711)
        server = EmbeddedServer(Path(folder) / "postgres")
        try:
            server.ensure_running()
            yield server
        finally:
            server.destroy()


@pytest.fixture
def said() -> Iterator[list[logging.LogRecord]]:
    """What we log, whether our logger is set up for the terminal already or not."""
    records: list[logging.LogRecord] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    handler, logger = Kept(), logging.getLogger("luigi_traffic")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield records
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """One small session with the framework's own properties, for all Spark tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LUIGI_TRAFFIC_HOME", str(tmp_path_factory.mktemp("spark")))
        chosen = SparkSettings(master="local[2]", driver_memory="1g", shuffle_partitions=2)
        session = start(Settings(spark=chosen))
        yield session
        session.stop()


@pytest.fixture(params=["spark", "duckdb"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """Each engine in turn, with `luigi_traffic.functions` on it."""
    if request.param == "spark":
        chosen: Engine = SparkEngine(request.getfixturevalue("spark"))
    else:
        chosen = DuckDbEngine(Settings())
    with chosen.in_force():
        yield chosen


@pytest.fixture(scope="session")
def metr_la_file() -> Path:
    """METR-LA's archive; skipped where it is not at hand."""
    folder = Path(
        os.environ.get("METR_LA_DIR")
        or Path(__file__).parents[2].parent / "shared" / "data" / "metr-la"
    )
    file = folder / "metr-la.npz"
    if not file.exists():
        pytest.skip(f"METR-LA is not in {folder}; set METR_LA_DIR")
    return file
