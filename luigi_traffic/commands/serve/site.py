"""The web page and its files, and a page of the API that needs nothing from another host."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, HTMLResponse
from fastapi.staticfiles import StaticFiles

PAGE = Path(__file__).parent / "page"
#: Files have no version in their names: a browser asks whether one has changed, by its ETag.
_FILES = {"Cache-Control": "no-cache"}


class _Files(StaticFiles):
    def file_response(self, *args: Any, **more: Any) -> Response:
        answer = super().file_response(*args, **more)
        answer.headers.update(_FILES)
        return answer


def add(app: FastAPI) -> None:
    """Add /, /static and /docs."""
    app.mount("/static", _Files(directory=PAGE), name="static")
    app.add_api_route("/", _index, include_in_schema=False)
    app.add_api_route("/docs", _docs, include_in_schema=False)


def _index() -> FileResponse:
    return FileResponse(PAGE / "index.html", headers=_FILES)


def _docs(request: Request) -> HTMLResponse:
    app: FastAPI = request.app
    return HTMLResponse(page_of(app.openapi()), headers=_FILES)


def page_of(openapi: dict[str, Any]) -> str:
    """An OpenAPI document as a page of HTML, a table of parameters for each resource."""
    about = openapi["info"]
    body = [f"<h1>{escape(about['title'])} {escape(about['version'])}</h1>"]
    body.append(f"<p>{escape(about.get('summary', ''))} ")
    body.append('<a href="/openapi.json">openapi.json</a></p>')
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            body.append(f"<h2><code>{method.upper()} {escape(path)}</code></h2>")
            body.append(f"<p>{escape(operation.get('description', ''))}</p>")
            body += _parameters(operation.get("parameters", []))
            body += _answers(operation["responses"])
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(about['title'])}</title>"
        '<link rel="stylesheet" href="/static/docs.css"></head>\n'
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


def _parameters(parameters: list[dict[str, Any]]) -> list[str]:
    rows = [
        f"<tr><td><code>{escape(one['name'])}</code></td><td>{escape(_type(one['schema']))}</td>"
        f"<td>{escape(one.get('description', ''))}</td></tr>"
        for one in parameters
    ]
    head = "<tr><th>parameter</th><th>type</th><th>what it is</th></tr>"
    return [f"<table>{head}{''.join(rows)}</table>"] if rows else []


def _type(schema: dict[str, Any]) -> str:
    several = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    return " or ".join(
        ", ".join(one["enum"]) if "enum" in one else f"{one.get('type', '')} {_bounds(one)}".strip()
        for one in several
    )


def _bounds(schema: dict[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    return f"{low} to {high}" if low is not None and high is not None else ""


def _answers(answers: dict[str, Any]) -> list[str]:
    told = [
        f"<li>{escape(status)}: {escape(one.get('description', ''))}"
        f" <small>{escape(', '.join(one.get('content', {})))}</small></li>"
        for status, one in sorted(answers.items())
    ]
    return [f"<ul>{''.join(told)}</ul>"]
