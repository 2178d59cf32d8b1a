"""Champion or not: the decision, its record, and the alias.

The decision is written to the version's tags first and acted on after; a rerun after a
crash in between finds it and acts. Only a strictly smaller error on the same hold-out
takes the alias. A champion that MLflow has lost is compared by the error that is recorded of it:
a loss makes no worse model champion.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from luigi_traffic.training.mlflow_store import store
from luigi_traffic.training.registry import CHAMPION, Registered, champion_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from luigi_traffic.warehouse.ledger import LedgerRow

DECISION = "decision"


@dataclass(frozen=True)
class Decision:
    """Who forecasts from now on, and why. MAE in the dataset's unit."""

    promoted: bool
    reason: str
    challenger_mae: float
    champion_mae: float | None = None
    champion_version: str | None = None


def decide(
    challenger_mae: float, champion_mae: float | None = None, champion_version: str | None = None
) -> Decision:
    """Compare mean MAEs of challenger and champion (see `evaluate.compare`).

    No `champion_version`: there is none yet. No `champion_mae` though there is a
    champion: it could not be scored (its plugin is gone or changed), and gives way.
    """
    if champion_version is None:
        reason, promoted = "champion as the first version", True
    elif champion_mae is None:
        reason = f"champion, because version {champion_version} can no longer be scored"
        promoted = True
    else:
        promoted = challenger_mae < champion_mae
        outcome, verb = ("champion", "beats") if promoted else ("not champion", "does not beat")
        reason = (
            f"{outcome}: {challenger_mae:.4f} {verb} {champion_mae:.4f} of version "
            f"{champion_version} on the same hold-out"
        )
    return Decision(promoted, reason, challenger_mae, champion_mae, champion_version)


def decide_lost(challenger_mae: float, lost: Lost) -> Decision:
    """Compare with the recorded MAE of a champion that MLflow has lost, of another hold-out."""
    if lost.mae is None:
        promoted = True
        reason = f"champion, because {lost} is lost in MLflow and no MAE of it is recorded"
    else:
        promoted = challenger_mae < lost.mae
        outcome, verb = ("champion", "beats") if promoted else ("not champion", "does not beat")
        reason = (
            f"{outcome}: {challenger_mae:.4f} {verb} {lost.mae:.4f}, recorded on its own hold-out "
            f"of {lost}, which is lost in MLflow"
        )
    return Decision(promoted, reason, challenger_mae, lost.mae, lost.holds)


@dataclass(frozen=True)
class Lost:
    """A champion that MLflow has lost, in whole or its files. `mae` is what is recorded of it."""

    name: str
    version: str
    mae: float | None
    #: What is lost.
    what: str
    #: Its version if it carries the alias still, None if nobody does.
    holds: str | None = None

    def __str__(self) -> str:
        return f"version {self.version}"

    @property
    def warning(self) -> str:
        """What is lost, and what to do."""
        return (
            f"the champion of {self.name}, version {self.version}, is lost: {self.what}. Restore "
            "it in MLflow, or let it be trained again (luigi-traffic verify --mark, then the same "
            f"run), or give the alias {CHAMPION!r} to another version in MLflow. Until then a new "
            "model becomes champion only if it beats the MAE that is recorded of it"
        )


def lost_holder(holder: Registered, what: object) -> Lost:
    """The version that carries the alias, and cannot be read."""
    decision = recorded(holder)
    mae = decision.challenger_mae if decision else None
    return Lost(holder.name, holder.version, mae, str(what), holder.version)


def lost_before(rows: Iterable[LedgerRow]) -> Lost | None:
    """The last champion by the ledger's rows of models, if no version carries the alias."""
    promoted = [row for row in rows if row.details.get("promoted")]
    if not promoted:
        return None
    details = max(promoted, key=lambda row: str(row.committed_at)).details
    return Lost(
        details["name"],
        details["version"],
        details["scores"]["model"]["mean"]["mae"],
        f"the ledger knows it, but no version in MLflow carries the alias {CHAMPION!r}",
    )


def recorded(version: Registered) -> Decision | None:
    """The decision in a version's tags."""
    text = version.tags.get(DECISION)
    return None if text is None else Decision(**json.loads(text))


def promote(tracking_uri: str, version: Registered, decision: Decision) -> bool:
    """Record `decision` and give the alias if it says so. May be repeated.

    True if `version` is the champion afterwards. The alias is left alone if it has
    meanwhile moved to a version that this decision did not know.
    """
    from mlflow.exceptions import MlflowException

    with store(tracking_uri) as client:
        # MLflow looks for a tag or an alias, and inserts it if there is none: if two runners do it
        # at once, the call of one of them fails. Its row is there the next time.
        for _ in (DECISION, CHAMPION):
            try:
                return _promote(client, version, decision)
            except MlflowException as error:
                if error.error_code != "BAD_REQUEST":
                    raise
        return _promote(client, version, decision)


def _promote(client: MlflowClient, version: Registered, decision: Decision) -> bool:
    text = json.dumps(asdict(decision), sort_keys=True)
    client.set_model_version_tag(version.name, version.version, DECISION, text)
    now = champion_of(client, version.name)
    if now is not None and now.version == version.version:
        return True
    if not decision.promoted or (now and now.version) != decision.champion_version:
        return False
    client.set_registered_model_alias(version.name, CHAMPION, version.version)
    return True
