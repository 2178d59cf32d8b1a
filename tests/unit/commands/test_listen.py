from __future__ import annotations

import sys
from datetime import date

import pytest

from luigi_traffic import cli
from luigi_traffic.commands import listen
from luigi_traffic.errors import PluginError, SettingsError
from luigi_traffic.events.received import DayWanted

DAY = DayWanted("e", "its", date(2024, 1, 10))


def test_the_command_of_a_day():
    assert listen.words("Gold", DAY, ["--local-scheduler"]) == [
        sys.executable, "-m", "luigi", "--module", "luigi_traffic.run", "Gold",
        "--dataset", "its", "--date", "2024-01-10", "--local-scheduler",
    ]  # fmt: skip


def test_tasks_of_a_day_are_those_that_take_a_dataset_and_a_date():
    assert listen.day_tasks() == [
        "AnnounceRaw", "Bronze", "Forecast", "FullPipeline", "Gold", "IngestRaw", "Silver", "Train",
    ]  # fmt: skip
    listen.check_task("Gold", None)
    with pytest.raises(SettingsError, match="Did you mean 'Silver'"):
        listen.check_task("Sliver", None)


def test_the_full_pipeline_needs_a_first_day():
    with pytest.raises(SettingsError, match="--from"):
        listen.check_task("FullPipeline", None)
    listen.check_task("FullPipeline", date(2024, 1, 1))


def test_the_journal_cannot_be_listened_to(empty):
    with pytest.raises(SettingsError, match=r"events\.kind is 'journal'.*stack"):
        listen.listen(listen.Options())


def test_a_dataset_that_nobody_provides_is_told_before_anything_is_connected(
    empty, monkeypatch, anew
):
    monkeypatch.setenv("LUIGI_TRAFFIC__EVENTS__KIND", "kafka")
    anew()
    with pytest.raises(PluginError, match="'tinny'"):
        listen.listen(listen.Options(datasets=["tinny"]))


def test_options_of_the_command_line(monkeypatch):
    from typer.testing import CliRunner

    given = []
    monkeypatch.setattr(listen, "listen", given.append)
    words = ["--dataset", "a", "--dataset", "b", "--task", "Silver", "--group", "g",
             "--from", "2024-01-10", "--until-idle", "2.5", "--", "--workers", "2"]  # fmt: skip
    for line in (words, []):
        done = CliRunner().invoke(cli.app, ["listen", *line])
        assert done.exit_code == 0, done.output
    assert given == [
        listen.Options(["a", "b"], "Silver", "g", date(2024, 1, 10), 2.5, ["--workers", "2"]),
        listen.Options((), "Gold", "", None, None, ()),
    ]
