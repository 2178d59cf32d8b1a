"""The pages of docs/ and the README as a reader follows them: every block marked `run: e2e`.

One Spark session and one database serve all of them. What comes out is looked at besides: the
dataset and the model of the tutorials are real.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import requests
from doc_blocks import REPOSITORY, SHELL, Block, blocks, lines, pages, write_files
from model_server import model_server

from luigi_traffic.project import current
from luigi_traffic.training.registry import champion

DOCS = REPOSITORY / "docs"
#: In the order of a reader: the second goes on in the folder of the first.
TUTORIALS = [DOCS / "write-a-dataset.md", DOCS / "write-a-model.md"]
README = REPOSITORY / "README.md"
TINY = (
    '{"epochs": 1, "samples_per_epoch": 500, "validation_samples": 200, "evaluation_windows": 20}'
)


class Reader:
    """Somebody who types what the blocks say, in one folder."""

    def __init__(self, folder: Path, luigi_here) -> None:
        self.folder = folder
        self._luigi = luigi_here
        self._namespace: dict[str, object] = {}

    def follow(self, page: Path) -> dict[str, str]:
        """Run the page's blocks; what each command printed."""
        printed = {}
        for block in blocks(page):
            if block.mark != ("run", "e2e"):
                continue
            if block.language in SHELL:
                for line in lines(block):
                    printed[line] = self.type(line, block)
            else:
                exec(compile(block.text, str(block), "exec"), self._namespace)
        return printed

    def type(self, line: str, block: Block | Path) -> str:
        """A line of a shell. Luigi's commands run in this process, others in one of their own."""
        if line.startswith("luigi --module luigi_traffic.run "):
            words = [w for w in shlex.split(line)[3:] if w != "--local-scheduler"]
            code, output = self._luigi.run(*words)
        else:
            done = subprocess.run(
                ["bash", "-c", line], cwd=self.folder, capture_output=True, text=True, timeout=240
            )
            code, output = done.returncode, done.stdout + done.stderr
        # What the doctor finds is this machine's, and 1 is its answer to it.
        allowed = {0, 1} if line.startswith("luigi-traffic doctor") else {0}
        assert code in allowed, f"{block}: {line}\n{output}"
        return output


@pytest.fixture
def reader(tmp_path, monkeypatch, luigi_here) -> Reader:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LUIGI_TRAFFIC_HOME", str(folder / ".luigi_traffic"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return Reader(folder, luigi_here)


def test_every_block_to_be_run_here_is_of_a_page_that_is_run() -> None:
    marked = {page for page in pages() if any(b.mark == ("run", "e2e") for b in blocks(page))}
    assert marked == {*TUTORIALS, README}


@pytest.mark.timeout(600)
def test_the_tutorials_make_a_dataset_and_a_model_that_work(reader, capsys) -> None:
    for page in TUTORIALS:
        write_files(blocks(page), reader.folder)
    printed = reader.follow(TUTORIALS[0])
    assert "rivertown" in printed["luigi-traffic plugins list"]
    bronze = next(text for line, text in printed.items() if " Bronze " in line)
    # What the page says the log says, and what the Python block counts.
    (said,) = re.findall(r"The log says `(.+)`", TUTORIALS[0].read_text(encoding="utf-8"))
    assert said in bronze
    rows, rejected = re.findall(r"\d+", said)
    assert f"{rows} rows, {{'no observation': {rejected}}}" in capsys.readouterr().out
    ((count, upstream, downstream, slowest, fastest),) = current().warehouse.query(
        "SELECT count(*), count(t1), count(f1), min(speed), max(speed) FROM gold.rivertown", None
    )[1]
    assert count == int(rows) - int(rejected)
    assert 0 < upstream < count
    assert 0 < downstream < count
    assert 20 < slowest < fastest < 75

    printed = reader.follow(TUTORIALS[1])
    status = next(text for line, text in printed.items() if line.startswith("luigi-traffic status"))
    assert "small_gru" in status and "persistence" in status
    assert "data/2024-05-01.csv" in printed["luigi-traffic lineage"]
    ((forecasts, sensors),) = current().warehouse.query(
        "SELECT count(*), count(DISTINCT link_id) FROM forecast.rivertown WHERE kind = 'next'", None
    )[1]
    assert (forecasts, sensors) == (6 * 12, 6)
    assert_served_as_stored(reader, TUTORIALS[1])


def assert_served_as_stored(reader: Reader, page: Path) -> None:
    """What the page's server answers to the rows that the page sends is what the forecast has."""
    serve, rows, _ = [
        line for block in blocks(page) if block.mark and "server" in block.mark[1]
        for line in lines(block)
    ]  # fmt: skip
    reader.type(rows, page)
    holder = champion(current().settings.tracking_uri, "luigi_traffic.rivertown")
    assert holder is not None
    assert holder.tags["plugin"] == "small_gru, in a folder"
    sent = {"dataframe_records": json.loads((reader.folder / "rows.json").read_text())}
    assert serve.endswith("--port 5001")
    command = serve.removesuffix("5001") + "{port}"
    with model_server(command, reader.folder, os.environ) as address:
        answer = requests.post(address, json=sent, timeout=60)
    assert answer.status_code == 200, answer.text
    stored = current().warehouse.query(
        "SELECT timestamp, link_id, step, speed FROM forecast.rivertown WHERE kind = 'next'", None
    )[1]
    expected = {(time.isoformat(), link, step): speed for time, link, step, speed in stored}
    got = {(row["timestamp"], row["link_id"], row["step"]): row["speed"]
           for row in answer.json()["predictions"]}  # fmt: skip
    assert got == pytest.approx(expected, rel=0, abs=1e-5)


@pytest.mark.timeout(600)
def test_the_quick_start(reader) -> None:
    (reader.folder / "conf").symlink_to(REPOSITORY / "conf")
    # `make run`, with fewer days and a shorter training.
    run = (
        "luigi --module luigi_traffic.run FullPipeline --dataset its_sim --model stid "
        f"--window-days 2 --training {shlex.quote(TINY)}"
    )
    reader.type(run, README)
    try:
        printed = reader.follow(README)
    finally:
        reader.type("luigi-traffic down", README)
    (requirements,) = (reader.folder / ".luigi_traffic").rglob("model/requirements.txt")
    named = requirements.read_text().splitlines()
    stid = f"luigi-traffic-stid=={version('luigi-traffic-stid')}"
    assert {f"luigi_traffic=={version('luigi-traffic')}", stid} <= {*named}
    status = printed["luigi-traffic status"]
    assert "its_sim" in status and "stid" in status
    assert "sha256" in printed["luigi-traffic lineage"]
    (query,) = [text for line, text in printed.items() if line.startswith("luigi-traffic query")]
    assert "next" in query
