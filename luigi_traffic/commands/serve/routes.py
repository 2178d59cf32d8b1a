"""One function a resource; the docstrings are what /docs shows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from luigi_traffic.commands.serve import formats, stages
from luigi_traffic.commands.serve.answer import Service, answer, refuse_repeated
from luigi_traffic.commands.serve.asked import (
    ForecastAsked,
    InsightAsked,
    LinksAsked,
    NothingAsked,
    SpeedsAsked,
)
from luigi_traffic.commands.serve.forecasts import forecast as forecast_page
from luigi_traffic.commands.serve.forecasts import newest_issue
from luigi_traffic.commands.serve.insights import insight as insight_page
from luigi_traffic.commands.serve.live_ticks import live_ticks
from luigi_traffic.commands.serve.problem import Problem, ProblemBody
from luigi_traffic.commands.serve.roads import count
from luigi_traffic.commands.serve.roads import links as links_page
from luigi_traffic.commands.serve.speeds import speeds as speeds_page

router = APIRouter()
_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ProblemBody, "description": said}
    for status, said in {
        404: "There is no such dataset, or nothing of it",
        422: "A parameter is wrong",
        429: "Too many requests",
        503: "The warehouse does not answer",
    }.items()
}
_ROWS: dict[int | str, dict[str, Any]] = {
    200: {"content": {media: {} for media in formats.MEDIA.values()}},
    304: {"description": "The client has this answer (If-None-Match)"},
}
_HERE: dict[str, Any] = {"response_class": Response, "responses": _ROWS | _ERRORS}


@router.get("/datasets", response_class=Response, responses=_ERRORS)
def datasets(request: Request, asked: Annotated[NothingAsked, Query()]) -> Response:
    """The datasets, with the first and the last interval that has speeds."""
    service: Service = request.app.state.service
    catalog = service.catalog
    shown = []
    for name in catalog.names():
        found, about = catalog.find(name), catalog.about.get(name)
        extent = catalog.extent(found)
        shown.append(
            {
                "dataset": name,
                "timezone": about.timezone if about else None,
                "interval_seconds": extent.interval and int(extent.interval.total_seconds()),
                "units": about.units if about else None,
                "first": extent.first,
                "last": extent.last,
                "forecasts": newest_issue(catalog, found) is not None,
                "links": count(catalog, found),
                "live": "live" in found.tables,
            }
        )
    return _json(shown)


@router.get("/links", **_HERE)
def links(request: Request, asked: Annotated[LinksAsked, Query()]) -> Response:
    """The links of a dataset: name, length, speed limit and, as GeoJSON, geometry."""
    return answer(request, asked, links_page)


@router.get("/speeds", **_HERE)
def speeds(request: Request, asked: Annotated[SpeedsAsked, Query()]) -> Response:
    """What was observed in an interval, or from `at` until `until`."""
    return answer(request, asked, speeds_page)


@router.get("/forecast", **_HERE)
def forecast(request: Request, asked: Annotated[ForecastAsked, Query()]) -> Response:
    """A forecast: the newest one, or the one issued at a time."""
    return answer(request, asked, forecast_page)


@router.get("/insight", **_HERE)
def insight(request: Request, asked: Annotated[InsightAsked, Query()]) -> Response:
    """Travel times, health of sensors, bottlenecks or typical weeks of the newest window."""
    return answer(request, asked, insight_page, ("json", "csv", "arrow"))


@router.get("/health", response_class=Response, responses={503: _ERRORS[503]})
def health(request: Request, asked: Annotated[NothingAsked, Query()]) -> Response:
    """Whether the warehouse answers, and how new the data of each dataset is."""
    try:
        newest = _newest(request)
    except Problem as problem:
        body = {"status": "down", "warehouse": False, "detail": problem.detail}
        return _json(body, problem.status, problem.headers)
    return _json({"status": "ok", "warehouse": True, "newest": newest})


@router.get("/metrics", response_class=Response, responses=_ERRORS)
def metrics(request: Request, asked: Annotated[NothingAsked, Query()]) -> Response:
    """Figures of this server, of the live runners and of the stages, for Prometheus."""
    service: Service = request.app.state.service
    service.figures.forget_stages()
    pool = service.catalog.pool
    try:
        for name, times in _newest(request).items():
            for what, at in times.items():
                if at is not None:
                    service.figures.newest(name, what, at.replace(tzinfo=UTC).timestamp())
            for ticks in live_ticks(pool, name):
                service.figures.live(name, ticks)
            service.figures.stages(name, stages.attempts(pool, name), stages.partitions(pool, name))
    except Problem:
        pass  # the figures of the server are there without the warehouse
    return Response(service.figures.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _newest(request: Request) -> dict[str, dict[str, datetime | None]]:
    refuse_repeated(request)
    service: Service = request.app.state.service
    shown: dict[str, dict[str, datetime | None]] = {}
    for name in service.catalog.names():
        found = service.catalog.find(name)
        issue = newest_issue(service.catalog, found)
        shown[name] = {
            "speeds": service.catalog.extent(found).last,
            "forecast": issue.issued_at if issue else None,
        }
    return shown


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    plain = {"Cache-Control": "no-store", **(headers or {})}
    return Response(formats.json(value), status, plain, "application/json")
