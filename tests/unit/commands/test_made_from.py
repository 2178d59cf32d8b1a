"""From an archive or a day to all that was made of it: exactly what leads back to it."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from luigi_traffic.cli import app
from luigi_traffic.commands import lineage, made_from
from luigi_traffic.errors import DataError, SettingsError
from luigi_traffic.project import current
from luigi_traffic.recipe import Input
from luigi_traffic.warehouse import ledger

FIRST, LAST = date(2024, 5, 1), date(2024, 5, 2)
STAGES = ("gold", "model", "forecast", "evaluation")


def below(partition_id: str) -> set[str]:
    return {row["id"] for row in lineage.rows(current(), None, partition_id, None)}


def above(what: str, dataset: str | None = None) -> set[str]:
    return {row["id"] for row in made_from.rows(current(), what, dataset)}


def test_which_models_and_forecasts_saw_a_day(filled) -> None:
    project = current()
    ids = {row["id"] for row in made_from.rows(project, str(FIRST), "tiny")}
    known = lineage.Known(project.warehouse, project.catalog)
    assert ids == {one for one in known.ids if ids & below(one) and one in ids}
    rows = made_from.rows(project, str(FIRST), None)
    stages = [row["stage"] for row in rows if not row["repeated"]]
    assert sorted(stages) == sorted(
        ["raw", "announce", "bronze", "silver", "gold", "model", "forecast"]
    )
    (model,) = [row for row in rows if row["stage"] == "model" and not row["repeated"]]
    assert (model["name"], model["version"]) == ("luigi_traffic.tiny", "1")
    archive = f"sha256:{FIRST.day:064x}"
    assert above(archive) == ids | {archive}
    gold = next(row for row in rows if row["stage"] == "gold")
    assert above(gold["id"][:12]) == {
        row["id"] for row in rows if row["stage"] in ("gold", "model", "forecast")
    }


@settings(max_examples=25, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(st.lists(st.tuples(st.sampled_from(STAGES), st.sets(st.integers(0, 11))), max_size=12))
def test_it_is_the_lineage_the_other_way_round(cleared, drawn) -> None:
    """Any ledger: each partition is made of some of those before it."""
    with current().warehouse.connect() as connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM meta.ledger")
        made: list[str] = []
        for number, (stage, inputs) in enumerate(drawn):
            of = [Input(drawn[at][0], str(at), made[at]) for at in sorted(inputs) if at < number]
            made.append(f"{number:032x}"[::-1])
            assert ledger.write(connection, ledger.LedgerRow(
                stage, "tiny", str(number), made[-1], {}, of, 1, "sum",
                {"name": "n", "version": str(number)},
            ))  # fmt: skip
    down = {one: below(one) for one in made}
    for one in made:
        assert above(one) == {other for other in made if one in down[other]}


def test_another_day_was_not_made_of_it(cleared) -> None:
    cleared.commit_day(FIRST)
    before = above(str(FIRST), "tiny")
    assert len(before) == 5
    with pytest.raises(DataError, match=f"no raw partition of {LAST}"):
        above(str(LAST), "tiny")
    cleared.commit_day(LAST)
    assert above(str(FIRST), "tiny") == before


def test_wrong_questions(filled) -> None:
    with pytest.raises(SettingsError, match="not a day of the calendar"):
        above("2024-02-30", "tiny")
    with pytest.raises(DataError, match="no archives' sha256"):
        above("sha256:abcdef")
    with pytest.raises(DataError, match="2 archives' sha256"):
        above("sha256:000000")
    with pytest.raises(DataError, match="at least 6 digits"):
        above("sha256:0")
    with pytest.raises(DataError, match="no partition has the id"):
        above("abcdef")
    with pytest.raises(DataError, match="no raw partition"):
        above(str(FIRST - timedelta(days=9)), "tiny")
    assert CliRunner().invoke(app, ["lineage", "--made-from", "x", "--model", "1"]).exit_code == 2


def test_a_tree_and_how_much_there_is(filled) -> None:
    done = CliRunner().invoke(app, ["lineage", "--made-from", str(FIRST), "--dataset", "tiny"])
    assert done.exit_code == 0 and done.output.startswith(f"raw tiny {FIRST}")
    assert "made of it: announce 1, bronze 1, silver 1, gold 1, forecast 1, model 1" in done.output
