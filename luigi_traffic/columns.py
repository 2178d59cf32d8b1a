"""Column expressions that plugins share with the core, on the DataFrame API alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import Column

_SCALE = 1_000_000


def exact_mean(value: Column) -> Column:
    """Mean of a double column to six decimals, the same whatever the order of the rows.

    A sum of doubles depends on the order in which tasks finish, so two runs would differ
    in the last bit and their checksums with them; a sum of integers does not.
    """
    from pyspark.sql import functions as F

    total = F.sum(F.round(value * _SCALE).cast("bigint"))
    return total / F.count(value) / F.lit(float(_SCALE))
