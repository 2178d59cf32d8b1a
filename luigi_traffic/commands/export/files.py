"""Parquet files of an export: where they lie, how they are written, and what they were made of."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from luigi_traffic.errors import SettingsError

#: Key of the file's metadata that says what it was made of, as JSON.
MADE_OF = b"luigi_traffic"
_ROW_GROUP = 1 << 20


class Source(Protocol):
    """What becomes one file."""

    @property
    def key(self) -> str:
        """Name of the column that its folder stands for, as `day`."""

    @property
    def part(self) -> date:
        """Value of that column."""

    @property
    def partition_id(self) -> str:
        """What it is made of: of the same id, the rows are the same."""

    @property
    def made_of(self) -> Mapping[str, object]:
        """What the file is to say of it."""

    @property
    def metadata(self) -> Mapping[bytes, bytes]:
        """More keys of the file's metadata."""

    def open(self) -> AbstractContextManager[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
        """The rows. What is wrong with them is raised by the iterator, at its end at the latest."""


def place(out: Path, what: str, dataset: str, key: str, part: date) -> Path:
    """Where the file of a part lies."""
    return out / what / f"dataset={dataset}" / f"{key}={part}" / "data.parquet"


def write(path: Path, source: Source) -> None:
    """Write the file, whole or not at all. Raises `SettingsError` if it cannot be written."""
    unfinished = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write(unfinished, source)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise SettingsError(f"--out {path} cannot be written: {error.strerror or error}") from error


def _write(path: Path, source: Source) -> None:
    with source.open() as (schema, batches):
        said = json.dumps(dict(source.made_of), ensure_ascii=False).encode()
        schema = schema.with_metadata({MADE_OF: said, **source.metadata})
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            for batch in batches:
                rows = pa.Table.from_batches([batch]).replace_schema_metadata(schema.metadata)
                writer.write_table(rows, row_group_size=_ROW_GROUP)


def partition_of(path: Path) -> str | None:
    """The id of what the file was made of; None if there is none, or if it is none of ours."""
    try:
        metadata = pq.read_schema(path).metadata or {}
        return str(json.loads(metadata[MADE_OF])["partition_id"])
    except (FileNotFoundError, NotADirectoryError, pa.ArrowInvalid, KeyError, ValueError):
        return None


def measured(path: Path) -> tuple[int, int]:
    """Rows and bytes of the file."""
    return pq.read_metadata(path).num_rows, path.stat().st_size
