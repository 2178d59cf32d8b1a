"""The simulated present: what it shows at a moment, and how the service answers and fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, date, datetime
from http.client import RemoteDisconnected
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
import typer
from typer.testing import CliRunner

from luigi_traffic import SettingsError
from luigi_traffic_its_sim import ItsSimSettings, luigi_traffic_commands
from luigi_traffic_its_sim.service import REPORTED_AFTER, Service, last_slot
from luigi_traffic_its_sim.service_http import PATH, Conduct, Pages, Server, Span
from luigi_traffic_its_sim.town import Town

DAY, NEXT = date(2024, 6, 3), date(2024, 6, 4)
SEOUL = ZoneInfo("Asia/Seoul")
SETTINGS = ItsSimSettings(links_count=12, dropout=0.5, duplicates=0.2, implausible=0.05, start=DAY)
AREA = {"apiKey": "sim", "minX": "129.1", "maxX": "129.5", "minY": "35.4", "maxY": "35.7"}


@pytest.fixture(scope="module")
def town() -> Iterator[Town]:
    """The town of those settings, whose days are simulated once for all tests."""
    town, kept = Town(SETTINGS), {}
    simulate = Town.observations

    def observations(town: Town, day: date):
        if day not in kept:
            kept[day] = simulate(town, day)
        return kept[day]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Town, "observations", observations)
        yield town


@pytest.fixture
def service(town: Town) -> Service:
    return Service(SETTINGS)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SEOUL)


def rows(town: Town) -> list[tuple[datetime, str, str, str]]:
    """When each row of the files of both days was made, its link, speed and travel time."""
    found = []
    for day in (DAY, NEXT):
        for line in b"".join(town.texts(day, lambda _: None)).decode().splitlines():
            written, clock, link, _, speed, travel = line.split(",")
            slot = datetime.strptime(written + clock, "%Y%m%d%H%M")
            found.append((slot + REPORTED_AFTER, link, speed, travel))
    return found


def test_each_link_shows_its_newest_row_of_the_files_of_its_sim(town, service) -> None:
    written = rows(town)
    for moment in (
        datetime(2024, 6, 3, 0, 12), datetime(2024, 6, 3, 8, 4, 29), datetime(2024, 6, 3, 8, 4, 30),
        datetime(2024, 6, 3, 23, 59, 59), datetime(2024, 6, 4, 0, 4, 31),
        datetime(2024, 6, 4, 0, 20), datetime(2024, 6, 4, 14, 31),
    ):  # fmt: skip
        wanted = {link: (made, speed, travel) for made, link, speed, travel in written
                  if made <= moment}  # fmt: skip
        found = {
            item["linkId"]: (
                datetime.strptime(item["createdDate"], "%Y%m%d%H%M%S"),
                *(f"{float(item[name]):.12g}" for name in ("speed", "travelTime")),
            )
            for item in service.items(moment)
        }
        assert found == wanted
        utc = moment.replace(tzinfo=SEOUL).astimezone(UTC)
        assert service.items(utc) == service.items(moment)
    assert {made.date() for made, *_ in wanted.values()} == {NEXT}


def test_a_moment_after_midnight_shows_reports_of_both_days_and_then_of_the_new_one(
    service,
) -> None:
    dates = [
        {item["createdDate"][:8] for item in service.items(datetime(2024, 6, 4, *clock))}
        for clock in ((0, 3), (0, 5), (3, 0))
    ]
    assert dates == [{"20240603"}, {"20240603", "20240604"}, {"20240604"}]
    assert last_slot(datetime(2024, 6, 4, 0, 3)) == (DAY, 287)
    assert service.items(datetime(2024, 6, 2, 23)) == []  # before `start`


def test_the_items_are_complete_and_those_of_the_network(town, service) -> None:
    items = service.items(datetime(2024, 6, 3, 12))
    net = town.network
    assert [(i["linkId"], i["startNodeId"], i["endNodeId"]) for i in items] == list(
        zip(net.link_id, net.start_node, net.end_node, strict=True)
    )
    for item in items:
        assert {"roadName", "speed", "travelTime", "createdDate"} < set(item)
        assert all(isinstance(value, str) for value in item.values())


def test_silent_links_stay_at_their_last_report_of_the_day_before(service) -> None:
    silent = Service(SETTINGS, silent=3, silent_from=NEXT)
    assert silent.items(datetime(2024, 6, 3, 20)) == service.items(datetime(2024, 6, 3, 20))
    last = service.items(datetime(2024, 6, 4, 0, 4))
    now = zip(service.items(datetime(2024, 6, 4, 9)), silent.items(datetime(2024, 6, 4, 9)),
              last, strict=True)  # fmt: skip
    stuck = [(shown, old) for usual, shown, old in now if shown != usual]
    assert len(stuck) == 3
    assert all(shown == old and shown["createdDate"] < "20240604" for shown, old in stuck)


def test_what_cannot_be_served_is_named(town) -> None:
    with pytest.raises(SettingsError, match=r"links_count is 14,001, which is a country"):
        Service(ItsSimSettings(links_count=14_001))
    with pytest.raises(SettingsError, match="13 silent links: expected 0 to 12"):
        Service(SETTINGS, silent=13)


def answered(pages: Pages, moment: str = "2024-06-03T12:00", **changes: str) -> dict:
    query = {k: v for k, v in {**AREA, **changes}.items() if v is not None}
    return json.loads(pages.answer(query, at(moment)))


def test_pages_hold_all_links_once(service) -> None:
    pages = Pages(service)
    whole = answered(pages)
    assert whole["header"] == {"resultCode": 0, "resultMsg": "success"}
    assert whole["body"] == {
        "totalCount": 12, "items": service.items(datetime(2024, 6, 3, 12))
    }  # fmt: skip
    parts = [answered(pages, pageNo=str(n), numOfRows="5")["body"] for n in (1, 2, 3, 4)]
    assert [len(part["items"]) for part in parts] == [5, 5, 2, 0]
    assert [item for part in parts for item in part["items"]] == whole["body"]["items"]
    assert {part["totalCount"] for part in parts} == {12}


def test_a_page_is_made_once_a_slot(service, monkeypatch) -> None:
    pages, asked = Pages(service), []
    items = service.items
    monkeypatch.setattr(service, "items", lambda at: asked.append(at) or items(at))
    first = pages.answer(AREA, at("2024-06-03T12:00"))
    assert pages.answer(AREA, at("2024-06-03T12:04:29")) is first
    assert len(asked) == 1
    assert pages.answer(AREA, at("2024-06-03T12:04:30")) != first
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"apiKey": "wrong"}, 30), ({"apiKey": ""}, 30), ({"apiKey": None}, 30), ({"minX": None}, 11),
     ({"maxY": "north"}, 10), ({"pageNo": "0"}, 10), ({"numOfRows": "x"}, 10)],
)  # fmt: skip
def test_a_request_that_is_not_right_is_refused_with_a_result_code(service, changes, code) -> None:
    refusal = answered(Pages(service), **changes)
    assert refusal["header"]["resultCode"] == code
    assert "body" not in refusal


def test_it_fails_when_it_is_told_to(service) -> None:
    moment = [at("2024-06-03T07:59:59")]
    outage = Span(at("2024-06-03T08:00"), at("2024-06-03T08:20"))
    hang = Span(at("2024-06-03T09:00"), at("2024-06-03T09:10"))
    conduct = Conduct(lambda: moment.pop(0) if len(moment) > 1 else moment[0], [outage], [hang])

    def status(path: str = PATH) -> int:
        try:
            address = server.url.removesuffix(PATH) + path + "?" + urlencode(AREA)
            return urllib.request.urlopen(address, timeout=30).status
        except urllib.error.HTTPError as e:
            return e.code

    with Server(0, Pages(service), conduct) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            assert (status(), status("/other")) == (200, 404)
            moment[0] = outage.begin
            assert status() == 503
            moment[0] = outage.end
            assert status() == 200
            moment[0] = hang.begin
            moment.extend([hang.begin, hang.end])  # one look at the clock each
            with pytest.raises(RemoteDisconnected):
                status()
            assert status() == 200
        finally:
            server.shutdown()
            thread.join()


def test_a_process_serves_the_present_of_its_clock_until_sigterm(home) -> None:
    api = pytest.importorskip("luigi_traffic_its_openapi.api")
    from pydantic import SecretStr

    environment = {k: v for k, v in os.environ.items() if not k.startswith("LUIGI_TRAFFIC_")}
    environment |= {
        "LUIGI_TRAFFIC_HOME": str(home), "LUIGI_TRAFFIC_CONF": str(home / "conf"),
        "LUIGI_TRAFFIC__DATASETS__ITS_SIM__LINKS_COUNT": "4",
        "LUIGI_TRAFFIC__DATASETS__ITS_SIM__MISSING_SLOTS": "false",
    }  # fmt: skip
    words = ["its-sim-serve", "--from", "2024-06-03T06:03", "--pace", "60", "--verbose"]
    process = subprocess.Popen(
        [sys.executable, "-m", "luigi_traffic.cli", *words],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        lines = [process.stdout.readline().strip() for _ in range(3)]
        values = dict(line.removeprefix("export ").split("=", 1) for line in lines)
        prefix = "LUIGI_TRAFFIC__DATASETS__ITS_OPENAPI__"
        assert list(values) == [f"{prefix}URL", f"{prefix}API_KEY", "LUIGI_TRAFFIC_CLOCK"]
        assert values["LUIGI_TRAFFIC_CLOCK"].startswith("2024-06-03T06:03:00+09:00@")
        asked = api.Api(values[f"{prefix}URL"], SecretStr(values[f"{prefix}API_KEY"]), 30)
        first = asked.items((129.1, 129.48, 35.4, 35.7))
        assert len(first) == 4
        later, until = first, time.monotonic() + 60
        while later == first and time.monotonic() < until:
            time.sleep(0.5)
            later = asked.items((129.1, 129.48, 35.4, 35.7))
        assert max(i["createdDate"] for i in later) > max(i["createdDate"] for i in first)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, out) == (0, "")
    assert " 200\n" in err
    assert "apiKey" not in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--from", "noon"], "--from 'noon': expected a time like"),
        (["--pace", "0"], "--pace 0: expected a number above 0 and up to 86,400"),
        (["--pace", "nan"], "--pace nan: expected"),
        (["--outage", "2024-06-03T08:00"], "--outage '2024-06-03T08:00': expected two times"),
        (["--hang", "2024-06-03T08:00/x"], "--hang 'x': expected a time like"),
        (["--hang", "2024-06-03T08:00/2024-06-03T08:00"], "expected a begin before the end"),
    ],
)
def test_wrong_options_of_the_service_name_themselves(words: list[str], said: str) -> None:
    answer = CliRunner().invoke(app(), ["its-sim-serve", *words])
    assert isinstance(answer.exception, SettingsError)
    assert said in str(answer.exception)


def test_help_says_what_the_options_of_the_service_are() -> None:
    shown = CliRunner().invoke(app(), ["its-sim-serve", "--help"]).output
    assert "luigi-traffic its-sim-serve --from 2024-06-03T06:00 --pace 20\n" in shown
    for option in ("--port", "--outage", "--hang", "--silent", "--verbose"):
        assert option in shown


def app() -> typer.Typer:
    app = typer.Typer(rich_markup_mode=None)
    app.callback()(lambda: None)
    for command in luigi_traffic_commands():
        app.command()(command)
    return app
