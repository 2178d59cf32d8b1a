"""Champion or not: the decision, its record, and the alias.

The decision is written to the version's tags first and acted on after; a rerun after a
crash in between finds it and acts. A challenger takes the alias only if it is better than the
champion on enough days that neither was fitted on, by a margin that luck alone seldom gives. A
champion that cannot be compared stays. One that MLflow has lost is compared by the error that is
recorded of it: a loss makes no worse model champion.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from luigi_traffic.training.mlflow_store import store
from luigi_traffic.training.registry import CHAMPION, Registered, champion_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from luigi_traffic.settings.training_keys import PromotionSettings
    from luigi_traffic.training.comparison import Comparison
    from luigi_traffic.warehouse.ledger import LedgerRow

DECISION = "decision"
#: The share of the links that a champion must know to be compared.
KNOWN_LINKS = 0.9


@dataclass(frozen=True)
class Decision:
    """Who forecasts from now on, and why. MAE in the dataset's unit, of the targets compared.

    It is read from the tags of versions that earlier versions of this program registered: a new
    field needs a default.
    """

    promoted: bool
    reason: str
    challenger_mae: float | None
    champion_mae: float | None = None
    champion_version: str | None = None


def decide_first(mae: float) -> Decision:
    """There is no champion yet."""
    return Decision(True, "champion as the first version", mae)


def decide(
    mae: float, comparison: Comparison, version: str, settings: PromotionSettings
) -> Decision:
    """Against the champion, which is `version`.

    `mae` is the challenger's on its whole hold-out; it is recorded if the two are not compared. A
    champion that does not know the links of today gives way: it can forecast few of them, or none.
    """
    if comparison.links < KNOWN_LINKS * comparison.links_total:
        reason = (
            f"champion, because version {version} forecasts only {comparison.links:,} of the "
            f"{comparison.links_total:,} links"
        )
        return Decision(True, reason, mae, None, version)
    days, share = comparison.days, comparison.seen_share
    if days < settings.min_days:
        found = "no day" if not days else "only 1 day" if days == 1 else f"only {days} days"
        why = "a longer window has a longer hold-out"
        if share:
            why = f"it was trained on {_percent(share)} of this hold-out"
        return Decision(
            False,
            f"not champion: {found} of its hold-out can be compared, since models are compared on "
            f"what neither was trained on, and {settings.min_days} days are needed "
            f"(promotion.min_days). Version {version} stays champion; {why}",
            mae,
            None,
            version,
        )
    ours, theirs = comparison.challenger_mae, comparison.champion_mae
    least, needed = comparison.least_gain(settings.confidence), settings.margin * theirs
    promoted = least > needed
    links = ""
    if comparison.links < comparison.links_total:
        links = f" and {comparison.links:,} of {comparison.links_total:,} links"
    left_out = ""
    if share:
        left_out = f" ({_percent(share)} of the hold-out is left out: version {version} knows it)"
    reason = (
        f"{'champion' if promoted else 'not champion'}: MAE {ours:.4f} against {theirs:.4f} of "
        f"version {version} on {days} days{links} that neither was trained on{left_out}"
    )
    if comparison.gain > 0:
        reason += (
            f". The gain of {comparison.gain:.4f} is at least {least:.4f} with "
            f"{_percent(settings.confidence)} confidence; more than {needed:.4f} is needed"
        )
    return Decision(promoted, reason, ours, theirs, version)


def keep(mae: float, version: str, error: Exception) -> Decision:
    """The champion cannot be compared, for example since its plugin is missing: it stays."""
    cause = str(error).partition("\n")[0].removesuffix(".")
    reason = (
        f"not champion: version {version} stays champion, though it cannot be compared: {cause}"
    )
    return Decision(False, reason, mae, None, version)


def keep_warning(name: str, version: str, error: Exception) -> str:
    """What a user can do about a champion that cannot be compared."""
    return (
        f"version {version} of {name} stays champion, though it cannot be compared with the new "
        f"model: {error}\nUntil it can, no new model becomes champion. If its plugin is missing or "
        "of another version, install the one it was trained with; or choose another champion "
        "(luigi-traffic promote), and new models are compared with that one"
    )


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
            f"of {lost}, which is lost in MLflow; that is no fair comparison"
        )
    return Decision(promoted, reason, challenger_mae, lost.mae, lost.holds)


def decide_again(mae: float, lost: Lost) -> Decision:
    """The lost champion itself was trained again: it cannot beat its own record."""
    reason = f"champion, because it is {lost}, which was lost in MLflow, trained again"
    return Decision(True, reason, mae, lost.mae, lost.holds)


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
            "run), or choose another champion (luigi-traffic promote). Until then a new model "
            "becomes champion only if it beats the MAE that is recorded of it"
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


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def recorded(version: Registered) -> Decision | None:
    """The decision in a version's tags."""
    return recorded_in(version.tags)


def recorded_in(tags: Mapping[str, str]) -> Decision | None:
    """The decision in the tags of a version."""
    text = tags.get(DECISION)
    return None if text is None else Decision(**json.loads(text))


def promote(
    tracking_uri: str, version: Registered, decision: Decision, *, give: bool = True
) -> bool:
    """Record `decision` and give the alias if it says so, and with `give`. May be repeated.

    True if `version` is the champion afterwards. The alias is left alone if it has
    meanwhile moved to a version that this decision did not know. Call it through `alias`, which
    keeps the history.
    """
    from mlflow.exceptions import MlflowException

    with store(tracking_uri) as client:
        # MLflow looks for a tag or an alias, and inserts it if there is none: if two runners do it
        # at once, the call of one of them fails. Its row is there the next time.
        for _ in (DECISION, CHAMPION):
            try:
                return _promote(client, version, decision, give)
            except MlflowException as error:
                if error.error_code != "BAD_REQUEST":
                    raise
        return _promote(client, version, decision, give)


def promote_by_hand(tracking_uri: str, version: Registered, reason: str) -> str | None:
    """Give the alias, and record why; the version that had it before, None if none had.

    Nothing is recorded if it has the alias already. Call it through `alias`, as `promote`.
    """
    with store(tracking_uri) as client:
        now = champion_of(client, version.name)
        if now is not None and now.version == version.version:
            return now.version
        before = None if now is None else now.version
        known = recorded(version)
        decision = Decision(
            True,
            f"champion, by hand: {reason}",
            known.challenger_mae if known else None,
            known.champion_mae if known else None,
            before,
        )
        text = json.dumps(asdict(decision), sort_keys=True)
        client.set_model_version_tag(version.name, version.version, DECISION, text)
        client.set_registered_model_alias(version.name, CHAMPION, version.version)
        return before


def _promote(client: MlflowClient, version: Registered, decision: Decision, give: bool) -> bool:
    text = json.dumps(asdict(decision), sort_keys=True)
    client.set_model_version_tag(version.name, version.version, DECISION, text)
    now = champion_of(client, version.name)
    if now is not None and now.version == version.version:
        return True
    if not give or not decision.promoted or (now and now.version) != decision.champion_version:
        return False
    client.set_registered_model_alias(version.name, CHAMPION, version.version)
    return True
