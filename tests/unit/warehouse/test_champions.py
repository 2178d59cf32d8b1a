"""The history of champions: recorded at each change, settled after a crash, followed backwards."""

from __future__ import annotations

import os
import signal
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from luigi_traffic.errors import DataError
from luigi_traffic.training import champion, registry
from luigi_traffic.training.alias import Alias, NoVersionBefore
from luigi_traffic.training.champion import Decision
from luigi_traffic.training.registry import Registered
from luigi_traffic.warehouse import champions
from luigi_traffic.warehouse.champions import Change, before_the_last, settled
from luigi_traffic.warehouse.connection import Warehouse

fork = get_context("fork")
NAME = "luigi_traffic.tiny"


def version(number: str) -> Registered:
    return Registered(NAME, number, "r", "", {"partition_id": f"p{number}"})


class Mlflow:
    """The alias in a file, so that a child process shares it."""

    def __init__(self, file: Path) -> None:
        self.file = file
        file.write_text("")

    @property
    def holder(self) -> str | None:
        return self.file.read_text() or None

    def champion(self, *_: object) -> Registered | None:
        return version(self.holder) if self.holder else None

    def by_hand(self, _uri: str, chosen: Registered, _reason: str) -> None:
        self.file.write_text(chosen.version)

    def promote(self, _uri: str, chosen: Registered, _decision: Decision, give: bool) -> None:
        if give:
            self.file.write_text(chosen.version)


@pytest.fixture
def mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mlflow:
    fake = Mlflow(tmp_path / "alias")
    monkeypatch.setattr(registry, "champion", fake.champion)
    monkeypatch.setattr(champion, "promote", fake.promote)
    monkeypatch.setattr(champion, "promote_by_hand", fake.by_hand)
    return fake


@pytest.fixture
def alias(warehouse: Warehouse, mlflow: Mlflow) -> Alias:
    return Alias(warehouse, "none", NAME)


def back(alias: Alias, dry_run: bool = False) -> str | None:
    return alias.roll_back("wrong", version, dry_run)[0].version


def told(alias: Alias) -> list[tuple[Any, ...]]:
    return [(one.kind, one.before, one.version) for one in alias.history()]


def better(than: str | None) -> Decision:
    return Decision(True, "champion: better", 3.0, 4.0, than)


def test_each_change_is_recorded_with_who_and_why(alias: Alias, mlflow: Mlflow) -> None:
    alias.follow(version("1"), better(None))
    alias.follow(version("2"), Decision(False, "not champion", 5.0, 4.0, "1"))
    assert alias.promote(version("2"), "a test") == "1"
    assert alias.promote(version("2"), "again") == "2"
    assert back(alias, dry_run=True) == "1" and mlflow.holder == "2"
    assert back(alias) == mlflow.holder == "1"
    changes = alias.history()
    assert told(alias) == [("training", None, "1"), ("promote", "1", "2"), ("rollback", "2", "1")]
    assert [one.who for one in changes[:1]] == ["training p1"]
    assert "@" in changes[1].who and changes[1].reason == "a test" and changes[1].at is not None
    # A training that is run again does not take back what a person has decided since.
    alias.follow(version("2"), better("1"))
    assert mlflow.holder == "1"


def test_two_rollbacks_lead_further_back_and_a_new_champion_counts_from_there(alias: Alias) -> None:
    for number in ("1", "2", "3"):
        alias.promote(version(number), "")
    assert [back(alias), back(alias)] == ["2", "1"]
    with pytest.raises(NoVersionBefore):
        back(alias)
    alias.promote(version("4"), "")
    assert back(alias) == "1"


def test_a_version_that_got_the_alias_before_the_history_began(
    alias: Alias, mlflow: Mlflow
) -> None:
    mlflow.file.write_text("7")
    with pytest.raises(NoVersionBefore):
        back(alias)
    assert told(alias) == []
    alias.promote(version("8"), "")
    assert back(alias) == "7"
    with pytest.raises(NoVersionBefore):
        back(alias)


def test_what_somebody_changed_in_mlflow_is_found(alias: Alias, mlflow: Mlflow) -> None:
    alias.promote(version("1"), "")
    mlflow.file.write_text("2")
    assert told(alias)[-1] == ("found", "1", "2")
    assert back(alias) == "1"
    mlflow.file.write_text("")  # the version was deleted, and its alias with it
    alias.promote(version("3"), "")
    assert told(alias)[-2:] == [("found", "1", None), ("promote", None, "3")]


def test_a_version_that_cannot_forecast_leaves_the_alias(alias: Alias, mlflow: Mlflow) -> None:
    def lost(number: str) -> Registered:
        raise DataError(f"version {number} is lost")

    for number in ("1", "2"):
        alias.promote(version(number), "")
    with pytest.raises(DataError, match="version 1 is lost"):
        alias.roll_back("", lost, False)
    assert mlflow.holder == "2" and len(alias.history()) == 2


@pytest.mark.parametrize("given", [True, False])
def test_killed_within_a_rollback_the_next_one_finishes_it(
    alias: Alias, mlflow: Mlflow, monkeypatch: pytest.MonkeyPatch, given: bool
) -> None:
    for number in ("1", "2", "3"):
        alias.promote(version(number), "")

    def die(_uri: str, chosen: Registered, _reason: str) -> None:
        if given:
            mlflow.file.write_text(chosen.version)
        os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patch:
        patch.setattr(champion, "promote_by_hand", die)
        child = fork.Process(target=lambda: back(alias))
        child.start()
        child.join(60)
    assert child.exitcode == -signal.SIGKILL
    assert mlflow.holder == ("2" if given else "3")
    assert len(told(alias)) == (4 if given else 3)
    change, finished = alias.roll_back("wrong", version, False)
    assert (change.version, finished, mlflow.holder) == ("2", given, "2")  # never 1
    assert told(alias)[-1] == ("rollback", "3", "2") and len(told(alias)) == 4
    with alias.warehouse.connect() as conn:
        assert all(one.done for one in champions.changes(conn, NAME))
    assert back(alias) == "1"


def test_what_a_crash_leaves_is_settled_by_the_alias() -> None:
    one = Change(NAME, None, "1", "training", "", "x", seq=1)
    two = Change(NAME, "1", "2", "training", "", "x", seq=2, done=False)
    assert [c.version for c in settled([one, two], NAME, "2")] == ["1", "2"]
    assert [c.version for c in settled([one, two], NAME, "1")] == ["1"]
    assert [c.version for c in settled([one, two], NAME, "3")] == ["1", "3"]
    assert settled([], NAME, "1") == []
    lost, again = (Change(NAME, *of, "found", "", "") for of in (("1", None), (None, "1")))
    assert before_the_last([one, lost, again]) is None
