"""Spark's part of read_spark.sh: ROOT JARS [SQL | -]."""

import json
import os
import sys
import tempfile
import time
from datetime import date, datetime

from pyspark.sql import SparkSession

root, jars = sys.argv[1:3]
SUMMARY = """SELECT count(*) AS count, sum(volume) AS sum_volume, sum(close) AS sum_close,
                    unix_micros(min(ts)) AS min_ts, unix_micros(max(ts)) AS max_ts FROM ticks"""
os.environ |= {"SPARK_LOCAL_IP": "127.0.0.1", "TZ": "UTC"}
time.tzset()


def told(value: object) -> str:
    """A time of UTC or a date, as text."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds") + "+00:00"
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(type(value).__name__)


def answer(spark: SparkSession, sql: str) -> dict:
    try:
        return {"rows": [row.asDict() for row in spark.sql(sql).collect()]}
    except Exception as error:  # Whatever it is: the asker reports it.
        return {"error": str(error)}


with tempfile.TemporaryDirectory(prefix="tickhouse-spark-") as scratch:
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.jars", jars)
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.memory", "1g")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.shuffle.partitions", "4")
        .config("spark.databricks.delta.snapshotPartitions", "2")
        .config("spark.sql.warehouse.dir", f"{scratch}/warehouse")
        .config("spark.local.dir", f"{scratch}/local")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    spark.read.format("delta").load(f"{root}/ticks").createOrReplaceTempView("ticks")
    sql = sys.argv[3] if len(sys.argv) > 3 else SUMMARY
    if sql == "-":
        for line in sys.stdin:
            print(json.dumps(answer(spark, json.loads(line)), default=told), flush=True)
    else:
        print(json.dumps({"engine": "spark"} | spark.sql(sql).first().asDict()))
    spark.stop()
