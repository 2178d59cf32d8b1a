"""A home of the version before: its server ran as superuser, without a lock and checksums."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg2
import pytest
from embedded_servers import record

from luigi_traffic.errors import SettingsError
from luigi_traffic.processes.postgres import leftovers, postmaster, server_home
from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.processes.postgres.postgres_wheel import Binaries
from luigi_traffic.processes.postgres.server_record import ServerRecord, old_name
from luigi_traffic.processes.postgres.server_user import ServerUser
from luigi_traffic.warehouse.connection import Warehouse
from luigi_traffic.warehouse.dsn import Dsn

PASSWORD = "of-the-version-before"
STATE = """
SELECT (SELECT count(*) FROM gold.tiny), (SELECT count(*) FROM meta.ledger),
       (SELECT count(*) FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
        WHERE nspname IN ('gold', 'meta') AND pg_get_userbyid(relowner) <> 'luigi_traffic_owner'),
       current_setting('data_checksums')
"""


class OldHome:
    """What luigi_traffic made of a folder before there was `format` in server.json."""

    def __init__(self, folder: Path) -> None:
        self.server = EmbeddedServer(folder)
        self.user = ServerUser.choose()
        self.home = server_home.choose(folder, self.user)
        self.data = self.home / "data"
        self.binaries = Binaries.usable_by(self.user, self.home)
        self.port = postmaster.free_port()
        recorded = {"home": str(self.home), "port": self.port}
        (folder / "server.json").write_text(json.dumps(recorded))

    @classmethod
    def create(cls, folder: Path) -> OldHome:
        folder.mkdir(mode=0o711)
        made = cls(folder)
        (folder / "password").write_text(PASSWORD)
        handed_over = made.home / "pw"
        handed_over.write_text(PASSWORD)
        made.user.own(handed_over)
        made.data.mkdir(mode=0o700)
        made.user.own(made.data)
        made.run(
            "initdb", "--username=luigi_traffic", f"--pwfile={handed_over}", "--no-sync",
            "--auth-host=scram-sha-256", "--auth-local=reject", "--encoding=UTF8", "--locale=C",
        )  # fmt: skip
        single = [made.binaries.tool("postgres"), "--single", "-D", made.data, "postgres"]
        assert made.user.run(single, stdin="CREATE DATABASE luigi_traffic\n").returncode == 0
        made.fill()
        assert made.server.stop()
        return made

    def run(self, tool: str, *words: str) -> None:
        answer = self.user.run([self.binaries.tool(tool), "-D", str(self.data), *words])
        assert answer.returncode == 0, answer.stdout

    def start(self) -> Dsn:
        options = (
            f"-c listen_addresses=127.0.0.1 -c unix_socket_directories='' "
            f"-c port={self.port} -c cluster_name={old_name(self.home)}"
        )
        self.run("pg_ctl", "-s", "-w", "-l", str(self.data / "old.log"), "-o", options, "start")
        return Dsn("127.0.0.1", self.port, "luigi_traffic", "luigi_traffic", PASSWORD, "disable")

    def fill(self) -> None:
        warehouse = Warehouse(self.start)
        with warehouse.connect() as conn, conn.cursor() as cursor:
            cursor.execute("CREATE SCHEMA gold")
            cursor.execute("CREATE TABLE gold.tiny (at timestamp, n int) PARTITION BY RANGE (at)")
            cursor.execute(
                "CREATE TABLE gold.tiny_1 PARTITION OF gold.tiny"
                " FOR VALUES FROM ('2012-01-01') TO ('2012-01-02')"
            )
            cursor.execute("INSERT INTO gold.tiny VALUES ('2012-01-01 08:00', 1)")
            cursor.execute(
                "INSERT INTO meta.ledger (stage, dataset, part, partition_id, recipe_hash, recipe,"
                " inputs, rows, checksum, details)"
                " VALUES ('gold', 'tiny', '2012-01-01', 'id', 'r', '{}', '[]', 1, 'c', '{}')"
            )
        warehouse.close()


@pytest.fixture(scope="module")
def template() -> Iterator[OldHome]:
    with tempfile.TemporaryDirectory(prefix="luigi_traffic-test-") as folder:
        Path(folder).chmod(0o711)
        yield OldHome.create(Path(folder) / "postgres")


@pytest.fixture
def old(template: OldHome) -> Iterator[OldHome]:
    """An old home whose server runs."""
    with tempfile.TemporaryDirectory(prefix="luigi_traffic-test-") as folder:
        Path(folder).chmod(0o711)
        copy = Path(folder) / "postgres"
        subprocess.run(["cp", "-a", str(template.server.folder), str(copy)], check=True)
        made = OldHome(copy)
        made.start()
        yield made
        made.server.destroy()


def ask(dsn: Dsn, sql: str) -> tuple:
    with closing(psycopg2.connect(**dsn.kwargs())) as conn, conn.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()


def test_it_is_brought_up_to_date_in_place(old: OldHome) -> None:
    # Its server still runs, and nobody uses it.
    dsn = old.server.ensure_running()
    assert (dsn.user, dsn.password) == ("luigi_traffic_writer", PASSWORD)
    assert ask(dsn, STATE) == (1, 1, 0, "on")
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(**replace(dsn, user="luigi_traffic").kwargs())
    # The writer replaces what the superuser made, the reader sees it.
    with closing(psycopg2.connect(**dsn.kwargs())) as conn, conn, conn.cursor() as cursor:
        cursor.execute("ALTER TABLE gold.tiny DETACH PARTITION gold.tiny_1")
        cursor.execute("DROP TABLE gold.tiny_1")
    reader = old.server.ensure_reader()
    assert ask(reader, "SELECT count(*) FROM gold.tiny") == (0,)
    assert ask(reader, "SELECT count(*) FROM meta.ledger") == (1,)
    assert old.server.ensure_running() == dsn
    old.server.stop()
    assert ask(old.server.ensure_running(), "SELECT 1") == (1,)


def test_a_server_that_is_in_use_is_left_alone(old: OldHome) -> None:
    dsn = Dsn("127.0.0.1", old.port, "luigi_traffic", "luigi_traffic", PASSWORD, "disable")
    with closing(psycopg2.connect(**dsn.kwargs())) as conn:
        with pytest.raises(SettingsError, match="has 1 other sessions"):
            old.server.ensure_running()
        with conn.cursor() as cursor:
            cursor.execute("SELECT 1")
    assert old.server.running()
    assert old.server.stop()  # `luigi-traffic down` knows it, too
    assert not old.server.running()
    assert ask(old.server.ensure_running(), STATE) == (1, 1, 0, "on")


def test_one_that_was_killed_comes_back(old: OldHome, monkeypatch: pytest.MonkeyPatch) -> None:
    # As outside of any container: all processes of the machine are seen.
    monkeypatch.setattr(leftovers, "pid_namespace", lambda: leftovers.FIRST_NAMESPACE)
    found = record(old.server)
    for process in postmaster.processes(found.name):
        process.kill()
    assert (old.data / "postmaster.pid").exists()
    assert ask(old.server.ensure_running(), STATE) == (1, 1, 0, "on")


def test_one_that_may_run_in_another_container_is_refused(
    old: OldHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "pid_namespace", lambda: "pid:[4026531999]")
    found = record(old.server)
    for process in postmaster.processes(found.name):
        process.kill()
    with pytest.raises(SettingsError, match=r"is unknown whether.*delete .*postmaster\.pid"):
        old.server.ensure_running()
    assert (old.data / "postmaster.pid").exists()
    (old.data / "postmaster.pid").unlink()
    assert ask(old.server.ensure_running(), STATE) == (1, 1, 0, "on")


def test_a_kill_on_the_way_is_made_up_for(old: OldHome, monkeypatch: pytest.MonkeyPatch) -> None:
    from luigi_traffic.processes.postgres import server_roles

    def killed() -> list[str]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(server_roles, "of_the_database", killed)
        with pytest.raises(KeyboardInterrupt):
            old.server.ensure_running()
    assert not record(old.server).prepared
    assert ask(old.server.ensure_running(), STATE) == (1, 1, 0, "on")


def test_data_without_a_record_is_adopted(old: OldHome) -> None:
    assert old.server.stop()
    (old.server.folder / "server.json").unlink()
    assert ask(old.server.ensure_running(), STATE) == (1, 1, 0, "on")
    assert isinstance(record(old.server), ServerRecord)
