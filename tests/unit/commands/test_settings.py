from __future__ import annotations

import json

from luigi_traffic.commands import settings
from luigi_traffic.commands.settings import MASK, masked
from luigi_traffic.project import current


def by_key(rows: list[dict]) -> dict[str, dict]:
    return {row["key"]: row for row in rows}


def test_values_and_where_they_were_set(empty, monkeypatch, anew):
    monkeypatch.setenv("LUIGI_TRAFFIC__SPARK__MASTER", "local[1]")
    anew()
    rows = by_key(settings.rows(current()))
    assert rows["spark.master"]["set_in"] == "environment LUIGI_TRAFFIC__SPARK__MASTER"
    assert rows["pipeline.dataset"] == {
        "key": "pipeline.dataset", "value": "tiny", "set_in": f"{empty.conf}/base.yml:1",
        "description": "Dataset plugin of a run that names none",
    }  # fmt: skip
    # The section is in the file, this key of it is not.
    assert rows["pipeline.window_days"]["set_in"] == "default"
    assert rows["datasets.tiny.max_rejected_share"]["value"] == 0.2
    assert rows["models.tiny_model.epochs"]["value"] == 20


def test_secrets_never_show(empty):
    hush = {
        "LUIGI_TRAFFIC__WAREHOUSE__PASSWORD": "hush1",
        "LUIGI_TRAFFIC__TRACKING__URI": "postgresql://me:hush2@db/mlflow",
        "LUIGI_TRAFFIC__SPARK__CONF": "{spark.hadoop.fs.s3a.secret.key: hush3}",
        "LUIGI_TRAFFIC__DATASETS__OTHER__API_KEY": "hush4",
        "LUIGI_TRAFFIC__DATASETS__OTHER__URL_TEMPLATE": "https://x.example/{date}?auth=hush5",
    }
    for words in (["settings", "--json"], ["settings"]):
        done = empty.command(*words, **hush)
        assert done.returncode == 0, done.stderr
        assert "hush" not in done.stdout + done.stderr
    assert by_key(json.loads(empty.command("settings", "--json", **hush).stdout))[
        "datasets.other.url_template"
    ]["value"].startswith("https://x.example/{date}?")


def test_masked_is_only_what_is_secret():
    assert masked("datasets.a.folder", "/data/x") == "/data/x"
    assert masked("warehouse.password", None) is None
    assert masked("spark.conf.fs.s3a.access.key", "k") == MASK
    assert masked("datasets.a.links", ["1", "2"]) == ["1", "2"]
    assert masked("tracking.uri", "sqlite:////tmp/a.db") == "sqlite:////tmp/a.db"
    assert masked("datasets.a.key_column", "id") == "id"
