"""What this project replaces, with pandas: read whole, transform, delete the day, `to_sql`."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import sqlalchemy
from shared import DAY, MAX_SPEED, unpacked

from luigi_traffic.project import current

folder, csv, links = unpacked()
raw = pd.read_csv(csv, dtype={"CREATDE": str, "CREATHM": str, "LINKID": str})
raw["timestamp"] = pd.to_datetime(raw["CREATDE"] + raw["CREATHM"].str.zfill(4), format="%Y%m%d%H%M")
raw = raw.drop_duplicates()
good = raw[(raw["PASNGSPED"] > 0) & (raw["PASNGSPED"] <= MAX_SPEED)]
if links:
    good = good[good["LINKID"].isin(links)]
silver = (
    good.assign(timestamp=good["timestamp"].dt.floor("5min"))
    .groupby(["timestamp", "LINKID"], as_index=False)
    .agg(speed=("PASNGSPED", "mean"), n_obs=("PASNGSPED", "size"))
    .rename(columns={"LINKID": "link_id"})
)
silver.to_parquet(folder / "silver.parquet")

server = current().warehouse.dsn()
url = sqlalchemy.URL.create(
    "postgresql+psycopg2", server.user, server.password, server.host, server.port, server.dbname
)
with sqlalchemy.create_engine(url).begin() as conn:
    conn.execute(
        sqlalchemy.text("""
        CREATE TABLE IF NOT EXISTS replaced (timestamp timestamp, link_id text, speed float8,
            n_obs int, PRIMARY KEY (timestamp, link_id))
    """)
    )
    conn.execute(
        sqlalchemy.text("DELETE FROM replaced WHERE timestamp >= :day AND timestamp < :next"),
        {"day": DAY, "next": DAY + timedelta(days=1)},
    )
    silver.to_sql("replaced", conn, if_exists="append", index=False, chunksize=10_000)
