"""The web page of `luigi-traffic serve` in a headless Chromium, as somebody uses it."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import page_city
import pytest
import served
import uvicorn
from chromium import Visit, chromium, faults
from playwright.sync_api import BrowserContext, Page, expect

import luigi_traffic.commands.serve as package
from luigi_traffic.commands.serve.app import application
from luigi_traffic.commands.serve.catalog import About
from luigi_traffic.commands.serve.pool import Pool
from luigi_traffic.processes.postgres.embedded import EmbeddedServer
from luigi_traffic.settings.serve_keys import ServeSettings
from luigi_traffic.warehouse.connection import Warehouse

FILES = Path(package.__file__).parent / "page"
LINKS = 14_000
NEWEST = datetime(2024, 6, 3, 3, 0)
#: Link with a whole day of speeds.
WHOLE = 7000
TOKEN = "a token of more than 16 characters"


@contextmanager
def listening(pool: Pool, token: str | None = None) -> Iterator[str]:
    """The address of a server over that warehouse."""
    about = {name: About("Asia/Seoul", "km/h") for name in (page_city.DATASET, served.DATASET)}
    app = application(pool, ServeSettings(access_log=False), token=token, about=about)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    chromium()  # before the warehouse is made, which takes seconds
    server = EmbeddedServer(tmp_path_factory.mktemp("page") / "postgres")
    try:
        warehouse = Warehouse(server.ensure_running)
        warehouse.migrate()
        served.fill(warehouse)
        page_city.fill(warehouse, NEWEST, LINKS, whole=[WHOLE])
        warehouse.close()
        with closing(Pool(server.ensure_reader, 4, 30)) as pool:
            yield pool
    finally:
        server.destroy()


@pytest.fixture(scope="module")
def address(pool: Pool) -> Iterator[str]:
    with listening(pool) as address:
        yield address


def opened(visit: Visit, address: str, dataset: str) -> Page:
    """The page, as soon as its map is there."""
    visit.page.goto(f"{address}/?dataset={dataset}")
    visit.page.wait_for_selector("#map[data-shown]")
    return visit.page


@pytest.fixture(scope="module")
def of_city(browser: BrowserContext, address: str) -> Iterator[Visit]:
    """The page with 14,000 links; tests go on where the one before has ended."""
    visit = Visit(browser)
    opened(visit, address, page_city.DATASET)
    yield visit
    visit.page.close()


def test_the_map_draws_every_link_that_has_a_place(of_city: Visit, address: str) -> None:
    drawn = of_city.page.evaluate(
        "() => new Set(document.getElementById('map').map"
        ".queryRenderedFeatures({ layers: ['links', 'points'] }).map((one) => one.id)).size"
    )
    assert drawn == LINKS - page_city.WITHOUT_GEOMETRY
    legend = of_city.page.locator("#legend")
    expect(legend).to_contain_text("12 of 14,000 links have no geometry")
    expect(of_city.page.locator("#status")).to_contain_text("Observed 2024-06-03, 03:00 to 03:05")
    expect(of_city.page.locator("#status")).to_contain_text("The feed is")
    counts = [int(n.replace(",", "")) for n in legend.locator(".count").all_inner_texts()]
    assert sum(counts) == LINKS
    assert of_city.errors == []
    assert {url for url in of_city.asked if not url.startswith(f"{address}/")} == set()


def test_a_link_is_chosen_by_the_keyboard_alone(of_city: Visit) -> None:
    page = of_city.page
    while page.evaluate("() => document.activeElement.id") != "search":
        page.keyboard.press("Tab")
    link = f"{1_010_000_000 + 7 * WHOLE}"
    page.keyboard.type(link)
    expect(page.locator("#found li")).to_have_count(1)
    page.keyboard.press("Enter")
    chart = page.get_by_role("img", name=f"Link {link} on 2024-06-03: observed between")
    expect(chart).to_be_visible()
    assert chart.locator(".band").count() == NEWEST.hour + 2  # each hour, and the newest
    page.locator("summary").press("Enter")
    intervals = (NEWEST - NEWEST.replace(hour=0)) // timedelta(minutes=5) + 1
    expect(page.locator("#link tbody tr")).to_have_count(intervals + page_city.STEPS)
    assert of_city.errors == []


def test_axe_finds_nothing_serious(of_city: Visit) -> None:
    assert faults(of_city.page) == []


def test_the_slider_and_the_forecast(of_city: Visit) -> None:
    page = of_city.page
    page.locator("#slider").press("Home")
    expect(page.locator("#status")).to_contain_text("Observed 2024-06-03, 00:00 to 00:05")
    expect(page.locator("#status")).to_contain_text("1 of 14,000 links have a speed")
    page.locator("input[value='15']").press("Space")
    expect(page.locator("#status")).to_contain_text(
        "Forecast for 2024-06-03, 03:15 to 03:20, issued 03:05 by stid (live)"
    )
    expect(page.locator("#status .flag").last).to_have_text("⚠ 379 links by fallback")
    expect(page.locator("#slider")).to_be_disabled()
    assert of_city.errors == []


def test_the_table_has_what_the_map_has(of_city: Visit) -> None:
    page = of_city.page
    page.locator("input[value='share']").press("Space")
    page.locator("#newest").press("Enter")
    page.locator("input[value='table']").press("Space")
    expect(page.locator(".pager")).to_contain_text("1 to 100 of 14,000")
    first = page.locator("#tables tbody tr").first
    slowest = first.locator("td").nth(1).inner_text()
    page.get_by_role("button", name="Congestion").press("Enter")
    assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"
    assert first.locator("td").nth(1).inner_text() != slowest
    page.locator("#filter").fill("ring road 1")
    first.get_by_role("button").press("Enter")
    expect(page.locator("#link h2")).to_contain_text("Ring road 1")
    assert of_city.errors == []


@pytest.mark.parametrize(("width", "view"), [(360, "map"), (1280, "table")])
def test_dark_and_narrow(browser: BrowserContext, address: str, width: int, view: str) -> None:
    visit = Visit(browser, width, 740)
    visit.page.emulate_media(color_scheme="dark")
    page = opened(visit, address, served.DATASET)
    page.locator("#search").fill("1003")
    page.locator("#search").press("Enter")
    expect(page.locator("svg.chart")).to_be_visible()
    page.locator(f"input[value='{view}']").press("Space")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    assert faults(page) == []
    page.close()


def test_in_korean_and_back(browser: BrowserContext, address: str) -> None:
    visit = Visit(browser)
    visit.page.add_init_script(
        "Object.defineProperty(navigator, 'languages', { get: () => ['ko-KR', 'en'] })"
    )
    page = opened(visit, address, served.DATASET)
    expect(page.locator("#modes")).to_contain_text("혼잡도")
    expect(page.locator("#status")).to_contain_text("관측 2024-06-01 08:00~08:05")
    assert page.get_attribute("html", "lang") == "ko"
    page.get_by_role("button", name="English").click()
    expect(page.locator("#modes")).to_contain_text("Congestion")
    page.locator("#dataset select").select_option(page_city.DATASET)
    expect(page.locator("#status")).to_contain_text("of 14,000 links have a speed")
    page.evaluate("() => localStorage.clear()")
    page.close()


def test_a_token_is_asked_for_and_kept_for_the_tab(browser: BrowserContext, pool: Pool) -> None:
    with listening(pool, TOKEN) as address:
        page = Visit(browser).page
        page.goto(f"{address}/?dataset={served.DATASET}")
        page.locator("dialog input").fill("a wrong one")
        page.locator("dialog input").press("Enter")
        expect(page.locator("dialog .flag")).to_have_text("That token is not accepted.")
        page.locator("dialog input").fill(TOKEN)
        page.locator("dialog input").press("Enter")
        page.wait_for_selector("#map[data-shown]")
        assert page.evaluate("() => Object.values(sessionStorage)") == [TOKEN]
        assert TOKEN not in page.evaluate("() => Object.values(localStorage)")
        page.close()


def test_a_warehouse_that_is_down_is_said_and_the_page_stays(
    browser: BrowserContext, address: str
) -> None:
    visit = Visit(browser)
    page = opened(visit, address, served.DATASET)
    down = '{"detail": "The warehouse does not answer: try again."}'
    page.route("**/forecast?*", lambda route: route.fulfill(status=503, body=down))
    page.locator("input[value='15']").press("Space")
    expect(page.get_by_role("alert")).to_contain_text("The warehouse does not answer")
    expect(page.locator("#status")).to_contain_text("Observed 2024-06-01")
    page.unroute("**/forecast?*")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#status")).to_contain_text("Forecast for 2024-06-01")
    expect(page.locator("#error")).to_be_hidden()
    page.close()


def test_every_file_that_the_page_names_is_there() -> None:
    names = re.findall(r'(?:src|href)="static/([^"]+)"', (FILES / "index.html").read_text("utf-8"))
    for file in FILES.glob("*.js"):
        names += re.findall(r'(?:from|import\() ?"\./([^"]+)"', file.read_text("utf-8"))
    assert len(set(names)) > 10
    assert {name for name in names if not (FILES / name).is_file()} == set()


def test_the_files_of_others_are_as_they_came() -> None:
    told = re.findall(r"\| (\S+) \| `(\w{64})` \|", (FILES / "vendor/README.md").read_text("utf-8"))
    folder = FILES / "vendor"
    found = {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.iterdir()}
    assert dict(told) == {name: sha for name, sha in found.items() if name != "README.md"}
