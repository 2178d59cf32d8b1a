from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from luigi_traffic.errors import SettingsError
from luigi_traffic.warehouse.dsn import Dsn

DSN = Dsn("db", 5432, "traffic", "writer", "the-password", "verify-full", Path("/ca.pem"))


def test_no_password_is_shown_or_sent() -> None:
    assert "the-password" not in f"{DSN} {DSN!r}"
    assert b"the-password" not in pickle.dumps(DSN)


def test_executors_read_it_from_their_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUIGI_TRAFFIC__WAREHOUSE__PASSWORD", "the-password")
    found = pickle.loads(pickle.dumps(DSN))
    assert found == DSN
    assert found.kwargs()["sslrootcert"] == "/ca.pem"


def test_or_from_the_file_of_an_embedded_server(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("from-the-file")
    dsn = Dsn("db", 1, "d", "u", "from-the-file", password_file=tmp_path / "password")
    assert pickle.loads(pickle.dumps(dsn)) == dsn


def test_an_executor_without_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LUIGI_TRAFFIC__WAREHOUSE__PASSWORD", raising=False)
    sent = pickle.dumps(DSN)
    with pytest.raises(SettingsError, match="for the Spark workers when they are started"):
        pickle.loads(sent)
