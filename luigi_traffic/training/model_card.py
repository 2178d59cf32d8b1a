"""What MLflow shows of a registered version: a short description in Markdown.

It says what the version forecasts, what it was made of, how good it is beside its baselines, and
what its limits are: those who find it in MLflow may know nothing else of it.
"""

from __future__ import annotations

from luigi_traffic.api.model import gold_columns
from luigi_traffic.training.bundle import Bundle
from luigi_traffic.training.evaluate import Evaluation
from luigi_traffic.training.fit_span import FitSpan
from luigi_traffic.training.report_facts import Origin
from luigi_traffic.training.scores import (
    MODEL,
    baseline_wins,
    horizon,
    in_order,
    shown,
    step_horizon,
    steps_in_order,
    win_lines,
    win_title,
)

#: As many characters as MLflow's database has room for.
LONGEST = 5000
#: Absent days that are named, and characters of the decision: the rest is in the report.
_DAYS, _DECISION = 10, 800

#: The config's `fill` → what the network sees of a missing value.
_FILLS = {
    "none": "nothing is filled in, and the forecast comes from what is there",
    "last": "the network sees the last value of the link within the window",
    "profile": "the network sees the link's typical value at this time of such a day",
}


def model_card(name: str, origin: Origin, bundle: Bundle, evaluation: Evaluation) -> str:
    """The description of the version of `name` that is about to be registered; 60 lines at most.

    `evaluation` is of its hold-out. At most `LONGEST` characters.
    """
    seconds = int(bundle.interval.total_seconds())
    wins = baseline_wins(evaluation.scores, seconds)
    unit = f" in {bundle.unit}" if bundle.unit else ""
    lines = [
        f"**{bundle.model.name} {bundle.model.version}** forecasts `{bundle.target}`{unit} of the "
        f"dataset `{bundle.dataset}`, for {_links(bundle)}: the next {bundle.shape.output_steps} "
        f"intervals of {horizon(seconds)} from the last {bundle.shape.input_steps}.",
        "",
        f"- **Made of** {_days(origin)}.",
        *_span(bundle),
        f"- **Decision**: {' '.join(origin.decision.split())[:_DECISION].rstrip('.')}.",
        f"- **Partition id** `{origin.partition_id}`: `luigi-traffic lineage "
        f"{origin.partition_id[:12]}` names each archive behind it.",
        "",
        f"### Errors on the hold-out: MAE{unit}",
        "",
        *_table(evaluation, seconds),
        "",
        f"{evaluation.windows:,} of {evaluation.windows_total:,} windows were scored, with targets "
        f"from {evaluation.first_target} to {evaluation.last_target}. Values that were not "
        "observed are not scored.",
        "",
        win_title(wins),
        *(f"- {line}" for line in win_lines(wins)),
        "",
        "### Use and limits",
        "",
        *(f"- {line}" for line in _limits(bundle)),
        "",
        "### Load and serve",
        "",
        "VERSION is the number of this version; MLFLOW_TRACKING_URI is to name this MLflow.",
        "",
        "```python",
        "import mlflow",
        f'model = mlflow.pyfunc.load_model("models:/{name}/VERSION")',
        f"model.predict(rows)  # a pandas table: {', '.join(_columns(bundle))}",
        "```",
        "```sh",
        f"mlflow models serve --model-uri models:/{name}/VERSION --env-manager local",
        f"luigi-traffic models {bundle.dataset}  # all versions, and which one is champion",
        "```",
    ]
    card = "\n".join(lines)
    return card if len(card) <= LONGEST else f"{card[: LONGEST - 1]}…"


def _links(bundle: Bundle) -> str:
    count = len(bundle.links)
    return f"{count:,} link{'' if count == 1 else 's'}"


def _days(origin: Origin) -> str:
    days, absent = origin.days, list(origin.absent_days)
    text = f"gold of {len(days)} day{'' if len(days) == 1 else 's'}, {days[0]} to {days[-1]}"
    if not absent:
        return text
    more = f" and {len(absent) - _DAYS} more" if len(absent) > _DAYS else ""
    return f"{text}, without the absent days {', '.join(absent[:_DAYS])}{more}"


def _span(bundle: Bundle) -> list[str]:
    span, scored = bundle.fit_span, bundle.comparable.fit_span
    if span is None or scored is None:
        return []
    if bundle.scored is None:
        return [f"- **Trained on** {_text(span)}, validation included."]
    return [
        f"- **Trained on** {_text(span)}. The errors below are those of the same network before, "
        f"trained on {_text(scored)}, which did not know the hold-out."
    ]


def _text(span: FitSpan) -> str:
    return f"{span.first:%Y-%m-%d %H:%M} to {span.last:%Y-%m-%d %H:%M}"


def _table(evaluation: Evaluation, seconds: int) -> list[str]:
    scores = evaluation.scores
    steps = steps_in_order(scores[MODEL])
    rows = [["", *(step_horizon(step, seconds) for step in steps)], ["---"] * (len(steps) + 1)]
    for name in in_order(scores):
        found = [scores[name][step]["mae"] for step in steps]
        cells = ["–" if value is None else shown("mae", value) for value in found]
        rows.append([f"**{name}**" if name == MODEL else name, *cells])
    return [f"| {' | '.join(row)} |" for row in rows]


def _limits(bundle: Bundle) -> list[str]:
    if bundle.model.per_link:
        links = (
            "It forecasts each link by itself, also a link that its training did not have; how "
            "good it is there was not measured."
        )
    else:
        links = (
            "It forecasts the links of its training together and knows no others: a link that is "
            "new gets no forecast, and a served model refuses its rows. If links have changed, "
            "train again."
        )
    return [
        links,
        f"If input is missing (null, or no row), {_FILLS[bundle.config.fill]}: `observed` in the "
        "table of forecasts says how much was there.",
        f"Timestamps are local times of the dataset ({bundle.context.timezone}) without a zone. "
        "Other units or intervals than those of its training need a training of their own.",
        "The errors were measured on these days alone: what did not happen on them, such as "
        "another season, a closed road or a holiday, was not measured.",
    ]


def _columns(bundle: Bundle) -> list[str]:
    read = gold_columns(bundle.shape.channels)
    return ["timestamp", "link_id", *dict.fromkeys([bundle.target, *read])]
