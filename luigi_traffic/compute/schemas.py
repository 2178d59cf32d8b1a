"""Canonical columns of bronze and silver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luigi_traffic.api import functions as F
from luigi_traffic.api.columns import COUNTS, MEASURES, SILVER
from luigi_traffic.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from luigi_traffic.api.dataset import Dataset

#: The columns that bronze must have besides those its dataset reads in silver.
BRONZE = {"reject_reason": "string", "raw_line": "string"}


def canonical_silver(frame: DataFrame, dataset: Dataset) -> DataFrame:
    """The frame in the canonical order and types, the dataset's extra columns at the end.

    Raises `DataError` naming a column that lacks, or one that nobody declared.
    """
    measures, extra = dataset.measures, dataset.extra_columns
    required = [name for name in measures if name not in dataset.optional_measures]
    _require(frame, ["timestamp", "link_id", *required, "n_obs", *extra], "silver")
    unmeasured = {name for m in MEASURES if m not in measures for name in (m, COUNTS[m])}
    kinds = {name: kind for name, kind in SILVER.items() if name not in unmeasured}
    kinds |= dict.fromkeys(extra, "double")
    for name in frame.columns:
        if name not in kinds:
            said = "measures" if name in MEASURES else "extra_columns"
            raise DataError(
                f"the dataset plugin's silver() returned the column {name!r}, which would be "
                f"lost: add it to {said} of the dataset, or remove it."
            )
    return frame.select(
        *[
            F.col(name).cast(kind).alias(name)
            for name, kind in kinds.items()
            if name in frame.columns
        ]
    )


def checked_bronze(frame: DataFrame) -> DataFrame:
    """The frame, if it has what the core reads."""
    _require(frame, list(BRONZE), "bronze")
    return frame


def _require(frame: DataFrame, names: list[str], stage: str) -> None:
    for name in names:
        if name not in frame.columns:
            raise DataError(
                f"the dataset plugin's {stage}() returned no column {name!r}."
                + did_you_mean(name, frame.columns)
            )
