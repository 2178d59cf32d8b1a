"""`luigi-traffic its-openapi-collect` as its user runs it, against a server of the tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import typer
from http_server import Answer
from typer.testing import CliRunner

from luigi_traffic import DataError, SourceError, TransientError
from luigi_traffic_its_openapi import (
    ItsOpenApi,
    ItsOpenApiSettings,
    luigi_traffic_commands,
    luigi_traffic_datasets,
)
from luigi_traffic_its_openapi.api import Api, Refused
from luigi_traffic_its_openapi.collector import Collector, Stop
from luigi_traffic_its_openapi.polls import Polls

ULSAN, SEOUL = (129.1, 129.48, 35.4, 35.7), (126.7, 127.2, 37.4, 37.7)
PREFIX = "LUIGI_TRAFFIC__DATASETS__ITS_OPENAPI__"


def now() -> datetime:
    return datetime(2024, 5, 31, 10, 5, 7)


@pytest.fixture
def collector(service, tmp_path: Path):
    from pydantic import SecretStr

    def make(**changes: object) -> Collector:
        values = {"url": service.url, "backoff_seconds": 0.01, "areas": [ULSAN, SEOUL], **changes}
        settings = ItsOpenApiSettings(folder=tmp_path / "polls", **values)
        api = Api(settings.url, SecretStr(service.key), settings.timeout)
        return Collector(api, settings, Polls(settings.polls_folder), now, Stop())

    service.areas = {
        ULSAN: [service.item("1920161400"), service.item("1920161500", "31.0")],
        SEOUL: [service.item("1000000301"), service.item("1920161500", "31.0")],
    }
    return make


def kept(folder: Path) -> list[list[str]]:
    return [
        [json.loads(line)["linkId"] for line in path.read_text().splitlines()]
        for path in sorted(folder.glob("*/*.jsonl"))
    ]


def test_a_poll_asks_for_every_area_and_keeps_one_file(collector, service, tmp_path) -> None:
    said = collector().poll()
    assert kept(tmp_path / "polls") == [["1920161400", "1920161500", "1000000301"]]
    assert said.startswith("3 links, newest of 20240531100500, in 20240531/20240531T100507")
    assert len(service.asked) == 2


def test_a_failure_that_passes_is_tried_again(collector, service, tmp_path) -> None:
    service.first = [Answer("x", 500), Answer("x", 503)]
    collector().poll()
    assert len(service.asked) == 4
    assert len(kept(tmp_path / "polls")) == 1


def test_one_that_stays_ends_the_poll_with_nothing_kept(collector, service, tmp_path) -> None:
    service.first = [Answer("x", 502)] * 9
    with pytest.raises(TransientError, match="answered 502"):
        collector(attempts=2).poll()
    assert len(service.asked) == 2
    assert kept(tmp_path / "polls") == []


def test_an_area_that_fails_leaves_nothing_of_the_others(collector, service, tmp_path) -> None:
    first = service.answer
    service.answer = lambda query: first(query) if len(service.asked) == 1 else {"header": {}}
    with pytest.raises(SourceError, match=r"header\.resultCode"):
        collector().poll()
    assert kept(tmp_path / "polls") == []


def test_areas_without_a_link_are_named(collector, service) -> None:
    service.areas = {}
    with pytest.raises(SourceError, match=r"no link in \[129\.1, 129\.48, 35\.4, 35\.7\], \["):
        collector().poll()


def test_a_service_goes_on_after_an_html_page_and_ends_at_a_refusal(
    collector, service, tmp_path, monkeypatch
) -> None:
    page = Answer("<html>maintenance</html>")
    refusal = json.dumps({"header": {"resultCode": "22", "resultMsg": "limit exceeded"}})
    at_work = collector(areas=[ULSAN])
    moments = [now()]
    polled: list[datetime] = []

    def wait(seconds: float) -> bool:
        moments.append(moments[-1] + timedelta(seconds=40))
        return False

    def poll(asked=at_work.poll) -> str:
        polled.append(moments[-1])
        service.first = {1: [page], 3: [Answer(refusal)]}.get(len(polled), [])
        return asked()

    monkeypatch.setattr(at_work, "_now", lambda: moments[-1])
    monkeypatch.setattr(at_work._stop, "wait", wait)
    monkeypatch.setattr(at_work, "poll", poll)
    with pytest.raises(Refused, match=r"resultCode '22', 'limit exceeded'"):
        at_work.run(300)
    assert len(kept(tmp_path / "polls")) == 1
    assert len(service.asked) == 3
    # At each multiple of 300 s by that clock, as far as it is looked at.
    assert [f"{at:%H:%M:%S}" for at in polled] == ["10:05:07", "10:10:27", "10:15:07"]


def command(home: Path, service, *words: str, **more: str) -> subprocess.Popen[str]:
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("LUIGI_TRAFFIC__")},
        "LUIGI_TRAFFIC_HOME": str(home),
        "LUIGI_TRAFFIC_CONF": str(home / "conf"),
        f"{PREFIX}URL": service.url,
        f"{PREFIX}AREAS": json.dumps([ULSAN]),
        f"{PREFIX}BACKOFF_SECONDS": "0.05",
        **more,
    }
    code = "from luigi_traffic.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, "its-openapi-collect", *words],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_one_poll_from_the_command_line(home, service) -> None:
    service.areas = {ULSAN: [service.item("1920161400")]}
    done = command(home, service, **{f"{PREFIX}API_KEY": service.key})
    out, err = done.communicate(timeout=120)
    assert done.returncode == 0, err
    assert out.startswith("1 links, newest of 20240531100500, in ")
    assert kept(home / "its_openapi") == [["1920161400"]]
    assert (home / "its_openapi" / "nodes.csv").exists()
    assert service.key not in out + err


def test_a_wrong_key_or_none_ends_with_exit_code_1(home, service) -> None:
    service.areas = {ULSAN: [service.item("1920161400")]}
    wrong = command(home, service, "--every", "1", **{f"{PREFIX}API_KEY": "not+this/one"})
    out, err = wrong.communicate(timeout=120)
    assert wrong.returncode == 1
    assert "luigi-traffic: " in err
    assert "refused: resultCode '30'" in err
    assert "not+this/one" not in out + err
    none = command(home, service)
    out, err = none.communicate(timeout=120)
    assert none.returncode == 1
    assert f"set {PREFIX}API_KEY" in err
    assert len(service.asked) == 1


def test_settings_come_from_files_and_their_errors_from_the_core(home, service) -> None:
    folder = home / "conf" / "datasets"
    folder.mkdir(parents=True)
    (folder / "its_openapi.yml").write_text("attemps: 3\n")
    done = command(home, service, **{f"{PREFIX}API_KEY": service.key})
    _, err = done.communicate(timeout=120)
    assert done.returncode == 1
    assert "unknown setting 'datasets.its_openapi.attemps'" in err
    assert "Did you mean 'attempts'?" in err
    (folder / "its_openapi.yml").write_text("api_key: s3cret\n")
    done = command(home, service)
    out, err = done.communicate(timeout=120)
    assert done.returncode == 1
    assert "secrets come from the environment only" in err
    assert "s3cret" not in out + err
    assert service.asked == []


def test_a_service_polls_until_sigterm_and_ends_with_exit_code_0(home, service) -> None:
    service.areas = {ULSAN: [service.item("1920161400")]}
    done = command(home, service, "--every", "1", **{f"{PREFIX}API_KEY": service.key})
    try:
        until = time.monotonic() + 100
        while len(kept(home / "its_openapi")) < 3 and time.monotonic() < until:
            assert done.poll() is None, done.communicate()
            time.sleep(0.1)
        done.send_signal(signal.SIGTERM)
        out, err = done.communicate(timeout=60)
    finally:
        done.kill()
    assert done.returncode == 0, err
    assert len(kept(home / "its_openapi")) >= 3
    assert err.count("1 links, newest of") == len(kept(home / "its_openapi"))
    assert not list((home / "its_openapi").glob("*/.*"))
    assert service.key not in out + err


def test_help_has_an_example_and_says_what_its_option_is() -> None:
    app = typer.Typer(rich_markup_mode=None)
    app.callback()(lambda: None)
    for function in luigi_traffic_commands():
        app.command()(function)
    shown = CliRunner().invoke(app, ["its-openapi-collect", "--help"]).output
    assert "luigi-traffic its-openapi-collect --every 300\n" in shown
    assert "SECONDS" in shown
    assert f"{PREFIX}API_KEY" in shown


def test_a_pipeline_run_loads_neither_typer_nor_requests() -> None:
    assert luigi_traffic_datasets() == [ItsOpenApi]
    code = (
        "import sys; from luigi_traffic_its_openapi import ItsOpenApi, ItsOpenApiSettings;"
        "d = ItsOpenApi(ItsOpenApiSettings()); d.source().recipe(); d.graph();"
        "print([n for n in ('typer', 'requests', 'pyspark', 'torch') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_file_that_is_none_of_ours_is_refused() -> None:
    dataset = ItsOpenApi(ItsOpenApiSettings())
    assert dataset.header('{"roadName":"x","linkId":"1920161400"}') is False
    for line in ("<html>", "20240531,0005,1920161400", '{"header":{"resultCode":0}}', ""):
        with pytest.raises(DataError, match="expected an item of the ITS OpenAPI"):
            dataset.header(line)
