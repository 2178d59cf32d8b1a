from __future__ import annotations

import sys
from dataclasses import replace
from datetime import date

import pytest

from luigi_traffic import cli
from luigi_traffic.commands import listen
from luigi_traffic.commands.group_filter import filters
from luigi_traffic.errors import PluginError, SettingsError
from luigi_traffic.events.received import DayWanted
from luigi_traffic.project import current

DAY = DayWanted("e", "its", date(2024, 1, 10))


def test_the_command_of_a_day():
    assert listen.words("Gold", DAY, ["--local-scheduler"]) == [
        sys.executable, "-m", "luigi", "--module", "luigi_traffic.run", "Gold",
        "--dataset", "its", "--date", "2024-01-10", "--local-scheduler",
    ]  # fmt: skip


def test_tasks_of_a_day_are_those_that_take_a_dataset_and_a_date():
    assert listen.day_tasks() == [
        "AnnounceRaw", "Bronze", "Drift", "Evaluate", "Forecast", "FullPipeline", "Gold",
        "IngestRaw", "Insight", "RetrainIfNeeded", "Silver", "Train",
    ]  # fmt: skip
    listen.check_task("Gold", None)
    with pytest.raises(SettingsError, match="Did you mean 'Silver'"):
        listen.check_task("Sliver", None)


def test_the_full_pipeline_needs_a_first_day():
    with pytest.raises(SettingsError, match="--from"):
        listen.check_task("FullPipeline", None)
    listen.check_task("FullPipeline", date(2024, 1, 1))


TOPICS = {"a": "all", "b": "all", "c": "own"}


def test_what_is_wanted_of_a_topic():
    found = filters(TOPICS, "Gold", date(2024, 1, 10), ["--model", "m", "--window-days=3"])
    shared = {"task": "Gold", "from": "2024-01-10", "arguments": ["--model m", "--window-days 3"]}
    assert found == {
        "all": {"datasets": ["a", "b"], **shared},
        "own": {"datasets": ["c"], **shared},
    }


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("--model m --window-days 3", "--window-days=3 --model=m", True),
        ("--model m", "--model m --local-scheduler --workers 4 --worker-keep-alive", True),
        (
            "--scheduler-host a --model m",
            "--model m --scheduler-url http://b --log-level=INFO",
            True,
        ),
        ("--model m", "--model n", False),
        ("--model m", "", False),
        ("--training {}", '--training {"epochs":3}', False),
    ],
)
def test_options_that_say_how_a_run_is_carried_out_may_differ(one, other, same):
    found = [filters(TOPICS, "Gold", None, words.split()) for words in (one, other)]
    assert (found[0] == found[1]) is same


def test_a_listener_of_another_filter_is_refused_before_it_joins(empty, monkeypatch, anew):
    """It was let in, and each passed over what only the other wanted."""
    monkeypatch.setenv("LUIGI_TRAFFIC__EVENTS__KIND", "kafka")
    anew()

    class Joined(Exception):
        pass

    def join(*_: object) -> None:
        raise Joined

    monkeypatch.setattr(listen, "ensure_topics", lambda *_: None)
    monkeypatch.setattr(listen, "Stream", join)
    everything = listen.Options(datasets=["tiny"])
    with pytest.raises(Joined):
        listen.listen(current(), everything)
    for refused in (
        replace(everything, first=date(2024, 1, 10)),
        replace(everything, task="Silver"),
        replace(everything, task="Train", luigi_arguments=["--model", "tiny_model"]),
    ):
        with pytest.raises(SettingsError, match=r"group 'luigi_traffic' reads topic traffic\.tiny"):
            listen.listen(current(), refused)
        with pytest.raises(Joined):
            listen.listen(current(), replace(refused, group=str(refused.task) + str(refused.first)))
    with pytest.raises(Joined):
        listen.listen(current(), replace(everything, luigi_arguments=["--workers", "2"]))


def test_the_journal_cannot_be_listened_to(empty):
    with pytest.raises(SettingsError, match=r"events\.kind is 'journal'.*stack"):
        listen.listen(current(), listen.Options())


def test_a_dataset_that_nobody_provides_is_told_before_anything_is_connected(
    empty, monkeypatch, anew
):
    monkeypatch.setenv("LUIGI_TRAFFIC__EVENTS__KIND", "kafka")
    anew()
    with pytest.raises(PluginError, match="'tinny'"):
        listen.listen(current(), listen.Options(datasets=["tinny"]))


def test_options_of_the_command_line(monkeypatch):
    from typer.testing import CliRunner

    given = []
    monkeypatch.setattr(listen, "listen", lambda _, options: given.append(options))
    words = ["--dataset", "a", "--dataset", "b", "--task", "Silver", "--group", "g",
             "--from", "2024-01-10", "--until-idle", "2.5", "--", "--workers", "2"]  # fmt: skip
    for line in (words, []):
        done = CliRunner().invoke(cli.app, ["listen", *line])
        assert done.exit_code == 0, done.output
    assert given == [
        listen.Options(["a", "b"], "Silver", "g", date(2024, 1, 10), 2.5, ["--workers", "2"]),
        listen.Options((), "Gold", "", None, None, ()),
    ]
