"""Bronze with reject reasons, silver and a table with a key, by DuckDB alone; see `shared`."""

from __future__ import annotations

import duckdb
from shared import DAY, MAX_SPEED, SMALLEST_LINK, copy_silver, unpacked

folder, csv, links = unpacked()
bronze, silver = folder / "bronze.parquet", folder / "silver.parquet"

db = duckdb.connect()
db.execute("CREATE TABLE links (link_id VARCHAR)")
if links:
    db.execute("INSERT INTO links SELECT unnest($1)", [links])
# Lines with too few or too many columns go to the table reject_errors, once an error.
db.execute(f"""
    COPY (
        WITH texts AS (
            FROM read_csv('{csv}', header = true, all_varchar = true, store_rejects = true)
            {"WHERE LINKID IN (FROM links)" if links else ""}
        ),
        typed AS (
            SELECT *, TRY_CAST(PASNGSPED AS DOUBLE) AS speed,
                TRY_CAST(PASNGTIME AS DOUBLE) AS travel_time,
                CREATDE || lpad(CREATHM, 4, '0') AS moment,
                CASE WHEN suffix(moment, '2400')
                    THEN try_strptime(CREATDE, '%Y%m%d') + INTERVAL 1 DAY
                    ELSE try_strptime(moment, '%Y%m%d%H%M') END AS timestamp
            FROM texts
        ),
        judged AS (
            SELECT *, CASE
                WHEN timestamp IS NULL THEN 'bad time'
                WHEN timestamp::DATE <> DATE '{DAY}' THEN 'other day'
                WHEN LINKID IS NULL OR length(LINKID) <> 10
                    OR coalesce(TRY_CAST(LINKID AS BIGINT), 0) < {SMALLEST_LINK} THEN 'bad link id'
                WHEN speed IS NULL OR NOT isfinite(speed) THEN 'bad speed'
                WHEN speed <= 0 OR speed > {MAX_SPEED} THEN 'implausible speed'
                END AS reject_reason
            FROM typed
        )
        SELECT timestamp, LINKID AS link_id, speed, travel_time,
            CASE WHEN reject_reason IS NOT NULL THEN concat(CREATDE, ',', CREATHM, ',', LINKID, ',',
                ROADINSTTCD, ',', PASNGSPED, ',', PASNGTIME) END AS raw_line,
            reject_reason
        FROM judged
    ) TO '{bronze}' (FORMAT parquet, COMPRESSION zstd)
""")
db.execute(f"""
    COPY (
        SELECT DISTINCT ON (line) csv_line AS raw_line, error_type::VARCHAR AS reject_reason
        FROM reject_errors
    ) TO '{folder / "bronze-broken.parquet"}' (FORMAT parquet, COMPRESSION zstd)
""")
db.execute(f"""
    COPY (
        SELECT time_bucket(INTERVAL 5 MINUTE, timestamp) AS timestamp, link_id,
            avg(speed) AS speed, count(*)::INTEGER AS n_obs
        FROM '{bronze}' WHERE reject_reason IS NULL GROUP BY ALL
    ) TO '{silver}' (FORMAT parquet, COMPRESSION zstd)
""")
copy_silver(silver)
