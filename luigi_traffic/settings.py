"""Layered settings: packaged defaults, files, environment; every value knows where it came from.

Order, last wins: defaults in this file → conf/base.yml → conf/<profile>.yml →
conf/datasets/*.yml, conf/models/*.yml → environment `LUIGI_TRAFFIC__SECTION__KEY`.
`luigi_traffic.layers` reads and merges; this file says which keys there are.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from luigi_traffic.errors import SettingsError
from luigi_traffic.layers import Layers, home, validated


class Section(BaseModel):
    """Base of all sections: an unknown key is an error, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class PipelineSettings(Section):
    """What `FullPipeline` runs where the command line does not say."""

    dataset: str = Field("", description="dataset plugin of a run that names none")
    model: str = Field("", description="model plugin of a run that names none")
    window_days: int = Field(30, ge=1, description="days of gold a model is trained on")


class PluginsSettings(Section):
    """Which plugins load."""

    path: list[Path] = Field([], description="folders whose modules load as plugins too")
    disabled: list[str] = Field([], description="plugin or distribution names that do not load")


class LakeSettings(Section):
    """Where raw, bronze and silver lie."""

    kind: Literal["local"] = "local"
    path: Path | None = Field(None, description="folder; empty: <home>/lake")


class WarehouseSettings(Section):
    """The PostgreSQL of gold, forecasts and the ledger."""

    kind: Literal["embedded", "server"] = Field(
        "embedded", description="embedded: from the pip wheel, started by this tool"
    )
    host: str = "127.0.0.1"
    port: int = Field(5432, ge=1, le=65535)
    dbname: str = "luigi_traffic"
    user: str = "luigi_traffic"
    password: SecretStr | None = Field(None, description="kind server only; environment only")
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = "prefer"

    def secret(self) -> str:
        """The password, empty where none is set."""
        return self.password.get_secret_value() if self.password else ""


class EventsSettings(Section):
    """Where a raw partition is announced."""

    kind: Literal["journal"] = "journal"
    topic: str = Field("traffic.{dataset}.raw", description="topic of a dataset's announcements")


class TrackingSettings(Section):
    """MLflow."""

    uri: str | None = Field(None, description="tracking URI; empty: SQLite in <home>/mlflow")


class SparkSettings(Section):
    """The compute engine of bronze, silver and gold."""

    master: str = "local[*]"
    driver_memory: str = Field("3g", description="heap of the driver's JVM")
    shuffle_partitions: int = Field(4, ge=1)
    conf: dict[str, str] = Field({}, description="more Spark properties, as Spark names them")


class IngestSettings(Section):
    """Limits and retries of the download."""

    attempts: int = Field(5, ge=1, description="tries of a download that fails in a passing way")
    backoff_seconds: float = Field(1.0, gt=0, description="first pause between tries; it doubles")
    max_bytes: int = Field(64 << 30, ge=1, description="largest text of a day, unpacked")
    max_ratio: float = Field(200.0, gt=1, description="largest unpacked size over packed size")
    piece_bytes: int = Field(64 << 20, ge=1 << 10, description="text in one piece of raw")


class MissingDaysSettings(Section):
    """What a day means that the source does not have."""

    policy: Literal["fail", "skip"] = Field("fail", description="fail the run, or leave days out")
    max: int = Field(3, ge=0, description="days of one window that may be left out under skip")
    recheck_hours: float = Field(
        6.0, ge=0, description="how long an absent day younger than a week is taken as absent"
    )


class Settings(Section):
    """All settings of one process."""

    pipeline: PipelineSettings = PipelineSettings()
    plugins: PluginsSettings = PluginsSettings()
    lake: LakeSettings = LakeSettings()
    warehouse: WarehouseSettings = WarehouseSettings()
    events: EventsSettings = EventsSettings()
    tracking: TrackingSettings = TrackingSettings()
    spark: SparkSettings = SparkSettings()
    ingest: IngestSettings = IngestSettings()
    missing_days: MissingDaysSettings = MissingDaysSettings()
    datasets: dict[str, dict[str, Any]] = {}
    models: dict[str, dict[str, Any]] = {}

    @property
    def lake_path(self) -> Path:
        """The local lake's folder."""
        return self.lake.path or home() / "lake"

    @property
    def tracking_uri(self) -> str:
        """The MLflow tracking URI."""
        return self.tracking.uri or f"sqlite:///{home() / 'mlflow' / 'mlflow.db'}"


@cache
def layers() -> Layers:
    """The layers of this process, read once."""
    return Layers.read()


@cache
def settings() -> Settings:
    """The settings of this process, read once.

    Raises `SettingsError` that names the key, the place it was set and what was expected there.
    """
    found = layers()
    for path in ("warehouse.password",):
        place = found.origin.get(path, "")
        if place and not place.startswith("environment"):
            raise SettingsError(
                f"{path} is set in {place}: secrets come from the environment only. "
                f"Remove it there and set {found.variable(path)}."
            )
    chosen = validated(Settings, found.values, "", found)
    if chosen.warehouse.kind == "server" and not chosen.warehouse.secret():
        raise SettingsError(
            "setting 'warehouse.password' is missing: warehouse.kind is 'server'. It is a secret "
            f"and comes from the environment only: set {found.variable('warehouse.password')}.\n"
            f"  looked in, last wins:{found.looked_in()}"
        )
    return chosen


def reset() -> None:
    """Forget what was read: for tests that change the environment."""
    settings.cache_clear()
    layers.cache_clear()
