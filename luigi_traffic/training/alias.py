"""The alias `champion` changes hands here, and each change is recorded: see `warehouse.champions`.

MLflow's alias says who is champion; the warehouse remembers who was, why, and who changed it. One
process at a time changes the alias of a model. It first settles what a crash, or somebody in
MLflow's UI, has left, so that the history is right whenever it is used.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from luigi_traffic.training import champion, registry
from luigi_traffic.training.registry import PARTITION_ID, Registered
from luigi_traffic.warehouse import champions
from luigi_traffic.warehouse.champions import PROMOTE, ROLLBACK, TRAINING, Change

if TYPE_CHECKING:
    from luigi_traffic.training.champion import Decision
    from luigi_traffic.warehouse.connection import Warehouse


class NoVersionBefore(Exception):
    """The history names no version that was champion before `holder`."""

    def __init__(self, holder: str | None) -> None:
        super().__init__(holder)
        self.holder = holder


@dataclass(frozen=True)
class _State:
    """Who has the alias, and how that came about."""

    holder: str | None
    known: list[Change]
    #: A change whose process was killed after it gave the alias, and before it said so.
    finished: Change | None


@dataclass(frozen=True)
class Alias:
    """The alias of the registered model `name`. Each method raises `StoreError`."""

    warehouse: Warehouse
    tracking_uri: str
    name: str

    def history(self) -> list[Change]:
        """All changes, the oldest first; nothing is written."""
        return self._look().known

    def follow(self, version: Registered, decision: Decision) -> None:
        """Record the decision of a training, and do what it says; may be repeated.

        What was done once is not done again: somebody may have taken it back since.
        """
        with self._alone() as now:
            gives = (
                decision.promoted
                and now.holder == decision.champion_version
                and version.version not in {change.version for change in now.known}
            )
            act = partial(champion.promote, self.tracking_uri, version, decision, give=gives)
            if gives:
                who = f"training {version.tags[PARTITION_ID]}"
                self._change(now.holder, version, TRAINING, decision.reason, who, act)
            else:
                act()

    def promote(self, version: Registered, reason: str) -> str | None:
        """Give it by hand; the version that had it before, None if none had."""
        with self._alone() as now:
            if now.holder != version.version:
                act = partial(champion.promote_by_hand, self.tracking_uri, version, reason)
                self._change(now.holder, version, PROMOTE, reason, _who(), act)
        return now.holder

    def roll_back(
        self, reason: str, usable: Callable[[str], Registered], dry_run: bool
    ) -> tuple[Change, bool]:
        """Give it back to the version before; the change, and whether it was only finished now.

        `usable` gives that version, or raises if it cannot forecast; then the alias stays. A
        rollback that was killed after it gave the alias back is not done a second time. With
        `dry_run` nothing is changed. Raises `NoVersionBefore`.
        """
        if dry_run:
            return self._rollback(self._look(), reason, usable)[0]
        with self._alone() as now:
            (change, finished), version = self._rollback(now, reason, usable)
            if version is not None:
                why = f"rollback from version {now.holder}: {reason}"
                act = partial(champion.promote_by_hand, self.tracking_uri, version, why)
                self._change(now.holder, version, ROLLBACK, reason, change.who, act)
            return change, finished

    def _rollback(
        self, now: _State, reason: str, usable: Callable[[str], Registered]
    ) -> tuple[tuple[Change, bool], Registered | None]:
        """What a rollback does, and the version that is to get the alias, None if it has it."""
        if now.finished is not None and now.finished.kind == ROLLBACK:
            return (now.finished, True), None
        before = champions.before_the_last(now.known)
        if before is None:
            raise NoVersionBefore(now.holder)
        change = Change(self.name, now.holder, before, ROLLBACK, reason, _who())
        return (change, False), usable(before)

    @contextmanager
    def _alone(self) -> Iterator[_State]:
        """What is known, repaired, while nobody else of us changes the alias."""
        with self.warehouse.connect() as held:
            champions.lock(held, self.name)
            now = self._look()
            self._repair(now.holder)
            yield now

    def _look(self) -> _State:
        found = registry.champion(self.tracking_uri, self.name)
        holder = None if found is None else found.version
        with self.warehouse.connect() as connection:
            written = champions.changes(connection, self.name)
        cut_off = [one for one in written if not one.done and one.version == holder]
        known = champions.settled(written, self.name, holder)
        return _State(holder, known, cut_off[-1] if cut_off else None)

    def _repair(self, holder: str | None) -> None:
        # In a transaction of its own, as `_change`: the lock's ends after MLflow's change.
        with self.warehouse.connect() as connection:
            champions.repair(connection, self.name, holder)

    def _change(
        self, before: str | None, version: Registered, kind: str, reason: str, who: str,
        act: Callable[[], object],
    ) -> None:  # fmt: skip
        """Say what is about to be done, do it, and see whether it was."""
        change = Change(self.name, before, version.version, kind, reason, who, done=False)
        with self.warehouse.connect() as connection:
            champions.add(connection, change)
        act()
        self._repair(self._look().holder)


def _who() -> str:
    """The person at the command line, for example kim@traffic-1."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"
