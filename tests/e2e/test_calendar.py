"""The page of `luigi-traffic status --html` in a headless Chromium: three years of days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from chromium import Visit, faults
from playwright.sync_api import BrowserContext, expect

from luigi_traffic.commands import status_html
from luigi_traffic.commands.status import SHOWN
from luigi_traffic.errors import DataError

#: Kept for people to look at.
SCREENSHOTS = Path(__file__).parents[2] / ".luigi_traffic" / "screenshots"
FIRST, LAST = date(2022, 1, 1), date(2024, 12, 31)
FAILED, STALE, AWAY = date(2023, 5, 3), date(2023, 5, 4), date(2024, 2, 29)
WHY = "failed at 2023-05-04 01:10 UTC: the header is </script><b>wrong</b>"


def row(day: date, stage: str) -> dict[str, Any]:
    one: dict[str, Any] = {
        "kind": "partition", "dataset": "its", "day": day, "stage": stage, "state": "done",
        "complete": True, "reason": None, "partition_id": f"{day:%Y%m%d}", "rows": 1440,
        "seconds": 1.25, "committed_at": None, "coverage": 0.98765, "attempt": None,
        "running": False,
    }  # fmt: skip
    if day == FAILED and stage != "raw":
        why = {"reason": WHY, "attempt": 7} if stage == "bronze" else {"reason": "bronze failed"}
        return one | {"state": "missing", "complete": False} | why
    if day == STALE and stage == "gold":
        return one | {"state": "stale", "complete": False, "reason": "its silver has changed"}
    if day == AWAY:
        return one | {"state": "absent", "reason": "left out: 404"}
    return one


@pytest.fixture(scope="module")
def visit(browser: BrowserContext, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    days = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
    path = tmp_path_factory.mktemp("status") / "status.html"
    status_html.write([row(day, stage) for day in days for stage in SHOWN], path)
    assert path.stat().st_size < 1_500_000
    visit = Visit(browser)
    visit.page.goto(path.as_uri())
    yield visit
    visit.page.emulate_media(color_scheme="light")
    visit.page.screenshot(path=SCREENSHOTS / "calendar.png", full_page=True)
    visit.page.close()


def test_every_day_has_a_cell_with_its_worst_stage(visit: Visit) -> None:
    cells = visit.page.locator(".grid button")
    expect(cells).to_have_count(3 * 365 + 1)
    letters = {day: visit.page.locator(f"[data-day='{day}']").inner_text()
               for day in (FIRST, FAILED, STALE, AWAY)}  # fmt: skip
    assert letters == {FIRST: ".", FAILED: "F", STALE: "S", AWAY: "-"}
    assert visit.errors == [] and len(visit.asked) == 1, "nothing but the file itself"


def test_a_click_says_why(visit: Visit) -> None:
    visit.page.locator(f"[data-day='{FAILED}']").click()
    said = visit.page.locator("aside")
    expect(said.locator("h2")).to_have_text(f"its {FAILED}")
    expect(said.locator("tr", has=visit.page.locator("th", has_text="bronze"))).to_contain_text(WHY)
    expect(said).to_contain_text(f"luigi-traffic lineage --made-from {FAILED} --dataset its")
    assert said.locator("b").count() == 0, "text of a message is no HTML"


def test_the_keyboard_alone(visit: Visit) -> None:
    page = visit.page
    page.locator(f"[data-day='{FAILED}']").focus()
    for key, day in (("ArrowRight", STALE), ("ArrowUp", date(2023, 4, 4)), ("ArrowDown", STALE)):
        page.keyboard.press(key)
        assert page.evaluate("() => document.activeElement.dataset.day") == str(day)
    page.keyboard.press("Enter")
    expect(page.locator("aside h2")).to_have_text(f"its {STALE}")
    expect(page.locator("aside")).to_contain_text("its silver has changed")


def test_filters(visit: Visit) -> None:
    page = visit.page
    page.locator("#states label", has_text="done").locator("input").uncheck()
    expect(page.locator(".grid button:not(.faded)")).to_have_count(3)
    page.locator("#stage").select_option("raw")
    expect(page.locator(f"[data-day='{FAILED}']")).to_have_text(".")
    page.locator("#stage").select_option("")
    page.locator("#states label", has_text="done").locator("input").check()
    assert visit.errors == []


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 360)])
def test_axe_finds_nothing_serious(visit: Visit, scheme: Any, width: int) -> None:
    visit.page.emulate_media(color_scheme=scheme)
    visit.page.set_viewport_size({"width": width, "height": 800})
    assert faults(visit.page) == []
    wide = "() => document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    assert visit.page.evaluate(wide), "the page itself never scrolls sideways"
    visit.page.set_viewport_size({"width": 1280, "height": 800})


def test_nothing_to_show(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing has run"):
        status_html.write([], tmp_path / "status.html")
