"""The keys of the engines that compute bronze, silver and gold."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator


class Section(BaseModel):
    """Base of all sections: an unknown key is an error, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class ComputeSettings(Section):
    """What computes bronze, silver and gold."""

    engine: Literal["auto", "duckdb", "spark"] = Field(
        "auto",
        description=(
            "Engine; both make the same data. duckdb: in this process, needs no Java; the lake is "
            "a folder. spark: on one machine or a cluster. auto: spark if the lake is an S3 store "
            "or if Spark runs elsewhere (spark.remote, spark.master), else duckdb"
        ),
    )
    memory: str = Field(
        "",
        description=(
            "Memory of DuckDB, for example 500MB or 4GB; empty: a quarter of the machine's, but at "
            "most 2 GiB, or 256 MiB for each core of more than eight"
        ),
    )

    @field_validator("memory")
    @classmethod
    def _is_a_size(cls, given: str) -> str:
        if given and not re.fullmatch(r"[0-9]+ ?[MG]i?B", given):
            raise ValueError("expected a size, for example 500MB or 2GB")
        return given


class SparkSettings(Section):
    """Spark, an engine of bronze, silver and gold."""

    master: str = Field(
        "local[*]", description="Spark master: threads of this process, or spark://host:7077"
    )
    remote: str = Field(
        "",
        description=(
            "Spark Connect server, for example sc://host:15002; if set, spark.master is unused"
        ),
    )
    token: SecretStr | None = Field(
        None, description="Token of the Spark Connect server; environment only"
    )
    jars: Path | None = Field(None, description="Folder of the jars for s3a; see docs/stack.md")
    driver_memory: str = Field("3g", description="Heap size of the Spark driver's JVM")
    shuffle_partitions: int = Field(4, ge=1, description="Number of Spark tasks after a shuffle")
    conf: dict[str, str] = Field({}, description="Further Spark properties, by their Spark names")
