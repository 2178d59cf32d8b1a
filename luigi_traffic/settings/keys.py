"""Layered settings: packaged defaults, files, environment; every value knows where it came from.

Order, last wins: defaults in this file → conf/base.yml → conf/<profile>.yml →
conf/datasets/*.yml, conf/models/*.yml → environment `LUIGI_TRAFFIC__SECTION__KEY`.
`luigi_traffic.settings.reading` reads and merges; this file says which keys there are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr

from luigi_traffic.errors import SettingsError
from luigi_traffic.settings.reading import Layers, home, validated


class Section(BaseModel):
    """Base of all sections: an unknown key is an error, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class PipelineSettings(Section):
    """What `FullPipeline` runs where the command line does not say."""

    dataset: str = Field("", description="dataset plugin of a run that names none")
    model: str = Field("", description="model plugin of a run that names none")
    window_days: int = Field(30, ge=1, description="days of gold a model is trained on")
    stage_timeout_hours: float = Field(
        12.0, gt=0, description="how long one stage of one day, or a training, may take"
    )
    run_timeout_hours: float = Field(
        24.0, gt=0, description="how long a run that daily or listen has started may take"
    )


class PluginsSettings(Section):
    """Which plugins load."""

    path: list[Path] = Field([], description="folders whose modules load as plugins too")
    disabled: list[str] = Field([], description="plugin or distribution names that do not load")
    timeout_seconds: float = Field(
        60.0, gt=0, description="how long a plugin may take to load, or to say what it provides"
    )


class LakeSettings(Section):
    """Where raw, bronze and silver lie."""

    kind: Literal["local", "s3"] = Field("local", description="a folder, or MinIO or any S3")
    path: Path | None = Field(None, description="kind local: folder; empty: <home>/lake")
    endpoint: str = Field(
        "http://127.0.0.1:9000", pattern=r"^https?://[^/?#@]+/?$", description="kind s3: address"
    )
    bucket: str = Field(
        "traffic-lake",
        pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
        description="kind s3: it must exist",
    )
    region: str = Field("us-east-1", description="kind s3: region that requests are signed for")
    path_style: bool = Field(
        True, description="kind s3: bucket in the path (MinIO) or in the host name"
    )
    ca_file: Path | None = Field(None, description="kind s3: CA of an https endpoint, PEM")
    keys_from: Literal["settings", "environment", "role"] = Field(
        "settings",
        description="kind s3: the keys below, AWS's variables (AWS_ACCESS_KEY_ID, …), or the role "
        "of this machine",
    )
    access_key: SecretStr | None = Field(None, description="kind s3; environment only")
    secret_key: SecretStr | None = Field(None, description="kind s3; environment only")
    session_token: SecretStr | None = Field(
        None, description="kind s3: of keys that are temporary; environment only"
    )


class WarehouseSettings(Section):
    """The PostgreSQL of gold, forecasts and the ledger."""

    kind: Literal["embedded", "server"] = Field(
        "embedded", description="embedded: from the pip wheel, started by this tool"
    )
    host: str = Field("127.0.0.1", description="kind server: name, as its certificate has it")
    port: int = Field(5432, ge=1, le=65535, description="kind server")
    dbname: str = Field("luigi_traffic", description="kind server: database")
    user: str = Field("luigi_traffic", description="kind server: role that logs in")
    password: SecretStr | None = Field(None, description="kind server only; environment only")
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = Field(
        "prefer", description="kind server: how much TLS, as libpq has it"
    )
    ca_file: Path | None = Field(None, description="CA that verify-ca and verify-full ask for, PEM")
    require_auth: str = Field(
        "!password",
        description="kind server: ways to log in that are accepted, as libpq has it (!password: "
        "any but a password in clear; empty: any)",
    )
    connect_timeout_seconds: int = Field(5, ge=2, description="for one try to open a connection")
    dead_host_seconds: int = Field(
        120, ge=4, description="after which a host that does not answer is given up, on both sides"
    )
    # Not shorter than the pauses of a writer that waits for readers (warehouse/locks.py).
    idle_transaction_seconds: float = Field(
        600.0, ge=10, description="after which the server ends a transaction that does nothing"
    )
    idle_commit_seconds: float = Field(
        30.0, gt=0, description="the same, while a transaction keeps readers out of a table"
    )
    lock_wait_seconds: float = Field(
        600.0, gt=0, description="for which a statement waits for a lock that somebody else holds"
    )
    patience_hours: float = Field(
        6.0, gt=0, description="for which a commit waits for readers of its table"
    )
    lease_seconds: float = Field(
        300.0, gt=0, description="after which a runner that shows no sign of life loses its lock"
    )

    def secret(self) -> str:
        """The password, empty where none is set."""
        return self.password.get_secret_value() if self.password else ""


class EventsSettings(Section):
    """Where a raw partition is announced."""

    kind: Literal["journal", "kafka"] = Field("journal", description="a file, or Apache Kafka")
    topic: str = Field("traffic.{dataset}.raw", description="topic of a dataset's announcements")
    servers: list[str] = Field(["127.0.0.1:9092"], description="kind kafka: host:port of brokers")
    partitions: int = Field(3, ge=1, description="kind kafka: of a topic that is created")
    replication: int = Field(1, ge=1, description="kind kafka: of a topic that is created")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="kind kafka: TLS, a password, both or none"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="kind kafka with SASL: how the password is shown"
    )
    user: str = Field("", description="kind kafka with SASL")
    password: SecretStr | None = Field(None, description="kind kafka with SASL; environment only")
    ca_file: Path | None = Field(None, description="kind kafka with SSL: CA, PEM; empty: system's")


class ListenSettings(Section):
    """`luigi-traffic listen`: what consumes announcements."""

    group: str = Field("luigi_traffic", description="consumer group; its members share the work")
    attempts: int = Field(3, ge=1, description="runs of an event before it is a dead letter")
    backoff_seconds: float = Field(5.0, gt=0, description="first pause between runs; it doubles")
    dead_letter: str = Field(
        "{topic}.dead-letter",
        # Another topic than the one that is read, or letters would go round for ever.
        pattern=r"^([\w.-]+\{topic\}[\w.-]*|[\w.-]*\{topic\}[\w.-]+)$",
        description="topic of what cannot be worked; {topic} is where it came from",
    )


class TrackingSettings(Section):
    """MLflow."""

    uri: str | None = Field(None, description="tracking URI; empty: SQLite in <home>/mlflow")


class SparkSettings(Section):
    """The compute engine of bronze, silver and gold."""

    master: str = Field("local[*]", description="threads of this process, or spark://host:7077")
    remote: str = Field(
        "", description="Spark Connect, as sc://host:15002; given, spark.master is not used"
    )
    token: SecretStr | None = Field(None, description="of a Connect server; environment only")
    jars: Path | None = Field(None, description="folder of jars for s3a; see docs/stack.md")
    driver_memory: str = Field("3g", description="heap of the driver's JVM")
    shuffle_partitions: int = Field(4, ge=1, description="tasks after a shuffle")
    conf: dict[str, str] = Field({}, description="more Spark properties, as Spark names them")


class IngestSettings(Section):
    """Limits and retries of the download."""

    attempts: int = Field(5, ge=1, description="tries of a download that fails in a passing way")
    backoff_seconds: float = Field(1.0, gt=0, description="first pause between tries; it doubles")
    max_bytes: int = Field(64 << 30, ge=1, description="largest text of a day, unpacked")
    max_ratio: float = Field(200.0, gt=1, description="largest unpacked size over packed size")
    recheck_days: int = Field(
        7, ge=0, description="newest days that `daily` asks its source for again; 0: none"
    )
    piece_bytes: int = Field(64 << 20, ge=1 << 10, description="text in one piece of raw")
    settle_seconds: float = Field(
        5.0, ge=0, description="a file that changed within this time may still be written: wait"
    )


class MissingDaysSettings(Section):
    """What a day means that the source does not have."""

    policy: Literal["fail", "skip"] = Field("fail", description="fail the run, or leave days out")
    max: int = Field(3, ge=0, description="days of one window that may be left out under skip")
    recheck_hours: float = Field(
        6.0,
        ge=0,
        description="hours until an absent day is asked for again, at first",
    )


class Settings(Section):
    """All settings of one home."""

    pipeline: PipelineSettings = PipelineSettings()
    plugins: PluginsSettings = PluginsSettings()
    lake: LakeSettings = LakeSettings()
    warehouse: WarehouseSettings = WarehouseSettings()
    events: EventsSettings = EventsSettings()
    listen: ListenSettings = ListenSettings()
    tracking: TrackingSettings = TrackingSettings()
    spark: SparkSettings = SparkSettings()
    ingest: IngestSettings = IngestSettings()
    missing_days: MissingDaysSettings = MissingDaysSettings()
    datasets: dict[str, dict[str, Any]] = {}
    models: dict[str, dict[str, Any]] = {}

    #: The folder that they are of.
    _home: Path = PrivateAttr(default_factory=home)

    @property
    def home(self) -> Path:
        """The folder of all local state."""
        return self._home

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
        needed.append(("events.password", "events.security_protocol asks for SASL"))
    if chosen.spark.remote:
        needed.append(("spark.token", "spark.remote names a Connect server"))
    return needed
