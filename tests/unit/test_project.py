"""The front door: nothing of a project is global, so two of them fit in one process."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from plugin_sources import one

import luigi_traffic
from luigi_traffic.lake.manifest import Manifest
from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.project import Project, current
from luigi_traffic.targets.chain import DayChain, lineage
from luigi_traffic.targets.lake import LakePartition

PACKAGE = Path(luigi_traffic.__file__).parent
#: Where a program begins, or somebody calls us whose signature we cannot choose: nowhere else is
#: the project of the process asked for.
MAY_ASK = {
    "cli/export.py", "cli/groups.py", "cli/insight.py", "cli/inspection.py", "cli/links.py",
    "cli/scaffold.py", "cli/serve.py", "cli/services.py", "cli/upkeep.py", "run.py",
    "tasks/base.py",  # Luigi makes a task of its parameters alone
    "spark/server.py",
    "__init__.py",  # `installed_dataset`, for commands of plugins
    "plugins/__init__.py",  # `plugins`, for models that are registered (training/pyfunc.py)
}  # fmt: skip


@pytest.fixture
def pair(isolated, tmp_path: Path) -> Iterator[tuple[Project, Project]]:
    """Two homes, each with settings and a plugin of its own."""
    made = []
    for number, name in enumerate(("North", "South")):
        folder = tmp_path / name
        (folder / "conf").mkdir(parents=True)
        (folder / "plugins").mkdir()
        source = one(name.lower())
        (folder / "plugins" / f"{name.lower()}.py").write_text(source)
        (folder / "conf" / "base.yml").write_text(
            f"plugins: {{path: [{folder / 'plugins'}]}}\n"
            f"pipeline: {{window_days: {number + 3}}}\n"
            f"datasets: {{{name.lower()}: {{max_rejected_share: 0.{number + 1}}}}}\n"
        )
        environ = {"LUIGI_TRAFFIC__LAKE__PATH": str(folder / "lake")} if number else {}
        made.append(Project(folder / "home", folder / "conf", "local", environ))
    yield made[0], made[1]
    for project in made:
        project.close()
        if (project.home / "postgres").exists():
            EmbeddedServer(project.home / "postgres").destroy()


def test_two_homes_fit_in_one_process(pair: tuple[Project, Project], tmp_path: Path) -> None:
    north, south = pair
    assert (north.settings.pipeline.window_days, south.settings.pipeline.window_days) == (3, 4)
    assert (set(north.plugins.datasets), set(south.plugins.datasets)) == ({"north"}, {"south"})
    shares = [p.plugins.dataset(n).settings.max_rejected_share
              for p, n in ((north, "north"), (south, "south"))]  # fmt: skip
    assert shares == [0.1, 0.2]

    north.store.create("a", b"north")
    assert [(p.store.read("a") if any(p.store.list("")) else b"") for p in pair] == [b"north", b""]
    assert north.settings.lake_path == tmp_path / "North" / "home" / "lake"
    assert south.settings.lake_path == tmp_path / "South" / "lake"
    assert "South" in south.settings.tracking_uri and "North" in north.settings.tracking_uri
    assert north.services.folder() != south.services.folder()

    for number, project in enumerate(pair):
        with project.warehouse.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE TABLE gold_of_{number} (a int)")
    tables = [
        {name for (name,) in p.warehouse.query(
            "SELECT relname::text FROM pg_class WHERE relname LIKE 'gold_of_%'", None)[1]}
        for p in pair
    ]  # fmt: skip
    assert tables == [{"gold_of_0"}, {"gold_of_1"}]


def test_the_current_one_is_neither(pair: tuple[Project, Project]) -> None:
    assert current() is current()
    assert current() not in pair
    assert current().plugins.datasets == {}


def test_what_is_kept_is_kept_for_one_project(pair: tuple[Project, Project]) -> None:
    north, south = pair
    made = [p.keep("key", lambda p=p: p.home.name + str(id(p))) for p in (north, south, north)]
    assert made[0] == made[2] != made[1]


def test_a_target_looks_into_the_project_that_it_was_given(
    pair: tuple[Project, Project], tmp_path: Path
) -> None:
    north, _ = pair
    twin, day = Project(tmp_path / "twin", north.conf, "local", {}), date(2024, 5, 31)
    assert lineage(north, "north") is lineage(north, "north") is not lineage(twin, "north")
    known = DayChain(north, "north", day).lineage
    made = Manifest.start(
        known.raw, day, known.raw.partition_id(["x"]), inputs=[],
        details={"address": known.address},
    )  # fmt: skip
    assert north.catalog.commit(made)
    found = [LakePartition(project, "raw", "north", day).exists() for project in (north, twin)]
    assert found == [True, False]


def imported_from_project() -> dict[str, set[str]]:
    """Name in `luigi_traffic.project` → the files that import it; "" for the module itself."""
    found: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Import | ast.ImportFrom):
                continue
            names = {name.name for name in node.names}
            if isinstance(node, ast.Import):
                names = {""} if "luigi_traffic.project" in names else set()
            elif node.level or node.module == "luigi_traffic":
                names = {""} if "project" in names else set()
            elif node.module != "luigi_traffic.project":
                names = set()
            for name in names:
                found.setdefault(name, set()).add(path.relative_to(PACKAGE).as_posix())
    return found


def test_the_project_of_the_process_is_asked_for_at_the_front_door_alone() -> None:
    """Whoever else needs a project, or a part of one, says so in its signature."""
    found = imported_from_project()
    assert found["current"] == MAY_ASK
    assert found["in_place_of_current"] == {"testing/real_run.py"}
    assert set(found) == {"Project", "current", "in_place_of_current"}, "import names, not `*`"
