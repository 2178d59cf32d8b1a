"""Against what this project replaces: `python benchmarks/replaced.py [ROWS [ROUNDS]]`.

A day in ITS format from its ZIP to PostgreSQL, as the tasks of an Airflow DAG plainly do it (its
scheduler does not run here): unpack the ZIP whole; parse, filter, average; write Parquet; delete
the day in a table with a primary key, and append. "pandas + to_sql" reads the file whole; "naive
Spark" infers the schema, drops duplicates, and writes by JDBC. Neither keeps rejected rows, counts,
checks or hashes anything, and whoever reads in between sees half a day. They take turns with `Gold`
of dataset its by DuckDB and by Spark, each in a home of its own. CPU seconds are of all processes,
with PostgreSQL and the JVM. Medians of 3.

JDBC needs PostgreSQL's driver: POSTGRESQL_JAR, or the one in Maven's local repository.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from engines import ROUNDS, compare

_DRIVER = "org.postgresql:postgresql:42.7.14"


def kinds() -> list[str]:
    """Those that can run here."""
    found = ["pandas + to_sql", "naive Spark", "duckdb", "spark"]
    group, name, version = _DRIVER.split(":")
    jar = Path.home() / ".m2/repository" / group.replace(".", "/") / name / version
    jar /= f"{name}-{version}.jar"
    if "POSTGRESQL_JAR" not in os.environ and jar.exists():
        os.environ["POSTGRESQL_JAR"] = str(jar)
    if "POSTGRESQL_JAR" not in os.environ:
        print(f"Naive Spark is left out: mvn dependency:get -Dartifact={_DRIVER}")
        found.remove("naive Spark")
    return found


if __name__ == "__main__":
    given = [int(text) for text in sys.argv[1:]]
    rows, rounds = given[0] if given else 1_000_000, given[1] if len(given) > 1 else ROUNDS
    compare(kinds(), rows, rounds, "duckdb")
