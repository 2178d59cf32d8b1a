"""What this project replaces, with Spark: infer the schema, transform, delete the day, JDBC."""

from __future__ import annotations

import os
from datetime import timedelta

import psycopg2
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from shared import DAY, MAX_SPEED, unpacked

from luigi_traffic.project import current

folder, csv, links = unpacked()
spark = (
    SparkSession.builder.master("local[*]")
    .config("spark.driver.memory", "3g")  # as the project's
    .config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.ui.enabled", "false")
    .config("spark.local.dir", str(folder))
    .config("spark.jars", os.environ["POSTGRESQL_JAR"])
    .getOrCreate()
)
raw = spark.read.csv(str(csv), header=True, inferSchema=True).dropDuplicates()
moment = F.concat(F.col("CREATDE").cast("string"), F.lpad(F.col("CREATHM").cast("string"), 4, "0"))
good = (
    raw.withColumn("timestamp", F.to_timestamp(moment, "yyyyMMddHHmm"))
    .withColumn("link_id", F.col("LINKID").cast("string"))
    .withColumn("speed", F.col("PASNGSPED").cast("double"))
    .where((F.col("speed") > 0) & (F.col("speed") <= MAX_SPEED))
)
if links:
    good = good.where(F.col("link_id").isin(links))
(
    good.groupBy(F.window("timestamp", "5 minutes").start.alias("timestamp"), "link_id")
    .agg(F.avg("speed").alias("speed"), F.count("*").cast("int").alias("n_obs"))
    .write.parquet(str(folder / "silver"))
)

server = current().warehouse.dsn()
with psycopg2.connect(**server.kwargs()) as conn, conn.cursor() as cursor:
    cursor.execute("""
        CREATE TABLE IF NOT EXISTS replaced (timestamp timestamp, link_id text, speed float8,
            n_obs int, PRIMARY KEY (timestamp, link_id))
    """)
    cursor.execute(
        "DELETE FROM replaced WHERE timestamp >= %s AND timestamp < %s",
        (DAY, DAY + timedelta(days=1)),
    )
spark.read.parquet(str(folder / "silver")).write.jdbc(
    f"jdbc:postgresql://{server.host}:{server.port}/{server.dbname}", "replaced", mode="append",
    properties={
        "user": server.user, "password": server.password, "driver": "org.postgresql.Driver",
    },
)  # fmt: skip
spark.stop()
