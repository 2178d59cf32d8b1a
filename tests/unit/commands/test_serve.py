"""`luigi-traffic serve` over a real PostgreSQL: what each resource answers, and what it refuses."""

from __future__ import annotations

import csv
import io
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pyarrow as pa
import pytest
import requests
import served
from fastapi.testclient import TestClient

from luigi_traffic.commands.serve import command
from luigi_traffic.commands.serve.app import application
from luigi_traffic.commands.serve.catalog import About
from luigi_traffic.commands.serve.gate import Buckets
from luigi_traffic.commands.serve.kept import Kept
from luigi_traffic.commands.serve.pool import Pool
from luigi_traffic.errors import SettingsError
from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.project import Project
from luigi_traffic.settings.serve_keys import ServeSettings
from luigi_traffic.warehouse import attempts, live
from luigi_traffic.warehouse.attempts import Work
from luigi_traffic.warehouse.connection import Warehouse
from luigi_traffic.warehouse.dsn import Dsn
from luigi_traffic.warehouse.ticks import MISSED, NO_DATA, Tick, write

LOCAL = "http://127.0.0.1:8800"
FRESH = ServeSettings(state_seconds=0, access_log=False)
TOKEN = "a token of more than 16 characters"
_EMPTY = (
    "TRUNCATE meta.ledger, meta.published, meta.ticks, meta.live_polls, meta.link_versions;"
    " DROP TABLE IF EXISTS links.tiny; DROP SCHEMA IF EXISTS"
    " gold, live, insight, forecast, forecast_versions, forecast_live CASCADE"
)


@pytest.fixture(scope="module")
def warehouse(server: EmbeddedServer) -> Iterator[Warehouse]:
    warehouse = Warehouse(server.ensure_running)
    with warehouse.connect() as conn, conn.cursor() as cursor:
        cursor.execute(_EMPTY)
    served.fill(warehouse)
    yield warehouse
    with warehouse.connect() as conn, conn.cursor() as cursor:
        cursor.execute(_EMPTY)
    warehouse.close()


@pytest.fixture(scope="module")
def pool(warehouse: Warehouse, server: EmbeddedServer) -> Iterator[Pool]:
    with closing(Pool(server.ensure_reader, 2, 10)) as pool:
        yield pool


@pytest.fixture(scope="module")
def client(pool: Pool) -> TestClient:
    about = {"tiny": About("Asia/Seoul", "km/h")}
    return TestClient(application(pool, FRESH, dataset="tiny", about=about), base_url=LOCAL)


def rows(client: TestClient, path: str, name: str = "rows") -> list[dict[str, Any]]:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return list(answer.json()[name])


def test_the_datasets_and_how_new_they_are(client: TestClient) -> None:
    assert client.get("/datasets").json() == [
        {
            "dataset": "tiny", "timezone": "Asia/Seoul", "interval_seconds": 300, "units": "km/h",
            "first": "2024-05-31T23:45:00", "last": "2024-06-01T08:00:00", "forecasts": True,
            "links": 4, "live": True,
        }
    ]  # fmt: skip
    newest = {"tiny": {"speeds": "2024-06-01T08:00:00", "forecast": "2024-06-01T08:05:00"}}
    health = {"status": "ok", "warehouse": True, "newest": newest}
    assert client.get("/health").json() == health
    figures = client.get("/metrics").text
    assert 'luigi_traffic_requests_total{resource="/health",status="200"} 1.0' in figures
    assert 'luigi_traffic_newest_timestamp{dataset="tiny",what="speeds"} 1.7172288e+09' in figures


def test_how_the_live_runner_does(client: TestClient, warehouse: Warehouse) -> None:
    at = datetime(2024, 6, 1, 8, 10, tzinfo=UTC)
    more = [
        Tick("tiny", "", at, MISSED),
        Tick("tiny", "flow", at, NO_DATA, feed="down", links=4, fallback=3, forecast_at=at),
    ]
    with warehouse.connect() as conn:
        for tick in more:
            write(conn, tick)
        tried = attempts.begin(conn, Work("Gold_1", "gold", "tiny", "2024-05-31", "a lock"))
        attempts.end(conn, tried, attempts.FAILED, "why", None)
    shown = client.get("/metrics").text
    with warehouse.connect() as conn, conn.cursor() as cursor:
        cursor.execute("DELETE FROM meta.ticks WHERE due_at = %s", (at,))
        cursor.execute("DELETE FROM meta.attempts")
    failed = 'luigi_traffic_attempts{dataset="tiny",outcome="failed",stage="gold"} 1.0'
    assert failed in shown and failed not in client.get("/metrics").text
    assert 'luigi_traffic_partitions{dataset="tiny",stage="gold"} 1.0' in shown
    own, flow = (f'{{dataset="tiny",target="{name}"}}' for name in ("", "flow"))
    issued, later = at.timestamp() - 300, at.timestamp()
    found = {}
    for line in shown.splitlines():
        if "target=" in line:
            name, _, value = line.rpartition(" ")
            found[name.removeprefix("luigi_traffic_")] = float(value)
    assert found == {
        f"tick_timestamp{own}": issued, f"live_forecast_timestamp{own}": issued,
        f"ticks_missed{own}": 1,
        f"tick_timestamp{flow}": later, f"live_forecast_timestamp{flow}": later,
        f"ticks_missed{flow}": 0, f"feed_up{flow}": 0, f"forecast_by_profile_ratio{flow}": 0.75,
    }  # fmt: skip


def test_links_of_today_and_of_a_day_before(client: TestClient) -> None:
    found = rows(client, "/links", "links")
    assert [one["link_id"] for one in found] == sorted(served.LINKS)
    assert {one["name"] for one in found} == {"new"}
    assert {one["free_flow"] for one in found} == {60.0}
    assert {one["name"] for one in rows(client, "/links?at=2024-05-31", "links")} == {"old"}
    assert rows(client, "/links?at=2023-12-31", "links") == []
    shapes = {one["id"]: one for one in rows(client, "/links?format=geojson", "features")}
    assert shapes["1003"]["geometry"] is None
    assert shapes["1000,1"]["geometry"] == {
        "type": "LineString", "coordinates": [[127.0, 37.5], [127.01, 37.51]],
    }  # fmt: skip
    assert shapes["1000,1"]["properties"]["length_m"] == 120.5


def test_speeds_of_gold_and_of_the_day_that_has_none(
    client: TestClient, warehouse: Warehouse
) -> None:
    newest = client.get("/speeds").json()
    assert newest["at"] == "2024-06-01T08:00:00"
    assert {one["link_id"]: one["speed"] for one in newest["rows"]} == {
        link: 20.5 + number for number, link in enumerate(served.LINKS)
    }
    within = rows(client, "/speeds?at=2024-05-31T23:51:10&link=1001%22'")
    assert within == [
        {"link_id": "1001\"'", "at": "2024-05-31T23:50:00", "speed": 21.5, "n_obs": 2}
    ]
    (unknown,) = rows(client, "/speeds?at=2024-05-31T23:45&link=1001%22'")
    assert unknown["speed"] is None  # NaN is no number of JSON

    # A live row of a day that has gold is not a second value.
    table = live.live_table("tiny", ["timestamp", "link_id", "speed", "n_obs"])
    at = served.MIDNIGHT - served.FIVE
    with warehouse.connect() as conn:
        live.open_day(conn, table, at.date())
        live.upsert(conn, table, at.date(), served.observed(served.LINKS, [at]), datetime.now(UTC))
    span = "at=2024-05-31T00:00&until=2024-06-01T23:55"
    everything = [datetime.fromisoformat(one["at"]) for one in rows(client, f"/speeds?{span}")]
    times = [served.MIDNIGHT - n * served.FIVE for n in (3, 2, 1)]
    times += [served.NEWEST - served.FIVE, served.NEWEST]
    assert everything == [at for at in times for _ in served.LINKS]
    alone = rows(client, f"/speeds?{span}&link=1003")
    assert [datetime.fromisoformat(one["at"]) for one in alone] == times


def test_the_newest_forecast_and_the_one_that_is_meant(client: TestClient) -> None:
    newest = client.get("/forecast?link=1003").json()
    said = {name: newest[name] for name in ("issued_at", "kind", "model", "version")}
    assert said == {"issued_at": "2024-06-01T08:05:00", "kind": "live", "model": "m", "version": 7}
    assert [one["step"] for one in newest["rows"]] == list(range(1, 13))
    assert newest["rows"][2] == {
        "link_id": "1003", "target_at": "2024-06-01T08:15:00", "step": 3, "speed": 3.375,
        "low": 2.375, "high": 4.375, "observed": 12, "fallback": False,
    }  # fmt: skip
    # Until 15 minutes after issue is the third interval, which begins after 10.
    assert rows(client, "/forecast?link=1003&minutes=15") == [newest["rows"][2]]
    assert rows(client, "/forecast?link=1003&at=2024-06-01T08:15") == [newest["rows"][2]]

    def issue(query: str) -> tuple[str, str]:
        one = client.get(f"/forecast?{query}").json()
        return one["kind"], one["issued_at"]

    assert issue("kind=next") == ("next", "2024-06-01T00:00:00")
    assert issue("kind=rolling") == ("rolling", "2024-05-31T23:00:00")
    assert issue("issued=2024-05-31T23:00") == ("rolling", "2024-05-31T23:00:00")
    assert issue("issued=2024-06-01T00:00&model=m") == ("next", "2024-06-01T00:00:00")
    for nothing in ("issued=2024-06-01T00:05", "model=other", "kind=live&issued=2024-06-01T00:00"):
        answer = client.get(f"/forecast?{nothing}")
        assert answer.status_code == 404
        assert answer.json()["detail"].startswith("There is no forecast of tiny with ")


@pytest.mark.parametrize(
    ("table", "one"),
    [
        ("travel_times", {"period": "all day", "travel_time_index": 1.25, "days": 14}),
        ("sensor_health", {"state": "ok", "intervals": 288, "stuck": None}),
        ("typical_weeks", {"speeds": [50.5, None, 49.0]}),
    ],
)
def test_insight(client: TestClient, table: str, one: dict[str, Any]) -> None:
    found = client.get(f"/insight?table={table}&link=1003").json()
    assert (found["day"], found["table"]) == ("2024-05-31", table)
    assert one.items() <= found["rows"][0].items()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/links", "links"), ("/speeds", "rows"), ("/forecast", "rows"), ("/insight", "rows"),
        ("/speeds?at=2024-05-31T00:00&until=2024-06-01T23:55", "rows"),
        ("/speeds?at=2024-05-31T00:00&until=2024-06-01T23:55&link=1003", "rows"),
        ("/insight?table=sensor_health", "rows"),
    ],
)  # fmt: skip
def test_pages_are_the_whole(client: TestClient, path: str, name: str) -> None:
    whole = rows(client, path, name)
    found, following = [], f"{path}{'&' if '?' in path else '?'}limit=3"
    while following:
        answer = client.get(following)
        assert len(answer.json()[name]) <= 3
        found += answer.json()[name]
        following = answer.links["next"]["url"] if "next" in answer.links else ""
        assert bool(following) == (answer.json()["next"] is not None)
    assert found == whole
    assert len(whole) > 3


@pytest.mark.parametrize("path", ["/links", "/speeds", "/forecast", "/insight?table=typical_weeks"])
def test_the_same_rows_in_all_formats(client: TestClient, path: str) -> None:
    name = "links" if path == "/links" else "rows"
    wanted = rows(client, path, name)
    stream = client.get(path, headers={"Accept": "application/vnd.apache.arrow.stream"})
    table = pa.ipc.open_stream(stream.content).read_all()
    plain = [
        {k: v.isoformat() if isinstance(v, datetime) else v for k, v in row.items()}
        for row in table.to_pylist()
    ]
    assert plain == wanted
    answer = client.get(path, headers={"Accept": "text/html, text/csv;q=0.9"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert [one["link_id"] for one in lines] == [one["link_id"] for one in wanted]
    for line, row in zip(lines, wanted, strict=True):
        for key, value in row.items():
            if not isinstance(value, list):
                text = str(value).lower() if isinstance(value, bool) else str(value)
                assert line[key] == ("" if value is None else text)


def test_an_answer_stays_until_the_next_tick(client: TestClient, warehouse: Warehouse) -> None:
    answer = client.get("/forecast?link=1003")
    tag = answer.headers["etag"]
    again = client.get("/forecast?link=1003", headers={"If-None-Match": f'"x", {tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert client.get("/forecast?link=1000,1").headers["etag"] != tag
    assert client.get("/forecast?link=1003&format=csv").headers["etag"] != tag
    served.issue(warehouse, served.LINKS, served.ISSUED + served.FIVE)
    later = client.get("/forecast?link=1003", headers={"If-None-Match": tag})
    assert later.json()["issued_at"] == "2024-06-01T08:10:00"
    with warehouse.connect() as conn, conn.cursor() as cursor:
        for of in ("meta.ticks", "forecast_live.tiny"):
            cursor.execute(f"DELETE FROM {of} WHERE issued_at > %s", (served.ISSUED,))
    assert client.get("/forecast?link=1003").json() == answer.json()


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/forecast?dataset=nowhere", 404, "dataset: there is none of that name. There are: tiny."),
        ("/forecast?links=1003", 422, "links: there is no parameter of that name here."),
        ("/forecast?link=1&link=2", 422, "link: give it once."),
        ("/forecast?link=%00", 422, "link: it contains a NUL character."),
        ("/forecast?dataset=%00", 422, "dataset: it contains a NUL character."),
        ("/forecast?kind=none", 422, "kind: "),
        ("/forecast?minutes=7", 422, "minutes: the forecast issued at 2024-06-01T08:05:00 has"),
        ("/forecast?minutes=65", 422, "minutes: the forecast issued at"),
        ("/forecast?at=2024-06-01T08:05&minutes=5", 422, "minutes: give this or at, not both."),
        ("/forecast?at=2024-06-01T08:05Z", 422, "at: expected a local time without an offset"),
        ("/forecast?after=x", 422, "after: expected the value of `next` of the page before."),
        ("/insight?after=9:x", 422, "after: expected the value of `next` of the page before."),
        ("/insight?format=geojson", 422, "format: Input should be 'json', 'csv' or 'arrow'."),
        ("/forecast/", 404, "There is nothing here: /docs lists what there is."),
        ("/links?at=0000-01-01", 422, "at: "),
        ("/links?at=9999-12-31", 422, "at: expected a year from 1900 to 2199."),
        ("/links?limit=99999999999999999999", 422, "limit: "),
        ("/speeds?at=2024-06-01&until=2024-05-31", 422, "until: "),
        ("/speeds?at=1900-01-01&until=2199-01-01", 422, "until: expected at most 31 days"),
        ("/health?x=1", 422, "x: there is no parameter of that name here."),
        ("/nothing", 404, "There is nothing here: /docs lists what there is."),
        ("/static/../command.py", 404, "There is nothing here"),
        (f"/links?after={'x' * 9000}", 414, "The address is longer than 8,000 bytes."),
    ],
)
def test_what_is_wrong_is_named(client: TestClient, path: str, status: int, said: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()["detail"][: len(said)]) == (status, said)


def test_only_reading(client: TestClient) -> None:
    assert client.post("/forecast").status_code == 405


def test_with_a_token_nobody_asks_without_it(pool: Pool) -> None:
    client = TestClient(application(pool, FRESH, token=TOKEN, dataset="tiny"))
    for header in ({}, {"Authorization": "Bearer x"}, {"Authorization": f"Basic {TOKEN}"}):
        for path in ("/forecast", "/docs", "/openapi.json", "/metrics", "/nothing"):
            answer = client.get(path, headers=header)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert client.get("/health").status_code == 200
        assert client.get("/").status_code == client.get("/static/docs.css").status_code == 200
    good = {"Authorization": f"Bearer {TOKEN}"}
    assert client.get("/forecast", headers=good).status_code == 200


def test_without_a_token_only_loopback_is_answered(pool: Pool, tmp_path: Path) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example", "evil.example:8800"):
        client = TestClient(application(pool, FRESH), base_url=f"http://{host}")
        assert client.get("/health").status_code == 400
    for host in ("localhost", "127.0.0.1:8800", "[::1]:8800"):
        client = TestClient(application(pool, FRESH), base_url=f"http://{host}")
        assert client.get("/health").status_code == 200
    environ = {"LUIGI_TRAFFIC__SERVE__HOST": "0.0.0.0"}
    project = Project(tmp_path, tmp_path, "local", environ)
    with pytest.raises(SettingsError, match="set a token"):
        command.serve(project, command.Options())


def test_a_token_is_read_from_a_file_and_not_guessed(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert command.token_of(ServeSettings(token_file=file)) == TOKEN
    assert command.token_of(ServeSettings()) is None
    wrong = [{"token": "short"}, {"token": "한" * 20}, {"token_file": tmp_path / "absent"}]
    for settings in [*wrong, {"token": TOKEN, "token_file": file}]:
        with pytest.raises(SettingsError):
            command.token_of(ServeSettings(**settings))


def test_too_many_requests_wait(pool: Pool) -> None:
    settings = FRESH.model_copy(update={"requests_per_second": 0.1, "burst": 2})
    client = TestClient(application(pool, settings), base_url=LOCAL)
    assert [client.get("/health").status_code for _ in range(3)] == [200, 200, 429]
    assert 1 <= int(client.get("/health").headers["retry-after"]) <= 10
    buckets = Buckets(rate=1, burst=1)
    assert [buckets.wait("a") == 0 for _ in range(2)] == [True, False]
    assert buckets.wait("b") == 0


def test_a_warehouse_that_comes_back(server: EmbeddedServer, warehouse: Warehouse) -> None:
    there, asked = server.ensure_reader(), []

    def source() -> Dsn:
        asked.append(len(asked))
        return there if len(asked) > 2 else replace(there, port=1)

    with closing(Pool(source, 2, 10)) as pool:
        client = TestClient(application(pool, FRESH, dataset="tiny"), base_url=LOCAL)
        down = client.get("/health")
        assert (down.status_code, down.json()["status"]) == (503, "down")
        assert down.headers["retry-after"] == "1"
        assert client.get("/forecast").json()["detail"].startswith("The warehouse does not answer.")
        assert len(asked) == 2  # who asks at once does not make it worse
        pool._down_until = time.monotonic()
        assert client.get("/health").status_code == 200
        with closing(psycopg2.connect(**there.kwargs())) as conn, conn.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE usename = current_user AND pid <> pg_backend_pid()"
            )
        assert client.get("/forecast").status_code == 200


def test_it_reads_and_does_nothing_else(pool: Pool, server: EmbeddedServer) -> None:
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
        pool.rows("CREATE TABLE gold.x (a int)")
    with pytest.raises(SettingsError, match="luigi_traffic_writer may write"):
        Pool(server.ensure_running, 1, 10).rows("SELECT 1")
    with closing(Pool(server.ensure_reader, 1, 0.05)) as slow:
        client = TestClient(application(slow, FRESH), base_url=LOCAL)
        client.app.state.service.catalog.names = lambda: slow.rows("SELECT pg_sleep(9)")
        answer = client.get("/health")
    assert answer.status_code == 503
    assert "took longer than 0.05 s" in answer.json()["detail"]


def test_the_pages_need_nothing_from_another_host(client: TestClient) -> None:
    page = client.get("/docs")
    for resource in ("datasets", "links", "speeds", "forecast", "insight", "health", "metrics"):
        assert f"GET /{resource}" in page.text
    for answer in (page, client.get("/")):
        assert "//" not in answer.text
        assert "default-src 'self'" in answer.headers["content-security-policy"]


def test_kept_values_have_a_weight() -> None:
    kept = Kept[str](8, len)
    for name in ("aa", "bb", "cc", "dd"):
        kept.put(name, name)
    assert kept.made("aa", lambda: "another") == "aa"
    assert kept.made("ee", lambda: "ee") == "ee"
    assert [kept.get(name) for name in ("aa", "bb", "cc", "dd", "ee")] == [
        "aa", None, "cc", "dd", "ee",
    ]  # fmt: skip
    assert kept.made("f", lambda: "heavy") == "heavy"
    assert kept.get("f") is None


def test_a_signal_ends_it(
    server: EmbeddedServer, warehouse: Warehouse, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """As a service on a server of one's own, as the role that reads."""
    at = server.ensure_reader()
    of = {"KIND": "server", "HOST": at.host, "PORT": str(at.port), "DBNAME": at.dbname,
          "USER": at.user, "PASSWORD": at.password, "SSLMODE": "disable"}  # fmt: skip
    environ = {f"LUIGI_TRAFFIC__WAREHOUSE__{key}": value for key, value in of.items()}
    project = Project(tmp_path / "home", tmp_path, "local", environ)
    answers, said = [], []

    def ask() -> None:
        try:
            while not said:
                time.sleep(0.02)
                said.extend(capsys.readouterr().out.split())
            answers.append(requests.get(f"{said[0]}/forecast?link=1003", timeout=10).json())
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    asking = threading.Thread(target=ask)
    asking.start()
    command.serve(project, command.Options(dataset="tiny", port=0))
    asking.join()
    assert answers[0]["issued_at"] == "2024-06-01T08:05:00"
    with pytest.raises(requests.ConnectionError):
        requests.get(said[0], timeout=timedelta(seconds=1).total_seconds())
