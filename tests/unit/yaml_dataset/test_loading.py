"""Files of settings that declare a dataset, and each way in which a line of one may be wrong."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from declared_tables import GOOD

from luigi_traffic.commands import plugins as plugins_list
from luigi_traffic.commands import settings as settings_list
from luigi_traffic.errors import PluginError, SettingsError
from luigi_traffic.project import current


def test_a_file_with_a_table_is_a_dataset(isolated) -> None:
    file = isolated.write(
        "datasets/my_city.yml", GOOD + "  speed_unit: mph\nlinks: [a]\ntopic: speeds.{dataset}\n"
    )
    isolated.write("datasets/other.yml", "max_speed: 1\n")  # of a plugin that is not installed
    assert list(current().plugins.datasets) == ["my_city"]
    dataset = current().plugins.dataset("my_city")
    assert (dataset.name, dataset.interval, dataset.timezone, dataset.measures) == (
        "my_city", timedelta(minutes=10), "Europe/Vienna", {"speed": "mph"},
    )  # fmt: skip
    assert dataset.settings.links == ["a"]
    (row,) = plugins_list.rows(current())
    assert (row["name"], row["distribution"], row["state"], row["datasets"]) == (
        "my_city", str(file), "loaded", ["my_city"],
    )  # fmt: skip


def test_a_file_without_a_table_is_told_what_it_lacks(isolated) -> None:
    isolated.write("datasets/my_city.yml", "links: []\n")
    with pytest.raises(PluginError, match=r"conf/datasets/my_city\.yml has no key 'table'"):
        current().plugins.dataset("my_city")
    with pytest.raises(PluginError, match=r"conf/datasets/other\.yml may declare it by the key"):
        current().plugins.dataset("other")


def test_a_name_that_postgresql_would_cut_off_is_refused(isolated) -> None:
    for name in ("x" * 63, "x" * 64, "x" * 63 + "y"):  # the last two would share a table
        isolated.write(f"datasets/{name}.yml", GOOD)
    assert current().plugins.dataset("x" * 63).name == "x" * 63
    for name in ("x" * 64, "x" * 63 + "y"):
        with pytest.raises(SettingsError, match=rf"{name}\.yml.*64 bytes.*shorten it"):
            current().plugins.dataset(name)


def test_the_environment_is_laid_over_the_file(isolated) -> None:
    isolated.write("datasets/my_city.yml", GOOD)
    isolated.set(
        DATASETS__MY_CITY__TABLE__COLUMNS__SPEED="kmh", DATASETS__MY_CITY__TABLE__INTERVAL="1 h"
    )
    dataset = current().plugins.dataset("my_city")
    assert dataset.interval == timedelta(hours=1)
    assert dataset.table.columns.speed == "kmh"
    shown = {row["key"]: row for row in settings_list.rows(current())}
    assert shown["datasets.my_city.table.columns.speed"]["set_in"] == (
        "environment LUIGI_TRAFFIC__DATASETS__MY_CITY__TABLE__COLUMNS__SPEED"
    )
    assert shown["datasets.my_city.table.columns.link_id"]["set_in"].endswith("my_city.yml:5")


def test_extra_columns_are_told_to_the_core(isolated) -> None:
    text = GOOD.replace("    speed: v\n", "    speed: v\n    extra: {rain: mm_h}\n")
    isolated.write("datasets/my_city.yml", text)
    assert current().plugins.datasets["my_city"].extra_columns == ("rain",)


@pytest.mark.parametrize("disabled", ["my_city", "file"])
def test_it_can_be_disabled(isolated, disabled: str) -> None:
    file = isolated.write("datasets/my_city.yml", GOOD)
    isolated.set(PLUGINS__DISABLED=f"[{file if disabled == 'file' else disabled}]")
    with pytest.raises(PluginError, match=r"my_city .* is disabled by plugins\.disabled"):
        current().plugins.dataset("my_city")


def test_a_plugin_and_a_file_of_one_name_are_both_named(tiny) -> None:
    file = tiny.write("datasets/tiny.yml", GOOD)
    with pytest.raises(PluginError) as caught:
        current().plugins.dataset("tiny")
    text = str(caught.value)
    assert f"'tiny' is declared by {file} and provided by " in text
    assert "tiny.py (tiny). Rename the file" in text
    rows = {(row["name"], row["state"]) for row in plugins_list.rows(current())}
    assert rows == {("tiny", "loaded"), ("tiny", "failed")}


def test_a_wrong_file_stops_no_other_dataset(
    isolated, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("luigi_traffic"), "propagate", True)
    isolated.write("datasets/good.yml", GOOD)
    file = isolated.write("datasets/wrong.yml", GOOD.replace("Vienna", "Wien"))
    assert current().plugins.dataset("good").name == "good"
    assert f"dataset wrong ({file}) is left out" in caplog.text
    with pytest.raises(SettingsError, match="Europe/Wien"):
        current().plugins.dataset("wrong")


def test_the_name_of_a_file_is_the_name_of_a_dataset(isolated) -> None:
    file = isolated.write("datasets/my-city.yml", GOOD)
    with pytest.raises(SettingsError) as caught:
        current().plugins.dataset("my-city")
    assert str(caught.value).startswith(
        f"{file}: a dataset has the name of its file, but 'my-city'"
    )


#: (a line of GOOD, what stands there instead, line, dotted key below table, what is told)
WRONG = [
    ("  interval: 10min", "  intervall: 10min", 7, "intervall", "Did you mean 'interval'?"),
    ("    speed: v", "    sped: v", 6, "columns.sped", "Did you mean 'speed'?"),
    ("    speed: v", "", 3, "columns", "nothing is measured; expected one of speed, flow"),
    ("    link_id: sensor", "", 3, "columns", "`link_id` is missing"),
    ("  timezone: Europe/Vienna", "", 1, "timezone", "is missing"),
    ("  interval: 10min", "", 1, "interval", "is missing"),
    ("  interval: 10min", "  interval: ten", 7, "interval", "for example 5 min, 10min or 1 h"),
    ("  interval: 10min", "  interval: 10", 7, "interval", "a number and a unit"),
    ("  interval: 10min", "  interval: 0 min", 7, "interval", "a number and a unit"),
    ("  interval: 10min", "  interval: 7 min", 7, "interval", "does not divide a day"),
    ("  interval: 10min", "  interval: 48 h", 7, "interval", "does not divide a day"),
    ("Europe/Vienna", "Europe/Viena", 8, "timezone", "Did you mean 'Europe/Vienna'?"),
    ("Europe/Vienna", "5", 8, "timezone", "expected an IANA time zone"),
    ("  glob: /data/{date}*.csv", "  globb: x", 2, "globb", "Did you mean 'glob'?"),
    ("  glob: /data/{date}*.csv", "  header: true", 1, "", "neither `url_template` nor `glob`"),
    ("/data/{date}", "/data/{dat}", 2, "glob", "Did you mean 'date'?"),
    ("/data/{date}", "/data/{0}", 2, "glob", "{0}, which is not known"),
    ("/data/{date}", "/data/{date", 2, "glob", "its braces do not match"),
    ("/data/{date}", "/data/{date:%Y}", 2, "glob", "its braces do not match"),
    ("  interval:", "  url_template: http://x/{date}.csv\n  interval:", 2, "glob", "the two"),
    ("  glob: /data", "  url_template: /data", 2, "url_template", "http, https or file"),
    ("  glob: /data", "  url_template: ftp://data", 2, "url_template", "http, https or file"),
    ("  interval:", "  speed_unit: knots\n  interval:", 7, "speed_unit", "'km/h', 'mph' or 'm/s'"),
    ("  interval:", "  speed_range: 150\n  interval:", 7, "speed_range", "expected two numbers"),
    ("  interval:", "  speed_range: [0]\n  interval:", 7, "speed_range", "expected two numbers"),
    ("  interval:", "  speed_range: [9, 1]\n  interval:", 7, "speed_range", "is not below"),
    ("  interval:", "  speed_range: [0, x]\n  interval:", 7, "speed_range.1", "valid number"),
    ("  interval:", "  format: xlsx\n  interval:", 7, "format", "'csv' or 'parquet'"),
    ("  interval:", "  header: maybe\n  interval:", 7, "header", "valid boolean"),
    ("  interval:", "  delimiter: ;;\n  interval:", 7, "delimiter", "one character"),
    ("  interval:", "  decimal: x\n  interval:", 7, "decimal", "'.' or ','"),
    ("  interval:", "  encoding: utf-9\n  interval:", 7, "encoding", "cp949"),
    ("  interval:", "  timeout: -1\n  interval:", 7, "timeout", "greater than 0"),
    ("  interval:", "  packing: rar\n  interval:", 7, "packing", "'zip', 'gzip'"),
    ("  interval:", "  packing: parquet\n  interval:", 7, "packing", "format: parquet"),
    ("  interval:", "  format: parquet\n  delimiter: ;\n  interval:", 8, "delimiter", "only with"),
    ("  interval:", "  missing: none\n  interval:", 7, "missing", "a list of values"),
    ("  interval:", "  missing: ['', [1]]\n  interval:", 7, "missing", "a list of values"),
    ("  interval:", "  time_format: yyyy-MM\n  interval:", 7, "time_format", "no day (dd)"),
    ("  interval:", "  time_format: yyyy-MM-dd hh\n  interval:", 7, "time_format", "(a) beside hh"),
    ("  interval:", "  time_format: YYYY-MM-dd HH\n  interval:", 7, "time_format", "'YYYY' is not"),
    ("  interval:", "  time_format: yyyyMMddHHmmz\n  interval:", 7, "time_format", "'z' is not"),
    ("  interval:", '  time_format: "yyyy\'x"\n  interval:', 7, "time_format", "not closed"),
    ("    speed: v", "    speed: 2", 6, "columns.speed", "2 is a position, but the file names"),
    ("    speed: v", "    speed: -1", 6, "columns.speed", "expected a position from 0"),
    ("    speed: v", "    speed: [v]", 6, "columns.speed", "the name of a column, or its position"),
    ("    speed: v", "    speed: ' '", 6, "columns.speed", "not an empty text"),
    ("    speed: v", "    speed: sensor", 6, "columns.speed", "'sensor' is link_id already"),
    ("  interval:", "  header: false\n  interval:", 4, "columns.timestamp", "but header is false"),
    ("    speed: v", "    speed: v\n    date: d", 7, "columns.date", "`timestamp` is given too"),
    ("    timestamp: time", "    time: t", 4, "columns.time", "`date` is missing"),
    ("    timestamp: time\n", "", 3, "columns", "the time is missing"),
    ("    speed: v", "    speed: v\n    extra: {Rain: r}", 7, "columns.extra.Rain", "pattern"),
    ("    speed: v", "    speed: v\n    extra: {t1: r}", 7, "columns.extra.t1", "another name"),
    ("    speed: v", "    speed: v\n    extra: {time_of_day: r}", 7, "columns.extra.time_of_day",
     "another name"),
    ("    speed: v", "    speed: v\n    extra: {ctid: r}", 7, "columns.extra.ctid", "another name"),
    ("  interval:", "  graph: {}\n  interval:", 7, "graph", "no file; expected exactly one"),
    ("  interval:", "  graph: {edge_csv: x}\n  interval:", 7, "graph.edge_csv", "'edges_csv'"),
    ("  interval:", "  graph:\n    edges_csv: a\n    adjacency_csv: b\n  interval:", 7, "graph",
     "it names edges_csv and adjacency_csv"),
    ("  interval:", "  graph: {edges_csv: a, min_weight: 0.5}\n  interval:", 7,
     "graph.min_weight", "expected `weight` under `columns`"),
    ("  interval:", "  graph:\n    node_link_csv: a\n    min_weight: 1\n  interval:", 9,
     "graph.min_weight", "a node-link table has no weights"),
    ("  interval:", "  graph:\n    edges_csv: a\n    header: false\n    columns:\n"
     "      upstream: a\n  interval:", 11, "graph.columns.upstream", "header is false"),
    ("  interval:", "  speed_range: [0, .inf]\n  interval:", 7, "speed_range", "1,000,000"),
    ("  interval:", "  graph: {edges_csv: a, columns: {up: 1}}\n  interval:", 7,
     "graph.columns.up", "Known: downstream, end, link_id, start, upstream, weight."),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line", "key", "told"), WRONG)
def test_a_wrong_line_is_named_with_its_key_and_what_was_expected(
    isolated, old: str, new: str, line: int, key: str, told: str
) -> None:
    assert GOOD.count(old) == 1
    file = isolated.write("datasets/my_city.yml", GOOD.replace(old, new))
    with pytest.raises(SettingsError) as caught:
        current().plugins.dataset("my_city")
    text = str(caught.value)
    said, _, places = text.partition("\n  looked in, last wins:")
    path = "datasets.my_city.table" + (f".{key}" if key else "")
    assert f"setting {path!r}" in said
    assert told in said
    assert f"{file}:{line}" in said
    assert str(file) in places


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("topic: two words", "String should match pattern"),
        ("topic: speeds.{data}", "String should match pattern"),
        ("lake_prefix: /data", "String should match pattern"),
        ("lake_prefix: a/../b", "String should match pattern"),
        ("lake_prefix: _manifests", "String should match pattern"),
        ("lake_prefix: raw/x", "'raw' is the folder of data without a prefix"),
        ("tables: 1", "Did you mean 'table'?"),
    ],
)
def test_a_wrong_line_beside_the_table(isolated, line: str, told: str) -> None:
    file = isolated.write("datasets/my_city.yml", GOOD + line)
    with pytest.raises(SettingsError) as caught:
        current().plugins.dataset("my_city")
    assert f"{file}:9" in str(caught.value)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        "  url_template: ftp://me:hush@hush@host/{date}.csv?key=hush",
        "  url_template: https://me:hush@host/{dat}.csv?key=hush&of={date}",
        "  glob: {x: 'https://me:hush@host/?key=hush'}",
    ],
)
def test_an_address_is_told_without_its_credentials(isolated, line: str, caplog) -> None:
    isolated.write("datasets/my_city.yml", GOOD.replace("  glob: /data/{date}*.csv", line))
    with pytest.raises(SettingsError) as caught:
        current().plugins.dataset("my_city")
    assert "hush" not in str(caught.value)
    assert "host/" in str(caught.value)


def test_a_key_given_twice(isolated) -> None:
    file = isolated.write("datasets/my_city.yml", GOOD.replace("speed: v", "timestamp: v"))
    with pytest.raises(SettingsError) as caught:
        current().plugins.dataset("my_city")
    assert f"{file}, line 6: 'table.columns.timestamp' is already given in line 4" in str(
        caught.value
    )


def test_a_table_that_is_no_mapping(isolated) -> None:
    file = isolated.write("datasets/my_city.yml", "links: []\ntable: yes\n")
    with pytest.raises(SettingsError) as caught:
        current().plugins.dataset("my_city")
    assert f"'datasets.my_city.table' is set to True in {file}:2: " in str(caught.value)
