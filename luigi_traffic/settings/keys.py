"""Layered settings: packaged defaults, files, environment; every value knows where it came from.

Order, last wins: defaults in this file → conf/base.yml → conf/<profile>.yml →
conf/datasets/*.yml, conf/models/*.yml → environment `LUIGI_TRAFFIC__SECTION__KEY`.
`luigi_traffic.settings.reading` reads and merges; this file says which keys there are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PrivateAttr, SecretStr

from luigi_traffic.errors import SettingsError
from luigi_traffic.settings.engine_keys import ComputeSettings, Section, SparkSettings
from luigi_traffic.settings.insight_keys import InsightSettings
from luigi_traffic.settings.live_keys import LiveSettings
from luigi_traffic.settings.reading import Layers, home, validated
from luigi_traffic.settings.serve_keys import ServeSettings
from luigi_traffic.settings.training_keys import (
    DriftSettings,
    ForecastSettings,
    PromotionSettings,
    TrackingSettings,
    TrainingSettings,
)


class PipelineSettings(Section):
    """What `FullPipeline` runs where the command line does not say."""

    dataset: str = Field("", description="Dataset plugin of a run that names none")
    model: str = Field("", description="Model plugin of a run that names none")
    window_days: int = Field(
        30, ge=1, description="Number of days of gold that a model is trained on"
    )
    stage_timeout_hours: float = Field(
        12.0, gt=0, description="Longest time for one stage of one day, or for one training"
    )
    run_timeout_hours: float = Field(
        24.0, gt=0, description="Longest time for a run started by daily or listen"
    )


class PluginsSettings(Section):
    """Which plugins load."""

    path: list[Path] = Field([], description="Folders whose modules are loaded as plugins too")
    disabled: list[str] = Field(
        [], description="Names of plugins or distributions that are not loaded"
    )
    timeout_seconds: float = Field(
        60.0, gt=0, description="Longest time for a plugin to load, or to report what it provides"
    )


class LakeSettings(Section):
    """Where raw, bronze and silver lie."""

    kind: Literal["local", "s3"] = Field(
        "local", description="Where the lake is: a local folder, or an S3 store such as MinIO"
    )
    path: Path | None = Field(
        None, description="Folder of the lake (kind local); empty: <home>/lake"
    )
    endpoint: str = Field(
        "http://127.0.0.1:9000",
        pattern=r"^https?://[^/?#@]+/?$",
        description="Address of the S3 store (kind s3)",
    )
    bucket: str = Field(
        "traffic-lake",
        pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
        description="Bucket of the lake, which must exist (kind s3)",
    )
    region: str = Field("us-east-1", description="Region that requests are signed for (kind s3)")
    path_style: bool = Field(
        True,
        description="Put the bucket in the path, as MinIO needs it, not in the host name (kind s3)",
    )
    ca_file: Path | None = Field(
        None, description="PEM file with the CA of an https endpoint (kind s3)"
    )
    keys_from: Literal["settings", "environment", "role"] = Field(
        "settings",
        description="Where the access keys come from (kind s3): the settings lake.access_key and "
        "lake.secret_key, AWS's variables (AWS_ACCESS_KEY_ID, …), or the role of this machine",
    )
    access_key: SecretStr | None = Field(
        None, description="Access key of the S3 store (kind s3); environment only"
    )
    secret_key: SecretStr | None = Field(
        None, description="Secret key of the S3 store (kind s3); environment only"
    )
    session_token: SecretStr | None = Field(
        None, description="Session token of temporary keys (kind s3); environment only"
    )


class WarehouseSettings(Section):
    """The PostgreSQL of gold, forecasts and the ledger."""

    kind: Literal["embedded", "server"] = Field(
        "embedded",
        description=(
            "Which PostgreSQL: the embedded one, which is started when needed, or your own server"
        ),
    )
    host: str = Field(
        "127.0.0.1", description="Host of the server, as named in its certificate (kind server)"
    )
    port: int = Field(5432, ge=1, le=65535, description="Port of the server (kind server)")
    dbname: str = Field("luigi_traffic", description="Name of the database (kind server)")
    user: str = Field("luigi_traffic", description="Role that logs in (kind server)")
    password: SecretStr | None = Field(
        None, description="Password of the role (kind server); environment only"
    )
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = Field(
        "prefer", description="TLS mode of the connection, as libpq defines it (kind server)"
    )
    ca_file: Path | None = Field(
        None, description="PEM file with the CA for sslmode verify-ca and verify-full"
    )
    require_auth: str = Field(
        "!password",
        description="Accepted ways to log in, as libpq defines them (kind server); "
        "!password: any but a plain-text password; empty: any",
    )
    connect_timeout_seconds: int = Field(
        5, ge=2, description="Longest time for one attempt to open a connection"
    )
    dead_host_seconds: int = Field(
        120, ge=4, description="Time after which either side gives up a host that does not answer"
    )
    # Not shorter than the pauses of a writer that waits for readers (warehouse/locks.py).
    idle_transaction_seconds: float = Field(
        600.0, ge=10, description="Time after which the server ends an idle transaction"
    )
    idle_commit_seconds: float = Field(
        30.0,
        gt=0,
        description=(
            "Time after which the server ends an idle transaction that keeps readers out of a table"
        ),
    )
    lock_wait_seconds: float = Field(
        600.0,
        gt=0,
        description="Longest time that a statement waits for a lock held by another session",
    )
    patience_hours: float = Field(
        6.0, gt=0, description="Longest time that a commit waits for readers of its table"
    )
    lease_seconds: float = Field(
        300.0,
        gt=0,
        description="Time after which a runner that shows no sign of life loses its lock",
    )

    def secret(self) -> str:
        """The password, empty where none is set."""
        return self.password.get_secret_value() if self.password else ""


class EventsSettings(Section):
    """Where a raw partition is announced."""

    kind: Literal["journal", "kafka"] = Field(
        "journal", description="Where announcements go: a journal file, or Apache Kafka"
    )
    topic: str = Field("traffic.{dataset}.raw", description="Topic of a dataset's announcements")
    servers: list[str] = Field(["127.0.0.1:9092"], description="Brokers as host:port (kind kafka)")
    partitions: int = Field(
        3, ge=1, description="Number of partitions of a topic that is created (kind kafka)"
    )
    replication: int = Field(
        1, ge=1, description="Number of copies of a topic that is created (kind kafka)"
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT",
        description="Whether TLS (SSL), a password (SASL), both or neither is used (kind kafka)",
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="SASL mechanism (kind kafka with SASL)"
    )
    user: str = Field("", description="User that logs in (kind kafka with SASL)")
    password: SecretStr | None = Field(
        None, description="Password of the user (kind kafka with SASL); environment only"
    )
    ca_file: Path | None = Field(
        None, description="PEM file with the CA (kind kafka with SSL); empty: the system's CAs"
    )


class ListenSettings(Section):
    """`luigi-traffic listen`: what consumes announcements."""

    group: str = Field("luigi_traffic", description="Consumer group; its members share the work")
    attempts: int = Field(
        3, ge=1, description="Number of runs of an event before it becomes a dead letter"
    )
    backoff_seconds: float = Field(
        5.0, gt=0, description="First pause between runs; it doubles each time"
    )
    dead_letter: str = Field(
        "{topic}.dead-letter",
        # Another topic than the one that is read, or letters would go round for ever.
        pattern=r"^([\w.-]+\{topic\}[\w.-]*|[\w.-]*\{topic\}[\w.-]+)$",
        description=(
            "Topic of messages that cannot be processed; {topic} stands for the topic they "
            "came from"
        ),
    )


class IngestSettings(Section):
    """Limits and retries of the download."""

    attempts: int = Field(
        5, ge=1, description="Number of attempts at a download that fails temporarily"
    )
    backoff_seconds: float = Field(
        1.0, gt=0, description="First pause between attempts; it doubles each time"
    )
    max_bytes: int = Field(64 << 30, ge=1, description="Largest unpacked text of a day")
    max_ratio: float = Field(200.0, gt=1, description="Largest ratio of unpacked to packed size")
    recheck_days: int = Field(
        7, ge=0, description="Number of newest days that `daily` asks the source for again; 0: none"
    )
    piece_bytes: int = Field(
        64 << 20, ge=1 << 10, description="Size of the text in one piece of raw"
    )
    settle_seconds: float = Field(
        5.0, ge=0, description="Seconds for which a file must be unchanged before it is read"
    )


class MissingDaysSettings(Section):
    """What a day means that the source does not have."""

    policy: Literal["fail", "skip"] = Field(
        "fail", description="What to do with a missing day: fail the run, or skip the day"
    )
    max: int = Field(
        3, ge=0, description="Number of days of one window that may be left out with policy skip"
    )
    recheck_hours: float = Field(
        6.0, ge=0, description="Hours until a missing day is asked for again for the first time"
    )


class Settings(Section):
    """All settings of one home."""

    pipeline: PipelineSettings = PipelineSettings()
    plugins: PluginsSettings = PluginsSettings()
    lake: LakeSettings = LakeSettings()
    warehouse: WarehouseSettings = WarehouseSettings()
    events: EventsSettings = EventsSettings()
    listen: ListenSettings = ListenSettings()
    training: TrainingSettings = TrainingSettings()
    tracking: TrackingSettings = TrackingSettings()
    promotion: PromotionSettings = PromotionSettings()
    forecast: ForecastSettings = ForecastSettings()
    drift: DriftSettings = DriftSettings()
    insight: InsightSettings = InsightSettings()
    live: LiveSettings = LiveSettings()
    serve: ServeSettings = ServeSettings()
    compute: ComputeSettings = ComputeSettings()
    spark: SparkSettings = SparkSettings()
    ingest: IngestSettings = IngestSettings()
    missing_days: MissingDaysSettings = MissingDaysSettings()
    datasets: dict[str, dict[str, Any]] = Field(default_factory=dict)
    models: dict[str, dict[str, Any]] = Field(default_factory=dict)

    #: The folder that they are of.
    _home: Path = PrivateAttr(default_factory=home)

    @property
    def home(self) -> Path:
        """The folder of all local state."""
        return self._home

    @property
    def engine(self) -> Literal["duckdb", "spark"]:
        """What computes bronze, silver and gold."""
        if self.compute.engine != "auto":
            return self.compute.engine
        own = not self.spark.remote and self.spark.master.startswith("local")
        return "duckdb" if own and self.lake.kind == "local" else "spark"

    @property
    def lake_path(self) -> Path:
        """The local lake's folder."""
        return self.lake.path or self.home / "lake"

    @property
    def tracking_uri(self) -> str:
        """The MLflow tracking URI."""
        return self.tracking.uri or f"sqlite:///{self.home / 'mlflow' / 'mlflow.db'}"


def read_settings(found: Layers, home: Path) -> Settings:
    """The settings of a home from their layers.

    Raises `SettingsError` that names the key, the place it was set and what was expected there.
    """
    chosen = validated(Settings, found.values, "", found)
    chosen._home = home
    for path, reason in _needed(chosen):
        section, _, key = path.partition(".")
        if not getattr(getattr(chosen, section), key):
            raise SettingsError(
                f"setting {path!r} is missing: {reason}. It is a secret and comes from the "
                f"environment only: set {found.variable(path)}.\n"
                f"  looked in, last wins:{found.looked_in()}"
            )
    lake = chosen.lake
    if chosen.engine == "duckdb" and lake.kind == "s3":
        what = "DuckDB works on a lake in a folder, but lake.kind is 's3'; expected spark or auto"
        raise SettingsError(found.with_places([found.told("compute.engine", what)]))
    if lake.keys_from != "settings":
        for key in ("access_key", "secret_key", "session_token"):
            if getattr(lake, key):
                what = (
                    f"lake.keys_from is {lake.keys_from!r}, so it is not used: set one of them only"
                )
                raise SettingsError(found.with_places([found.told(f"lake.{key}", what)]))
    return chosen


def _needed(chosen: Settings) -> list[tuple[str, str]]:
    """Secrets that the chosen kinds cannot do without, and why."""
    needed = []
    if chosen.warehouse.kind == "server":
        needed.append(("warehouse.password", "warehouse.kind is 'server'"))
    if chosen.lake.kind == "s3" and chosen.lake.keys_from == "settings":
        needed += [(f"lake.{key}", "lake.kind is 's3'") for key in ("access_key", "secret_key")]
    if chosen.events.kind == "kafka" and chosen.events.security_protocol.startswith("SASL"):
        needed.append(("events.password", "events.security_protocol requires SASL"))
    if chosen.spark.remote:
        needed.append(("spark.token", "spark.remote is a Connect server"))
    return needed
