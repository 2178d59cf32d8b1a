"""A small server that speaks the recorded format, and a home of its own for each test."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from http_server import Answer, Request, http_server

if TYPE_CHECKING:
    from luigi_traffic.compute.engine import Engine

KEY = "a+secret/key=1"


class Service:
    """The state of the server: links by area, and answers to give before the real ones."""

    key = KEY

    def __init__(self) -> None:
        self.areas: dict[tuple[float, ...], list[dict[str, str]]] = {}
        self.page = 1000
        self.pages_work = True
        self.first: list[Answer] = []
        self.delay = 0.0
        self.asked: list[dict[str, str]] = []
        self.url = ""

    def answer(self, query: dict[str, str]) -> dict[str, Any]:
        if query["apiKey"] != KEY:
            return {
                "header": {"resultCode": 30, "resultMsg": "등록되지 않은 키 " + query["apiKey"]}
            }
        box = tuple(float(query[name]) for name in ("minX", "maxX", "minY", "maxY"))
        items = self.areas.get(box, [])
        size = int(query.get("numOfRows", self.page))
        number = int(query.get("pageNo", 1)) if self.pages_work else 1
        shown = items[(number - 1) * size : number * size]
        return {
            "header": {"resultCode": 0, "resultMsg": "success"},
            "body": {"totalCount": len(items), "items": shown},
        }

    @staticmethod
    def item(
        link: str, speed: str = "57.0", at: str = "20240531100500", **more: str
    ) -> dict[str, str]:
        """As the service writes a link: all values text."""
        return {
            "roadName": "삼산로", "roadDrcType": "0", "linkNo": "1", "linkId": link,
            "startNodeId": f"{link[:-2]}11", "endNodeId": f"{link[:-2]}22",
            "speed": speed, "travelTime": "12.5", "createdDate": at, **more,
        }  # fmt: skip

    def reply(self, request: Request) -> Answer:
        query = {k: v[0] for k, v in parse_qs(urlsplit(request.path).query).items()}
        self.asked.append(query)
        time.sleep(self.delay)
        if self.first:
            return self.first.pop(0)
        return Answer(json.dumps(self.answer(query), ensure_ascii=False))


@pytest.fixture
def service() -> Iterator[Service]:
    state = Service()
    with http_server(state.reply) as web:
        state.url = f"{web.url}/trafficInfo"
        yield state


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test writes into the home of whoever runs it."""
    monkeypatch.setenv("LUIGI_TRAFFIC_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def engine(luigi_traffic_engine: Engine) -> Engine:
    return luigi_traffic_engine
