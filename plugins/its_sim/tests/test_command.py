import shutil
import zipfile

import typer
import yaml
from typer.testing import CliRunner

from luigi_traffic import SettingsError
from luigi_traffic_its import Its, ItsSettings
from luigi_traffic_its_sim import luigi_traffic_commands


def run(*arguments):
    app = typer.Typer()
    app.callback()(lambda: None)
    for command in luigi_traffic_commands():
        app.command()(command)
    return CliRunner().invoke(app, ["simulate", *map(str, arguments)])


def test_its_reads_what_simulate_wrote_by_what_it_printed(tmp_path):
    out = tmp_path / "my {town} of 5%"
    answer = run("--links", 5, "--days", 2, "--start", "2024-02-29", "--out", out)
    assert answer.exit_code == 0, answer.output
    lines = answer.stdout.splitlines()
    block = "\n".join(line for line in lines if line.startswith(("url_", "node_", "links:")))
    its = Its(ItsSettings(**yaml.safe_load(block)))
    from datetime import date

    for day in (date(2024, 2, 29), date(2024, 3, 1)):
        with its.source().open(day) as streams:
            assert b"".join(next(streams).chunks)[:2] == b"PK"
    assert len(its.graph()) > 0
    assert its.settings.links == []
    for key in ("URL_TEMPLATE", "NODE_LINK_CSV", "LINKS"):
        assert f"export LUIGI_TRAFFIC__DATASETS__ITS__{key}=" in answer.stdout
    assert "simulating" in answer.stderr
    assert "simulating" not in answer.stdout


def test_another_town_is_not_mixed_in(tmp_path):
    assert run("--links", 3, "--days", 1, "--out", tmp_path).exit_code == 0
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    again = run("--links", 3, "--days", 1, "--out", tmp_path)
    assert again.exit_code == 0
    other = run("--links", 3, "--days", 1, "--seed", 9, "--out", tmp_path)
    assert isinstance(other.exception, SettingsError)
    assert "another town" in str(other.exception)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_wrong_options_name_themselves(tmp_path):
    for arguments, said in (
        (("--links", 0), "--links 0: expected 2 or more"),
        (("--links", -5), "--links -5: expected 2 or more"),
        (("--links", 20_000_000), "--links 20000000: expected 11312000 or fewer"),
        (("--days", 0), "--days 0: expected 1 or more"),
        (("--seed", -1), "--seed -1: expected 0 or more"),
        (("--start", "2024-13-01"), "--start '2024-13-01'"),
        (("--start", "9999-12-31", "--days", 9), "leaves room for 9 days"),
    ):
        answer = run(*arguments, "--out", tmp_path / "none")
        assert isinstance(answer.exception, SettingsError)
        assert said in str(answer.exception)
    assert not (tmp_path / "none").exists()
    (tmp_path / "file").write_text("")
    answer = run("--links", 2, "--days", 1, "--out", tmp_path / "file")
    assert isinstance(answer.exception, SettingsError)
    assert "cannot be written" in str(answer.exception)


def test_a_disk_too_small_for_all_days_is_named_before_the_first_is_written(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10**10))
    answer = run("--links", 600_000, "--every-slot", "--days", 30, "--out", tmp_path)
    assert isinstance(answer.exception, SettingsError)
    assert "62.33 GB are needed, but only 10.00 GB are free" in str(answer.exception)
    assert not list(tmp_path.glob("*.zip"))


def test_every_slot_is_written_only_if_asked_for(tmp_path):
    for name, options in (("some", ()), ("all", ("--every-slot",))):
        assert run("--links", 3, "--days", 1, *options, "--out", tmp_path / name).exit_code == 0
        with zipfile.ZipFile(tmp_path / name / "20240101_5Min.zip") as archive:
            lines = archive.read("20240101_5Min.csv").splitlines()[1:]
        times = {line.split(b",")[1] for line in lines}
        assert len(times) == 288 if options else 100 < len(times) < 220
