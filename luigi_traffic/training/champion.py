"""Champion or not: the decision, its record, and the alias.

The decision is written to the version's tags first and acted on after; a rerun after a
crash in between finds it and acts. Only a strictly smaller error on the same hold-out
takes the alias.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from luigi_traffic.training.mlflow_store import store
from luigi_traffic.training.registry import CHAMPION, Registered, champion_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

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
