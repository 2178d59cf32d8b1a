"""The application: its parts, its routes, and what an error looks like."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from luigi_traffic.api.version import __version__
from luigi_traffic.commands.serve import routes, site
from luigi_traffic.commands.serve.answer import Service
from luigi_traffic.commands.serve.catalog import About, Catalog
from luigi_traffic.commands.serve.figures import Figures
from luigi_traffic.commands.serve.gate import Buckets, Gate
from luigi_traffic.commands.serve.kept import Kept
from luigi_traffic.commands.serve.pool import Pool
from luigi_traffic.commands.serve.problem import Problem
from luigi_traffic.errors import TrafficError
from luigi_traffic.settings.serve_keys import ServeSettings

logger = logging.getLogger("luigi_traffic")


def application(
    pool: Pool, settings: ServeSettings, *, token: str | None = None, dataset: str | None = None,
    about: Mapping[str, About] | None = None,
) -> FastAPI:  # fmt: skip
    """The API over a pool of connections. `dataset` is that of questions that name none.

    With `token`, all but /health and the files of the page need it; without, only names of loopback
    are answered.
    """
    figures = Figures()
    app = FastAPI(
        title="luigi_traffic", version=__version__, docs_url=None, redoc_url=None,
        redirect_slashes=False,
        summary="Speeds, forecasts and figures of road traffic. Times are local times of the "
        "dataset, without an offset.",
    )  # fmt: skip
    app.state.service = Service(
        Catalog(pool, about or {}, dataset, settings.state_seconds),
        settings,
        Kept(settings.cache_megabytes * 1_000_000, lambda answer: len(answer.body) + 500),
        figures,
    )
    app.include_router(routes.router)
    site.add(app)
    app.add_middleware(
        Gate, buckets=Buckets(settings.requests_per_second, settings.burst), token=token,
        figures=figures, access_log=settings.access_log,
    )  # fmt: skip
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(RequestValidationError, _wrong_parameter)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(TrafficError, _ours)
    return app


def _told(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"detail": detail}, status, headers)


def _problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    return _told(error.status, error.detail, error.headers)


def _wrong_parameter(request: Request, error: Exception) -> JSONResponse:
    """One sentence a parameter, with its name first."""
    assert isinstance(error, RequestValidationError)
    told = []
    for one in error.errors():
        name = str(one["loc"][-1])
        said = str(one["msg"]).removeprefix("Value error, ")
        if one["type"] == "extra_forbidden":
            said = "there is no parameter of that name here"
        elif one["type"] == "string_pattern_mismatch":
            said = "it contains a NUL character"
        told.append(f"{name}: {said}.")
    return _told(422, " ".join(told))


def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    detail = str(error.detail)
    if error.status_code == 404:
        detail = "There is nothing here: /docs lists what there is."
    elif error.status_code == 405:
        detail = "This is only to be read: GET."
    return _told(error.status_code, detail, error.headers)


def _ours(request: Request, error: Exception) -> JSONResponse:
    """Something that somebody has to change on the server, such as the role it was given."""
    logger.error("serve: %s", error)
    return _told(503, "The server cannot answer: its log says why.")
