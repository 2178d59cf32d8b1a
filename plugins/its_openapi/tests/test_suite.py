"""The conformance kit on this dataset, its polls as the collector stores them."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

from luigi_traffic import Dataset
from luigi_traffic.testing import DatasetSuite
from luigi_traffic_its_openapi import ItsOpenApi, ItsOpenApiSettings
from luigi_traffic_its_openapi.polls import Polls

MIDNIGHT = datetime(2024, 5, 31)
LINKS = ("1920161400", "1920161500", "1920121301")


def poll(at: datetime) -> list[dict[str, str]]:
    """What the service says of three links in a row."""
    return [
        {
            "roadName": "중앙로", "roadDrcType": "", "linkNo": "1", "linkId": link,
            "startNodeId": f"19200{n}0000", "endNodeId": f"19200{n + 1}0000",
            "speed": f"{30 + 7.25 * n + at.minute % 11:.2f}", "travelTime": "12.5",
            "createdDate": f"{at:%Y%m%d%H%M%S}",
        }
        for n, link in enumerate(LINKS)
    ]  # fmt: skip


class TestItsOpenApi(DatasetSuite):
    dataset = ItsOpenApi
    day = date(2024, 5, 31)
    speed_lines = 20_000

    def make_dataset(self, folder: Path) -> Dataset:
        polls = Polls(folder / "polls")
        if not polls.folder.exists():
            for number in range(288):
                at = MIDNIGHT + timedelta(minutes=5 * number)
                polls.store(poll(at), at)
        return ItsOpenApi(ItsOpenApiSettings(folder=polls.folder))
