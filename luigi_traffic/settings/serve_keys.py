"""The keys of `luigi-traffic serve`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr

from luigi_traffic.settings.engine_keys import Section


class ServeSettings(Section):
    """The HTTP API, see docs/serve.md."""

    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Address that is listened on; any but one of loopback needs serve.token",
    )
    port: int = Field(8800, ge=0, le=65535, description="Port; 0: a free one")
    token: SecretStr | None = Field(
        None, description="Token that clients send (Authorization: Bearer …); environment only"
    )
    token_file: Path | None = Field(
        None, description="File with the token, instead of serve.token; only its first line counts"
    )
    connections: int = Field(
        4, ge=1, le=100, description="Largest number of connections to the warehouse"
    )
    timeout_seconds: float = Field(
        10.0, gt=0, description="Longest time for one statement, and for the wait for a connection"
    )
    state_seconds: float = Field(
        1.0,
        ge=0,
        description="Time for which an answer may be behind the warehouse: it is asked that often",
    )
    cache_megabytes: int = Field(
        64, ge=0, description="Memory for answers that may be asked for again; 0: none"
    )
    default_rows: int = Field(
        15_000, ge=1, le=50_000, description="Largest number of rows of a page without ?limit="
    )
    max_rows: int = Field(
        50_000, ge=1, le=50_000, description="Largest number that ?limit= may have"
    )
    requests_per_second: float = Field(
        500.0, gt=0, description="Largest number of requests of one address in a second, on average"
    )
    burst: int = Field(
        1_000, ge=1, description="Number of requests of one address that may come at once"
    )
    access_log: bool = Field(True, description="Write a line for each request to the log")
