"""Bronze with reject reasons, silver and a table with a key, by Polars alone; see `shared`."""

from __future__ import annotations

import polars as pl
from shared import DAY, MAX_SPEED, SMALLEST_LINK, copy_silver, unpacked

NAMES = ["CREATDE", "CREATHM", "LINKID", "ROADINSTTCD", "PASNGSPED", "PASNGTIME"]

folder, csv, links = unpacked()
bronze, silver = folder / "bronze.parquet", folder / "silver.parquet"

# What follows the sixth column is left in one of its own.
texts = (
    pl.scan_lines(csv)
    .slice(1)
    .with_columns(
        pl.col("line").str.splitn(",", 7).struct.rename_fields([*NAMES, "more"]).struct.unnest()
    )
)
if links:
    texts = texts.filter(pl.col("LINKID").is_in(links))
moment = pl.concat_str("CREATDE", pl.col("CREATHM").str.zfill(4))
midnight = pl.col("CREATDE").str.to_datetime("%Y%m%d", strict=False).dt.offset_by("1d")
link, speed = pl.col("LINKID"), pl.col("speed")
link_number = link.cast(pl.Int64, strict=False)
typed = texts.with_columns(
    timestamp=pl.when(moment.str.ends_with("2400"))
    .then(midnight)
    .otherwise(moment.str.to_datetime("%Y%m%d%H%M", strict=False)),
    speed=pl.col("PASNGSPED").cast(pl.Float64, strict=False),
    travel_time=pl.col("PASNGTIME").cast(pl.Float64, strict=False),
)
good_link = (link.str.len_chars() == 10) & (link_number >= SMALLEST_LINK)
reason = (
    pl.when(pl.col("line") == "").then(pl.lit("blank line"))
    .when(pl.col("PASNGTIME").is_null()).then(pl.lit("too few columns"))
    .when(pl.col("more").is_not_null()).then(pl.lit("too many columns"))
    .when(pl.col("timestamp").is_null()).then(pl.lit("bad time"))
    .when(pl.col("timestamp").dt.date() != DAY).then(pl.lit("other day"))
    .when(~good_link.fill_null(False)).then(pl.lit("bad link id"))
    .when(speed.is_null() | ~speed.is_finite()).then(pl.lit("bad speed"))
    .when((speed <= 0) | (speed > MAX_SPEED)).then(pl.lit("implausible speed"))
)  # fmt: skip
typed.with_columns(reject_reason=reason).select(
    "timestamp",
    link.alias("link_id"),
    "speed",
    "travel_time",
    pl.when(pl.col("reject_reason").is_not_null()).then(pl.col("line")).alias("raw_line"),
    "reject_reason",
).sink_parquet(bronze, compression="zstd")

(
    pl.scan_parquet(bronze)
    .filter(pl.col("reject_reason").is_null())
    .group_by(pl.col("timestamp").dt.truncate("5m"), "link_id")
    .agg(pl.col("speed").mean(), pl.len().cast(pl.Int32).alias("n_obs"))
    .sink_parquet(silver, compression="zstd")
)
copy_silver(silver)
