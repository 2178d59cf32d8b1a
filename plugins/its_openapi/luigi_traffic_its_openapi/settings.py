"""Settings of the ITS OpenAPI: what to ask for, with which key, and where answers are kept."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr, field_validator

from luigi_traffic import home, setting
from luigi_traffic_its import ItsFileSettings

URL = "https://openapi.its.go.kr:9443/trafficInfo"
#: The only place that the key may come from.
KEY_VARIABLE = "LUIGI_TRAFFIC__DATASETS__ITS_OPENAPI__API_KEY"
#: minX, maxX, minY, maxY in degrees (WGS 84), in the order of the service's parameters.
Area = tuple[float, float, float, float]
#: The node table in the folder of the polls.
NODES = "nodes.csv"
#: How long after midnight items of the day before may still come in.
LATE = timedelta(minutes=30)
ULSAN: Area = (129.10, 129.48, 35.40, 35.70)


class ItsOpenApiSettings(ItsFileSettings):
    """Settings of `its_openapi`: conf/datasets/its_openapi.yml and
    LUIGI_TRAFFIC__DATASETS__ITS_OPENAPI__<KEY>.

    What is asked for has no stage: the bytes of a day are those that were collected.
    """

    url: str = setting(
        URL, stage=None, description="Address of the service; http or https, without parameters"
    )
    areas: list[Area] = setting(
        [ULSAN], stage=None, min_length=1,
        description=("Areas as [min_x, max_x, min_y, max_y] in degrees; each poll asks once "
            "for each"),
    )  # fmt: skip
    api_key: SecretStr | None = setting(
        None, stage=None, description="Key of the service; environment only"
    )
    folder: Path | None = setting(
        None, stage=None, description="Folder of the polls; empty: <home>/its_openapi"
    )
    timeout: float = setting(
        30.0, stage=None, gt=0, description="Seconds without a byte before a request is sent again"
    )
    attempts: int = setting(
        3, stage=None, ge=1, description="Number of attempts at a request that fails temporarily"
    )
    backoff_seconds: float = setting(
        2.0, stage=None, gt=0, description="First pause between attempts; it doubles each time"
    )

    @field_validator("url")
    @classmethod
    def _plain_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"expected an http or https address like {URL}")
        if parts.query or parts.username or parts.password:
            raise ValueError(
                "expected no parameters and no user: the key belongs in the setting api_key, areas "
                "belong in the setting areas"
            )
        return url

    @field_validator("areas")
    @classmethod
    def _in_order(cls, areas: list[Area]) -> list[Area]:
        for area in areas:
            min_x, max_x, min_y, max_y = area
            if not (-180 <= min_x < max_x <= 180 and -90 <= min_y < max_y <= 90):
                raise ValueError(
                    f"{list(area)} is not an area: expected [min_x, max_x, min_y, max_y], "
                    "longitudes before latitudes, the smaller before the larger"
                )
        return areas

    @property
    def polls_folder(self) -> Path:
        """Where polls are kept: a folder a day, and the node table."""
        return self.folder.expanduser().absolute() if self.folder else home() / "its_openapi"
