"""Every registered version is listed, whoever registered it and whatever it lacks."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from luigi_traffic.commands import model_page, models
from luigi_traffic.errors import DataError
from luigi_traffic.project import current
from luigi_traffic.training import registry
from luigi_traffic.training.registry import Listed, Registered

NAME = "luigi_traffic.tiny"
WHY = "not champion: no day of its hold-out can be compared, since models are compared on new days"
OURS = {"digest": "d", "gold_ids_digest": "feed"}
#: Version → tags: by hand, of a plugin that is gone, of a killed run, with lost files, and whole.
TAGS: dict[str, dict[str, str]] = {
    "5": {"decision": "somebody's own tag"},
    "4": OURS | {"model": "gone", "partition_id": "p4"},
    "3": OURS | {"model": "tiny_model", "partition_id": "p3",
                 "decision": json.dumps({"promoted": False, "reason": WHY, "challenger_mae": 4.0})},
    "2": OURS | {"model": "tiny_model", "partition_id": "p2"},
    "1": OURS | {"model": "tiny_model", "partition_id": "p1"},
}  # fmt: skip
RUN = (
    {"model_version": "1", "first_day": "2024-05-01", "last_day": "2024-05-02", "days": "2"},
    {"model_mae_mean": 4.0, "persistence_mae_mean": 5.0, "day_before_mae_mean": 4.5},
)


@pytest.fixture
def registered(filled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry of `TAGS`; `filled` has trained version 1."""
    at = datetime(2024, 5, 3, tzinfo=UTC)
    listed = [Listed(version, f"r{version}", tags, at) for version, tags in TAGS.items()]

    def load(_uri: str, _name: str, version: str, into: Path) -> Path:
        if version != "1":
            raise registry.ModelLost("gone")
        (into / "model.json").write_text('{"fit_span": {"first": "a", "last": "b"}}')
        return into

    monkeypatch.setattr(registry, "listed", lambda *_: listed)
    monkeypatch.setattr(registry, "champion", lambda *_: Registered(NAME, "1", "r1", "", {}))
    monkeypatch.setattr(registry, "has_bundle", lambda _uri, _name, version: version != "2")
    monkeypatch.setattr(registry, "run_of", lambda _uri, run: RUN if run == "r3" else None)
    monkeypatch.setattr(registry, "load_version", load)


def drawn(draw: Any, *words: Any) -> str:
    console = Console(width=300, record=True, file=StringIO())
    draw(*words[:1], console, *words[1:])
    return console.export_text()


def test_versions_are_listed_as_what_they_are(registered: None) -> None:
    rows = {row["version"]: row for row in models.rows(current(), "tiny", "")}
    assert list(rows) == ["5", "4", "3", "2", "1"]
    known = {v: (r["alias"], r["mae"], r["baseline"], r["published_days"]) for v, r in rows.items()}
    assert known["1"] == ("champion", 3.25, "persistence", 1)
    assert known["3"] == (None, 4.0, "day before", 0)
    assert known["5"] == (None, None, None, 0)
    assert (rows["1"]["first_day"], rows["1"]["days"]) == ("2024-05-01", 2)
    assert rows["3"]["short"] == "not champion: no day of its hold-out can be compared"
    problems = {version: row["problem"] for version, row in rows.items()}
    assert problems["5"] == "it was not registered by luigi_traffic"
    assert str(problems["4"]).startswith("no plugin provides the model 'gone'")
    assert problems["2"] == "its files are missing from MLflow"
    assert problems["3"] is problems["1"] is None
    page = drawn(models.draw, list(rows.values()), NAME)
    assert "champion 1" in page and "2024-05-01 to 2024-05-02 (2 days)" in page
    assert "version 3: not champion: no day of its hold-out can be compared\n" in page
    assert "  It cannot forecast here: its files are missing from MLflow" in page


def test_one_version_with_all_that_is_known_of_it(registered: None) -> None:
    row = model_page.row(current(), "tiny", "", "1")
    assert row["config"] == {"epochs": 3}
    assert row["absent_days"] == [] and row["gold_digest"] == "feed"
    assert row["fit_span"] == {"first": "a", "last": "b"}
    page = drawn(model_page.draw, row)
    assert "luigi_traffic.tiny, version 1, champion" in page
    assert "configuration epochs: 3" in page and "tiny.html" in page
    assert "historical median" in page and "5.750" in page
    by_hand = drawn(model_page.draw, model_page.row(current(), "tiny", "", "5"))
    assert "cannot forecast here: it was not registered by luigi_traffic" in by_hand
    assert "configuration not known" in by_hand
    with pytest.raises(DataError, match=r"no version '7' of luigi_traffic\.tiny in MLflow"):
        model_page.row(current(), "tiny", "", "7")


def test_a_home_without_a_run_has_no_versions(empty: Any) -> None:
    assert models.rows(current(), "tiny", "") == []
    assert "No version of luigi_traffic.tiny is registered yet" in drawn(models.draw, [], NAME)
