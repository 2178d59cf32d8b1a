"""Complete means equal to what a clean home makes, whatever happened in between.

A machine of hypothesis changes settings, code, files and the source, kills runs and destroys
outputs, in any order (promises 1, 7 and 10). The stages are tiny and read their settings as
plugins do, from the dataset, never from the recipe: a setting that changes an output and is
missing in the recipe shows as a partition that counts as done and is not what it should be.
"""

from __future__ import annotations

import gzip
import json
import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from memory_store import MemoryStore
from process_state import forget

from luigi_traffic.api.stages import STAGES
from luigi_traffic.errors import DamageError
from luigi_traffic.lake.catalog import Catalog
from luigi_traffic.lake.entries import Entry
from luigi_traffic.lake.manifest import Manifest
from luigi_traffic.project import current
from luigi_traffic.targets.chain import DayChain
from luigi_traffic.targets.lake import LakePartition
from luigi_traffic.targets.stage_versions import STAGE_VERSIONS
from luigi_traffic.targets.warehouse import GoldPartition, LedgerView
from luigi_traffic.tasks.raw import IngestRaw

DAYS = (date(2012, 3, 27), date(2012, 3, 28))
PLUGIN = """
from datetime import timedelta
from pathlib import Path
import json
import luigi_traffic as lt

luigi_traffic_api = 2

class Settings(lt.DatasetSettings):
    glob: str = lt.setting("", stage="raw", description="files")
    graph_file: str = lt.setting("", stage=None, description="edges")
    max_speed: int = lt.setting(100, stage="bronze", description="fastest")
    undeclared: int = 0
    patience: int = lt.setting(1, stage=None, description="changes no data")

class World(lt.Dataset):
    name, version, interval = "world", "1", timedelta(minutes=5)
    timezone, measures = "Asia/Seoul", {"speed": "km/h"}
    Settings = Settings
    headers = ("time,link,speed",)

    def source(self):
        return lt.Files(self.settings.glob)

    def header(self, first_line):
        return first_line in self.headers

    def bronze(self, spark, raw):
        raise NotImplementedError

    def silver(self, bronze):
        raise NotImplementedError

    def graph(self):
        return lt.LinkGraph.from_edges(json.loads(Path(self.settings.graph_file).read_text()))

@lt.hookimpl
def luigi_traffic_datasets():
    return [World]
"""
#: Setting → its values, and the first stage that a new one makes stale (None: none).
SETTINGS: dict[str, tuple[list[Any], str | None]] = {
    "links": ([[], ["a"], ["b"], ["a", "b"]], "silver"),
    "max_speed": ([100, 60], "bronze"),
    "undeclared": ([0, 1], "bronze"),
    "patience": ([1, 2], None),
    "lake_prefix": ([None, "below"], None),
    "max_rejected_share": ([0.2, 0.9], None),
    "topic": ([None, "mine"], "announce"),
}
CODE = {"source_version": "raw", "version": "bronze", "silver_version": "silver"}
FOLDERS = ("here", "there")
TEXTS = [f"time,link,speed\n00:00,a,{a}\n00:05,b,{b}\n" for a, b in ((50, 70), (50, 71), (10, 99))]


class Killed(BaseException):
    """The process died there."""


@dataclass
class RawModel:
    """What the live generation of a day holds, and where it was asked for."""

    text: str
    asked: set[str] = field(default_factory=set)


class Completeness(RuleBasedStateMachine):
    """The real chain, catalog and IngestRaw, with tiny stages after them, beside a model."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.folder = Path(tempfile.mkdtemp(prefix="completeness-"))
        self.store = MemoryStore()
        self.ledger: dict[str, str] = {}
        self.gold: dict[str, str] = {}
        self.values: dict[str, Any] = {name: values[0] for name, (values, _) in SETTINGS.items()}
        self.code = dict.fromkeys(CODE, "1")
        self.core = dict.fromkeys(STAGES, "1")
        self.address = "here"
        self.edges = 0
        # The model: (stage, day) → the signatures that were made and are whole.
        self.raw: dict[tuple[date, object], RawModel] = {}
        self.made: dict[tuple[str, date], set[object]] = {}
        self.broken: set[tuple[str, date, object]] = set()
        for folder in FOLDERS:
            (self.folder / folder).mkdir()
            for day in DAYS:
                self._publish(folder, day, TEXTS[0])
        (self.folder / "plugins").mkdir()
        (self.folder / "plugins" / "world_plugin.py").write_text(PLUGIN)
        self.patch.setattr("luigi_traffic.plugins.loading.entry_points", lambda group: [])
        self.patch.setattr(LedgerView, "_read", staticmethod(lambda *_: dict(self.ledger)))
        self.patch.setattr(
            LedgerView, "_read_part", staticmethod(lambda _s, _d, part: self.ledger.get(part))
        )
        self.patch.setenv("LUIGI_TRAFFIC_HOME", str(self.folder / "home"))
        self.patch.setenv("LUIGI_TRAFFIC_CONF", str(self.folder / "conf"))
        (self.folder / "conf").mkdir()
        self._begin()

    def teardown(self) -> None:
        self.patch.undo()
        forget()
        shutil.rmtree(self.folder)

    # The world

    def _publish(self, folder: str, day: date, text: str) -> None:
        (self.folder / folder / f"{day:%Y%m%d}.csv").write_text(text)

    def _begin(self) -> None:
        """A new process with the settings and the code of now."""
        own = {k: v for k, v in self.values.items() if v is not None}
        own["glob"] = f"{self.folder}/{self.address}/{{date}}.csv"
        own["graph_file"] = str(self.folder / "graph.json")
        (self.folder / "graph.json").write_text(json.dumps([["a", "b"], ["b", "c"]][: self.edges]))
        base = {"plugins": {"path": [str(self.folder / "plugins")]}, "datasets": {"world": own}}
        base["ingest"] = {"settle_seconds": 0}
        (self.folder / "conf" / "base.yml").write_text(json.dumps(base))
        forget()
        for stage, version in self.core.items():
            self.patch.setitem(STAGE_VERSIONS, stage, version)
        world: Any = current().plugins.datasets["world"]
        for name, version in self.code.items():
            setattr(world, name, version)
        # What another source_version does: the header counts as a row.
        world.headers = ("time,link,speed",) if self.code["source_version"] == "1" else ()
        vars(current())["store"] = self.store
        vars(current())["catalog"] = Catalog(self.store)

    # The model: all that may change a stage's output, without a look at recipes

    def _shape(self) -> tuple[str, str]:
        return self.code["source_version"], self.core["raw"]

    def _raw_model(self, day: date) -> RawModel | None:
        found = self.raw.get((day, self._shape()))
        return found if found and self.address in found.asked else None

    def _signature(self, stage: str, day: date) -> object | None:
        raw = self._raw_model(day)
        if raw is None:
            return None
        found: tuple[object, ...] = (day, *self._shape(), raw.text)
        if stage == "announce":
            return (*found, self.values["topic"], self.core["announce"])
        changed = {
            "bronze": (self.code["version"], self.values["max_speed"], self.values["undeclared"]),
            "silver": (self.code["silver_version"], tuple(self.values["links"])),
            "gold": (self.edges,),
        }
        for name in STAGES[2 : STAGES.index(stage) + 1] if stage != "raw" else ():
            found = (*found, *changed[name], self.core[name])
        return found

    def _is_made(self, stage: str, day: date) -> bool:
        if stage == "raw":
            return self._raw_model(day) is not None
        wanted = self._signature(stage, day)
        return wanted is not None and wanted in self.made.get((stage, day), ())

    def _expected(self, stage: str, day: date) -> str:
        """What a clean home would make, from the source and the settings alone."""
        raw = self._raw_model(day)
        assert raw is not None
        lines = raw.text.splitlines()
        if self.code["source_version"] == "1":
            lines = lines[1:]
        if stage == "raw":
            return "".join(f"{line}\n" for line in lines)
        return self._work(stage, self._expected(STAGES[max(0, STAGES.index(stage) - 1)]
                                                if stage != "bronze" else "raw", day))  # fmt: skip

    # The stages

    def _work(self, stage: str, text: str) -> str:
        """The output of a stage: it reads the settings of the dataset and the graph."""
        dataset: Any = DayChain(current(), "world", DAYS[0]).lineage.dataset
        chosen, core = dataset.settings, self.core[stage]
        rows = [line.split(",") for line in text.splitlines()]
        if stage == "bronze":
            kept = [r for r in rows if not r[2].isdigit() or int(r[2]) <= chosen.max_speed]
            added = [dataset.version, str(chosen.undeclared), core]
        elif stage == "silver":
            kept = [r for r in rows if not chosen.links or r[1] in chosen.links]
            added = [dataset.silver_version, core]
        else:
            graph = DayChain(current(), "world", DAYS[0]).lineage.graph
            kept, added = rows, [str(len(graph.edges) if graph else 0), core]
        return "".join(",".join([*row, *added]) + "\n" for row in kept)

    def _content(self, manifest: Manifest) -> str:
        data = [self.store.objects[file["key"]][0] for file in manifest.files]
        return "".join(gzip.decompress(d).decode() for d in data)

    def _make(self, stage: str, day: date, crash: str | None) -> None:
        """One stage: read the input as committed, work, commit; maybe die on the way."""
        if stage == "raw":
            IngestRaw(day, dataset="world").work()
            self._asked(day)
            return
        chain = DayChain(current(), "world", day)
        before = "raw" if stage in ("announce", "bronze") else STAGES[STAGES.index(stage) - 1]
        source = LakePartition(current(), before, "world", day)
        recipe = chain.recipe(stage)
        whole = source.manifest() if stage == "announce" else source.whole()
        partition_id = recipe.partition_id([whole.partition_id])
        text = "" if stage == "announce" else self._work(stage, self._content(whole))
        if stage == "gold":
            self._die_if(crash == "before")
            self.ledger[day.isoformat()], self.gold[day.isoformat()] = partition_id, text
        else:
            self._commit(stage, chain, partition_id, text, crash)
        signature = self._signature(stage, day)
        if stage == "gold":
            self.made[stage, day] = {signature}
        else:
            self.made.setdefault((stage, day), set()).add(signature)
        self._die_if(crash == "after")

    def _commit(
        self, stage: str, chain: DayChain, partition_id: str, text: str, crash: str | None
    ) -> None:
        catalog, recipe = current().catalog, chain.recipe(stage)
        number = catalog.next_generation(stage, "world", chain.day, recipe.hash, partition_id)
        files, prefix = [], ""
        if stage != "announce":
            attempt = catalog.attempt(stage, "world", chain.day, self.values["lake_prefix"])
            self.store.create(attempt.key("part-0"), gzip.compress(text.encode(), mtime=0))
            sealed = self.store.seal(attempt.key("part-0"))
            files = [{"key": sealed.key, "size": sealed.size, "checksum": sealed.checksum}]
            prefix = attempt.prefix
        self._die_if(crash == "before")
        assert catalog.commit(
            Manifest.start(
                recipe, chain.day, partition_id, inputs=[], generation=number, prefix=prefix,
                files=files,
            )
        )  # fmt: skip

    @staticmethod
    def _die_if(wanted: bool) -> None:
        if wanted:
            raise Killed

    def _asked(self, day: date) -> None:
        """The model of a raw partition that was asked for at today's address."""
        text = (self.folder / self.address / f"{day:%Y%m%d}.csv").read_text()
        key = day, self._shape()
        before = self.raw.get(key)
        if before and before.text == text:
            before.asked.add(self.address)
        else:
            self.raw[key] = RawModel(text, {self.address})
            self.broken = {b for b in self.broken if b[:2] != ("raw", day) or b[2] != self._shape()}

    # What may happen

    @initialize()
    def make_all(self) -> None:
        """So that every change has something to make stale."""
        for day in DAYS:
            self.run(day, None)

    # Each is a real change: what is drawn is another value than the one that there is.

    @rule(data=st.data(), name=st.sampled_from(sorted(SETTINGS)))
    def change_a_setting(self, data: st.DataObject, name: str) -> None:
        others = [value for value in SETTINGS[name][0] if value != self.values[name]]
        self.values[name] = data.draw(st.sampled_from(others))
        self._begin()

    @rule(name=st.sampled_from(sorted(CODE)))
    def change_the_plugin(self, name: str) -> None:
        self.code[name] = "2" if self.code[name] == "1" else "1"
        self._begin()

    @rule(stage=st.sampled_from(STAGES))
    def change_the_core(self, stage: str) -> None:
        self.core[stage] = "2" if self.core[stage] == "1" else "1"
        self._begin()

    @rule(further=st.sampled_from((1, 2)))
    def change_the_graph(self, further: int) -> None:
        self.edges = (self.edges + further) % 3
        self._begin()

    @rule()
    def move_the_source(self) -> None:
        self.address = FOLDERS[1 - FOLDERS.index(self.address)]
        self._begin()

    @rule(folder=st.sampled_from(FOLDERS), day=st.sampled_from(DAYS), text=st.sampled_from(TEXTS))
    def publish_and_ask_again(self, folder: str, day: date, text: str) -> None:
        self._publish(folder, day, text)
        if folder == self.address:
            IngestRaw(day, dataset="world").work()
            self._asked(day)

    @rule(day=st.sampled_from(DAYS), stage=st.sampled_from(("bronze", "silver")), cut=st.booleans())
    def destroy_an_output(self, day: date, stage: str, cut: bool) -> None:
        entry = self._live(stage, day)
        if entry is None:
            return
        key = current().catalog.manifest(entry).files[0]["key"]
        if key not in self.store.objects:
            return
        data, modified = self.store.objects.pop(key)
        if cut:
            self.store.objects[key] = data[:-1] + b"!", modified
        self.broken.add((stage, day, self._signature(stage, day)))

    @rule(day=st.sampled_from(DAYS))
    def lose_gold(self, day: date) -> None:
        """As `read_gold` or `invalidate` marks it."""
        self.ledger.pop(day.isoformat(), None)
        self.made.pop(("gold", day), None)
        self._begin()

    @rule(day=st.sampled_from(DAYS), stage=st.sampled_from(STAGES[:-1]))
    def invalidate(self, day: date, stage: str) -> None:
        for entry in current().catalog.day(stage, "world", day, ask_again=True).commits:
            current().catalog.void(entry, "by hand")
        self.made.pop((stage, day), None)
        self.broken = {b for b in self.broken if b[:2] != (stage, day)}
        if stage == "raw":
            self.raw = {key: kept for key, kept in self.raw.items() if key[0] != day}

    @rule(
        day=st.sampled_from(DAYS),
        crash=st.none()
        | st.tuples(st.sampled_from(STAGES[1:]), st.sampled_from(("before", "after"))),
    )
    def run(self, day: date, crash: tuple[str, str] | None) -> None:
        """As Luigi does: what is not complete, in order. Damage ends a run; the next repairs it."""
        for _ in range(len(STAGES)):
            self._begin()
            try:
                self._run_once(day, crash)
            except Killed:
                self._begin()
                return
            except DamageError:
                continue
            return
        pytest.fail("damage does not end")

    def _run_once(self, day: date, crash: tuple[str, str] | None) -> None:
        # Luigi begins at the end: what is complete needs nothing below it.
        wanted = ["announce"] if not self._exists("announce", day) else []
        if not self._exists("gold", day):
            below = next((n for n in (3, 2, 0) if self._exists(STAGES[n], day)), -1)
            wanted += [s for s in ("bronze", "silver", "gold") if STAGES.index(s) > below]
        if wanted and not self._exists("raw", day):
            wanted.insert(0, "raw")
        current().catalog.begin_work()
        for stage in wanted:
            if self._exists(stage, day):
                continue
            try:
                self._make(stage, day, crash[1] if crash and crash[0] == stage else None)
            except DamageError:
                before = STAGES[STAGES.index(stage) - 1] if stage != "bronze" else "raw"
                signature = self._signature(before, day)
                assert (before, day, signature) in self.broken
                self.broken.discard((before, day, signature))
                self.made[before, day].discard(signature)
                raise

    # What must hold

    def _live(self, stage: str, day: date) -> Entry | None:
        return LakePartition(current(), stage, "world", day).entry()

    def _exists(self, stage: str, day: date) -> bool:
        if stage == "gold":
            return GoldPartition(current(), "world", day).exists()
        return LakePartition(current(), stage, "world", day).exists()

    @invariant()
    def complete_is_what_was_made_of_all_that_is_called_for_and_equals_a_clean_home(self) -> None:
        for day in DAYS:
            for stage in STAGES:
                complete = self._exists(stage, day)
                assert complete == self._is_made(stage, day), (stage, day)
                if complete and stage != "announce":
                    self._equals_a_clean_home(stage, day)

    def _equals_a_clean_home(self, stage: str, day: date) -> None:
        if stage == "gold":
            assert self.gold[day.isoformat()] == self._expected("gold", day)
        elif (stage, day, self._signature(stage, day)) not in self.broken:
            content = self._content(LakePartition(current(), stage, "world", day).manifest())
            assert content == self._expected(stage, day), (stage, day)


Completeness.TestCase.settings = settings(
    max_examples=90, stateful_step_count=15, deadline=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
TestCompleteness = Completeness.TestCase
