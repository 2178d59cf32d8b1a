"""Settings of the ITS dataset, and of all that comes in its file format."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import model_validator

from luigi_traffic import DatasetSettings, setting

URL_TEMPLATE = "https://www.its.go.kr/opendata/fileDownload/traffic/{year}/{date}_5Min.zip"

#: The links of Ulsan that are kept where nobody says otherwise.
ULSAN_LINKS = (
    "1920161400", "1920161500", "1920121301", "1920121401", "1920161902", "1920162205",
    "1920162400", "1920000702", "1920000801", "1920121000", "1920121302", "1920121402",
    "1920235801", "1920189001", "1920139400", "1920161801", "1920162207", "1920162304",
    "1920162500", "1920171200", "1920171600", "1920188900", "1920138500",
)  # fmt: skip


class ItsFileSettings(DatasetSettings):
    """How rows of an ITS file are judged."""

    min_speed: float = setting(
        0.0, stage="bronze", ge=0, description="Speed in km/h; rows at or below it are rejected"
    )
    max_speed: float = setting(
        150.0, stage="bronze", gt=0, description="Speed in km/h; rows above it are rejected"
    )

    node_link_u_turns: bool = setting(
        # No stage: gold's recipe has the checksum of the graph that comes out of it.
        False,
        stage=None,
        description="Whether the other direction of a two-way road is a neighbour in the graph",
    )

    @model_validator(mode="after")
    def _bounds_in_order(self) -> ItsFileSettings:
        if self.min_speed >= self.max_speed:
            raise ValueError(
                f"min_speed {self.min_speed:g} is not below max_speed {self.max_speed:g}"
            )
        return self


class ItsSettings(ItsFileSettings):
    """Settings of dataset `its`: conf/datasets/its.yml, LUIGI_TRAFFIC__DATASETS__ITS__<KEY>."""

    url_template: str = setting(
        URL_TEMPLATE,
        stage="raw",
        description=(
            "Address of a day's archive; http, https or file, with {year}, {month}, {day}, {date}"
        ),
    )
    timeout: float = setting(
        60.0,
        stage=None,
        gt=0,
        description="Seconds without a byte before a download is tried again",
    )
    links: list[str] = setting(
        list(ULSAN_LINKS),
        stage="silver",
        unordered=True,
        description="Link ids kept in silver; empty: all",
    )
    scope: Literal["all", "links"] = setting(
        # The archive has the links of the whole country.
        "links",
        stage="bronze",
        description="Lines that bronze keeps: all, or those of `links` alone; raw keeps all",
    )
    node_link_csv: Path | None = setting(
        # No stage: gold's recipe has the checksum of the graph that comes out of it.
        None, stage=None, description="MOCT_LINK as CSV file (LINK_ID, F_NODE, T_NODE); empty: none"
    )  # fmt: skip
