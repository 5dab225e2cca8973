"""One engine runs one statement on the files of a Delta table, in a process of its own: prints what it took as JSON.

The tasks come on standard input: engine, files, name of the query, its SQL, threads, how often. Polars has no SQL for
them and gets the same question in its own words.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import date, datetime, timezone

KEYS = ["ts", "kafka_partition", "kafka_offset", "kafka_index"]


def duckdb_runner(files: list[str], sql: str, threads: int):
    import duckdb

    connection = duckdb.connect()
    connection.execute(f"SET threads = {threads}; SET TimeZone = 'UTC'; SET memory_limit = '8GB'")
    paths = ", ".join(f"'{path}'" for path in files)
    types = "hive_partitioning = true, hive_types = {'trade_date': DATE}"
    connection.execute(f"CREATE VIEW ticks AS SELECT * FROM read_parquet([{paths}], {types})")
    return lambda: connection.execute(sql).to_arrow_table()


def clickhouse_runner(files: list[str], sql: str, threads: int):
    from chdb.session import Session

    session = Session()
    session.query("CREATE DATABASE IF NOT EXISTS lake ENGINE = Atomic")
    root = files[0].rsplit("/", 2)[0]
    session.query(f"SET max_threads = {threads}, session_timezone = 'UTC', use_hive_partitioning = 1")
    session.query("SET max_memory_usage = 8000000000, max_bytes_before_external_sort = 3000000000")
    # All files of the folder are in the table: nothing was ever removed.
    source = f"file('{root}/trade_date=*/*.parquet', 'Parquet')"
    session.query(f"CREATE OR REPLACE VIEW lake.ticks AS SELECT * REPLACE (toDate32(trade_date) AS trade_date) FROM {source}")
    session.query("USE lake")
    return lambda: session.query(sql, "ArrowTable")


def datafusion_runner(files: list[str], sql: str, threads: int):
    import pyarrow as pa
    from datafusion import SessionConfig, SessionContext

    context = SessionContext(SessionConfig().with_target_partitions(threads))
    root = files[0].rsplit("/", 2)[0]
    context.register_listing_table("ticks", root, table_partition_cols=[("trade_date", pa.date32())])
    return lambda: pa.Table.from_batches(context.sql(sql).collect())


def polars_runner(files: list[str], name: str, since: datetime, day: date, symbol: str):
    import polars as pl

    ticks = pl.scan_parquet(files, hive_partitioning=True, hive_schema={"trade_date": pl.Date})
    close, volume = pl.col("close"), pl.col("volume")
    ordered = ticks.sort("symbol", *KEYS)

    def sma_crossover() -> pl.LazyFrame:
        fast, slow = close.rolling_mean(9), close.rolling_mean(21)
        rows = ordered.select("symbol", "volume", previous=volume.shift(1).over("symbol"),
                              fast=fast.over("symbol"), slow=slow.over("symbol"))
        rises, apart = volume > pl.col("previous"), pl.col("fast") - pl.col("slow")
        least = 1e-9 * pl.col("slow").abs()
        signal = pl.when(rises & (apart > least)).then(pl.lit("Buy"))
        signal = signal.when(rises & (-apart > least)).then(pl.lit("Sell")).otherwise(pl.lit("Hold"))
        return rows.select(signal=signal).group_by("signal").agg(rows=pl.len()).sort("signal")

    def daily_summary() -> pl.LazyFrame:
        opened = pl.coalesce("open", "close").first()
        days = ordered.group_by("symbol", "trade_date", maintain_order=True).agg(
            open=opened, high=pl.coalesce("high", "close").max(), low=pl.coalesce("low", "close").min(),
            close=close.last(), avg_close=close.mean(), volume=volume.sum(),
            vwap=(close * volume).sum() / volume.sum(), volatility=close.std(), trades=pl.len(),
        )
        change = close - pl.col("open")
        return days.with_columns(change=change, change_pct=100 * change / pl.col("open")).sort("symbol", "trade_date")

    def latest() -> pl.LazyFrame:
        recent = ordered.filter(pl.col("ts") >= since)
        newest = recent.group_by("symbol").agg(pl.col("ts", "close", "volume").last(), prev_close=close.get(-2))
        change = close - pl.col("prev_close")
        return newest.with_columns(change=change, change_pct=100 * change / pl.col("prev_close")).sort("symbol")

    def vwap() -> pl.LazyFrame:
        session = ["symbol", "trade_date"]
        value = (close * volume).cum_sum().over(session) / volume.cum_sum().over(session)
        return ordered.select(vwap=value).select(rows=pl.len(), mean=pl.col("vwap").mean())

    def one_day() -> pl.LazyFrame:
        rows = ticks.filter((pl.col("symbol") == symbol) & (pl.col("trade_date") >= day)).sort(*KEYS)
        change = close - close.shift(1)
        return rows.select("symbol", "ts", "open", "high", "low", "close", "volume", change=change,
                           change_pct=100 * change / close.shift(1),
                           total_pct=100 * (close - close.first()) / close.first())

    question = {"sma_crossover": sma_crossover, "daily_summary": daily_summary, "latest": latest, "vwap": vwap,
                "one_day": one_day}[name]
    return lambda: question().collect().to_arrow()


def main() -> None:
    task = json.load(sys.stdin)
    engine, files = task["engine"], task["files"]
    if engine == "polars":
        import resource

        # It would rather take all of the machine's memory than fail.
        resource.setrlimit(resource.RLIMIT_DATA, (task["memory"], task["memory"]))
        since = datetime.fromisoformat(task["since"]).replace(tzinfo=timezone.utc)
        run = polars_runner(files, task["name"], since, date.fromisoformat(task["day"]), task["symbol"])
    else:
        make = {"duckdb": duckdb_runner, "clickhouse": clickhouse_runner, "datafusion": datafusion_runner}[engine]
        run = make(files, task["sql"], task["threads"])
    seconds = []
    for _ in range(task["times"]):
        begun = time.monotonic()
        table = run()
        seconds.append(time.monotonic() - begun)
    print(json.dumps({"seconds": seconds, "rows": table.to_pylist()}, default=str))


if __name__ == "__main__":
    main()
