"""The pictures of a report: their numbers, their text, their size, and nothing from outside."""

from __future__ import annotations

import base64
import io
import re
import warnings
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from conftest import Trained
from matplotlib import colormaps
from PIL import Image
from training_tiny import around, road

from luigi_traffic import LinkGraph, LinkTable, ModelContext
from luigi_traffic.training import drawn_day
from luigi_traffic.training.drawn_day import Choice
from luigi_traffic.training.heat_map import MOST_ROWS, HeatMap
from luigi_traffic.training.holdout_days import HoldoutDay, HoldoutDays, days_of
from luigi_traffic.training.link_map import LinkMap
from luigi_traffic.training.report import write_report
from luigi_traffic.training.report_facts import Origin

SVG, LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"


@pytest.fixture(scope="module")
def html(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    origin = Origin("0123", "feed", ("2024-01-01", "2024-01-12"), decision="champion as the first")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # for example, of a character that a font lacks
        write_report(
            path, origin, trained.fit, trained.scores, trained.forecaster, trained.series
        )  # fmt: skip
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def day(trained: Trained) -> HoldoutDay:
    days = days_of(trained.series, trained.fit.split.test, 6, 4)
    rows = Choice.of(trained.series, days).rows
    return HoldoutDays.of(trained.forecaster, trained.series, days).day(rows)


def heat_map(trained: Trained, day: HoldoutDay) -> HeatMap:
    bundle, series = trained.forecaster.bundle, trained.series
    found = HeatMap.of(day, drawn_day.hours(day, series), series.links, bundle.context)
    assert found is not None
    return found


class Page(HTMLParser):
    """What a page refers to, its open elements, and the cells of the table after a heading."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.open: list[str] = []
        self.tables_outside: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.references += [given[n] or "" for n in ("src", "href", "xlink:href") if n in given]
        if tag == "table" and given.get("class") != "facts" and "wide" not in self.open[-1]:
            self.tables_outside.append(str(given))
        if tag not in ("meta", "link", "br", "img"):
            self.open.append(f"{tag} {given.get('class', '')}")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().split()[0] == tag


def svgs(html: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(text) for text in re.findall("(?s)<svg.*?</svg>", html)]


def images(svg: ElementTree.Element) -> list[np.ndarray]:
    found = (image.attrib[LINK].split(",")[1] for image in svg.iter(f"{SVG}image"))
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(text)))) for text in found]


def test_a_page_refers_to_nothing_outside_and_scrolls_in_its_boxes(html: str) -> None:
    page = Page(html)
    assert page.open == [] and page.tables_outside == []
    assert all(to.startswith(("#", "data:image/png;base64,")) for to in page.references)
    assert not re.search(r"url\((?!#)|@import|<script|<link", html)
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in html
    assert "prefers-color-scheme: dark" in html and "#010203" not in html  # ink is the page's
    # At 390 px nothing is wider than the page: what has a width of its own scrolls in its box.
    style = html[html.index("<style>") : html.index("</style>")]
    assert ".wide { overflow-x: auto; } .wide svg { min-width: 46rem; }" in style
    assert re.findall(r"(?<!max-)(?<!min-)width: *\d+(?:px|pt|in)", style) == []
    assert len(html) < 500_000
    ids = re.findall(r' id="([mphc][0-9a-f]{10})"', html)
    assert len(ids) == len(set(ids))


def test_text_of_every_script_stays_text(html: str) -> None:
    said = [text.text for svg in svgs(html) for text in svg.iter(f"{SVG}text")]
    assert "강남대로" in said and "$a_1$" in said
    assert "■" not in html
    assert "tiny on 도로 &amp; co" in html
    assert "Noto Sans KR" in svgs(html)[0].find(f".//{SVG}text").attrib["style"]


def test_the_heat_map_has_the_values_of_the_day_along_the_road(
    trained: Trained, html: str, day: HoldoutDay
) -> None:
    series, heat = trained.series, heat_map(trained, day)
    assert heat.order == "along the road graph" and heat.links == tuple(sorted(series.links))
    at = [series.links.index(link) for link in heat.links]
    actual = series.actual[day.rows.start : day.rows.stop, at].T
    np.testing.assert_array_equal(heat.observed, actual)
    said = trained.forecaster.predict(series, np.array(day.rows) - 3 - 6)[:, 3, at].T
    np.testing.assert_allclose(heat.forecast, said, rtol=1e-5)

    (svg,) = [svg for svg in svgs(html) if svg.attrib.get("aria-label", "").startswith("Heat map")]
    assert svg.attrib["role"] == "img" and "in numbers" in svg.attrib["aria-label"]
    # Three pictures, the colours of their scales in between.
    observed, forecast, error = (one for one in images(svg) if one.shape[:2] == actual.shape)
    missing = np.isnan(actual)
    for picture in (observed, error):
        np.testing.assert_array_equal(picture[..., 3] == 0, missing)
    assert (forecast[..., 3] == 255).all()
    colours = (np.array(colormaps["viridis"].resampled(48)(range(48))) * 255).round()
    for cell, colour in ((np.nanargmax(actual), colours[-1]), (np.nanargmin(actual), colours[0])):
        np.testing.assert_allclose(observed.reshape(-1, 4)[cell], colour, atol=1)

    part = actual[:, 12:18], said[:, 12:18]
    known = ~np.isnan(part[0])
    row = [part[0][known].mean(), part[1][known].mean(), np.abs(part[1] - part[0])[known].mean()]
    cells = "".join(f"<td>{value:.2f}</td>" for value in row)
    assert f'"row">06:00 to 09:00</th>{cells}<td>{1 - known.mean():.1%}</td>' in html
    assert f"In hatched cells nothing was observed: {missing.mean():.1%} of all." in html


def test_the_map_has_the_links_whose_places_are_known(trained: Trained, html: str) -> None:
    series, context = trained.series, trained.forecaster.bundle.context
    mae = dict(zip(series.links, trained.scores.by_link["model"], strict=True))
    placed = sorted(mae)[:-1]  # the fixture knows no place of the last one
    (svg,) = [svg for svg in svgs(html) if svg.attrib.get("aria-label", "").startswith("Map of")]
    dots = [group for group in svg.iter(f"{SVG}g") if "PathCollection" in group.get("id", "")]
    marks = [mark for group in dots for mark in group.iter(f"{SVG}use")]
    assert len(marks) == len(placed) == 11
    worst = sorted(placed, key=lambda link: -mae[link])[:5]
    said = [text.text for text in svg.iter(f"{SVG}text")]
    assert [text for text in said if text in mae] == worst
    assert f"largest errors: {worst[0]} {mae[worst[0]]:.2f}, " in svg.attrib["aria-label"]
    # The largest errors lie on top; east is right, and north is up.
    order = sorted(placed, key=lambda link: mae[link])
    place = {link.link_id: link for link in context.link_table}
    x, y = (np.array([float(mark.attrib[axis]) for mark in marks]) for axis in "xy")
    east = np.array([place[link].longitude for link in order])
    north = np.array([place[link].latitude for link in order])
    assert np.corrcoef(x, east)[0, 1] > 0.999 and np.corrcoef(y, north)[0, 1] < -0.999
    assert "1 of 12 links are left out: the dataset does not say where they are." in html

    assert LinkMap.of(around(series), [1.0] * 12) is None
    unplaced = LinkTable.from_rows([{"link_id": link} for link in series.links])
    assert LinkMap.of(replace(context, link_table=unplaced), [1.0] * 12) is None
    nothing = LinkMap.of(context, [None] * 12)
    assert nothing is not None and nothing.worst == [] and "<svg" in nothing.drawing("")


def test_links_without_a_graph_are_ordered_by_their_mean_and_many_are_sampled() -> None:
    series = road(days=1, links=700)
    values = np.repeat(series.actual[None], 2, axis=0)
    day = HoldoutDay(range(48), "2024-01-01", values, values, series.actual, series.actual)
    heat = HeatMap.of(day, np.arange(48) / 2, series.links, around(series))
    assert heat is not None and heat.order.startswith("by their mean")
    assert (len(heat.links), heat.total) == (MOST_ROWS, 700)
    assert (np.diff(np.nanmean(heat.observed, axis=1)) >= 0).all()
    nothing = HoldoutDay(range(48), "", values, values, series.actual * np.nan, series.actual)
    assert HeatMap.of(nothing, np.arange(48) / 2, series.links, around(series)) is None
    # Downstream as far as it goes, from each link that nothing flows into, then the rest.
    names = ("b", "x", "a", "c", "y")
    edges = (("a", "b"), ("b", "c"), ("x", "c"), ("x", "y"))
    context = ModelContext(names, graph=LinkGraph(edges))
    five = HoldoutDay(
        range(48), "", values[..., :5], values[..., :5], series.actual[:, :5], series.actual
    )
    ordered = HeatMap.of(five, np.arange(48) / 2, names, context)
    assert ordered is not None and ordered.links == ("x", "c", "a", "b", "y")


def test_a_large_picture_is_small() -> None:
    rng = np.random.default_rng(0)
    shape = MOST_ROWS, 288
    names = tuple(f"link {n}" for n in range(MOST_ROWS))
    seen, said = (rng.normal(50, 10, shape).astype(np.float32) for _ in range(2))
    heat = HeatMap(names, "", 14_000, np.arange(288) / 12, seen, said)
    drawn = heat.drawing("km/h", "speed", "1 h")
    places = LinkMap(
        tuple(map(str, range(14_000))), *rng.normal(37, 1, (2, 14_000)), rng.random(14_000), 14_000
    )
    assert len(drawn) + len(places.drawing("km/h")) < 1_500_000  # noise, the worst that can come
