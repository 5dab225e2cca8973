#!/usr/bin/env python3
"""Reads ROOT/ticks with several engines and requires that they agree.

    readers.py --table ./lake --engines tickhouse,duckdb,polars,spark

Each prints count, sum(volume), sum(close), min(ts) and max(ts) (microseconds) as a line of JSON. Sums agree to 1e-9
relative, everything else exactly.

    readers.py --table ./lake --moving

The same beside an ingest that is still writing a topic without poison: whatever version an engine sees, each partition
is there from offset 0 to its newest without a gap or a duplicate, and the table grows between the first and the last.

Exit code 0: all agree; 1: they don't, or one can't read the table; 2: usage.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

HERE = Path(__file__).resolve().parent
QUERY = "SELECT count(*) AS count, sum(volume) AS sum_volume, sum(close) AS sum_close, min(ts) AS min_ts, max(ts) AS max_ts FROM ticks"
MOVING = """SELECT sum(rows) AS count, sum(next) AS next, sum(sum_offsets) AS sum_offsets, sum(next * (next - 1) / 2) AS sum_expected
FROM (SELECT kafka_partition, count(*) AS rows, max(kafka_offset) + 1 AS next, sum(kafka_offset) AS sum_offsets
      FROM ticks GROUP BY kafka_partition) AS partitions"""
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
TOLERANCE = 1e-9


def micros(moment: datetime) -> int:
    delta = moment.astimezone(timezone.utc) - EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def duckdb(table: str, _: Path, sql: str | None) -> dict:
    import duckdb
    import duckdb_extensions

    duckdb_extensions.import_extension("delta")
    database = duckdb.connect()
    database.execute("LOAD delta")
    database.execute("SET TimeZone = 'UTC'")
    database.execute(f"CREATE VIEW ticks AS FROM delta_scan('{table}/ticks')")
    cursor = database.execute(
        sql or "SELECT count(*) AS count, sum(volume) AS sum_volume, sum(close) AS sum_close, epoch_us(min(ts)) AS min_ts, epoch_us(max(ts)) AS max_ts FROM ticks"
    )
    return dict(zip((column[0] for column in cursor.description), cursor.fetchone()))


def polars(table: str, _: Path, sql: str | None) -> dict:
    import polars

    ticks = polars.scan_delta(f"{table}/ticks")
    if sql:
        return polars.SQLContext(ticks=ticks).execute(sql, eager=True).to_dicts()[0]
    row = ticks.select(
        count=polars.len(),
        sum_volume=polars.col("volume").sum(),
        sum_close=polars.col("close").sum(),
        min_ts=polars.col("ts").min().dt.epoch("us"),
        max_ts=polars.col("ts").max().dt.epoch("us"),
    ).collect()
    return row.to_dicts()[0]


def spark(table: str, _: Path, sql: str | None) -> dict:
    command = [HERE / "read_spark.sh", table] + ([sql] if sql else [])
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return {key: value for key, value in json.loads(done.stdout.splitlines()[-1]).items() if key != "engine"}


def tickhouse(table: str, binary: Path, sql: str | None) -> dict:
    command = [binary, "query", sql or QUERY, "--table", table, "--format", "csv"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    row = next(csv.DictReader(io.StringIO(done.stdout)))
    if sql:
        return {name: float(value) for name, value in row.items()}
    return {
        "count": int(row["count"]),
        "sum_volume": float(row["sum_volume"]),
        "sum_close": float(row["sum_close"]),
        "min_ts": micros(datetime.fromisoformat(row["min_ts"])),
        "max_ts": micros(datetime.fromisoformat(row["max_ts"])),
    }


ENGINES = {"tickhouse": tickhouse, "duckdb": duckdb, "polars": polars, "spark": spark}


def differences(first: dict, other: dict) -> list[str]:
    wrong = [key for key in ("count", "min_ts", "max_ts") if first[key] != other[key]]
    for key in ("sum_volume", "sum_close"):
        if abs(first[key] - other[key]) > TOLERANCE * max(abs(first[key]), abs(other[key]), 1.0):
            wrong.append(key)
    return wrong


def moving(names: list[str], table: str, binary: Path) -> int:
    seen, code = [], 0
    for name in names:
        row = {key: int(value) for key, value in ENGINES[name](table, binary, MOVING).items()}
        print(json.dumps({"engine": name} | row), flush=True)
        if row["count"] != row["next"] or row["sum_offsets"] != row["sum_expected"]:
            print(f"FINDING {name} sees a gap or a duplicate", file=sys.stderr)
            code = 1
        seen.append(row["count"])
    if seen != sorted(seen) or seen[0] == seen[-1]:
        print(f"FINDING the table did not grow while it was read: {seen}", file=sys.stderr)
        code = 1
    return code


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", required=True, help="root of the lake: a local folder")
    parser.add_argument("--engines", default="tickhouse,duckdb,polars", help=f"of {','.join(ENGINES)}")
    parser.add_argument("--binary", type=Path, default=HERE.parents[1] / "target/debug/tickhouse")
    parser.add_argument("--moving", action="store_true", help="an ingest is writing the table now")
    args = parser.parse_args()
    names = args.engines.split(",")
    if unknown := set(names) - set(ENGINES):
        parser.error(f"unknown engines: {', '.join(sorted(unknown))}")
    if args.moving:
        return moving(names, args.table, args.binary)
    results, code = {}, 0
    for name in names:
        results[name] = ENGINES[name](args.table, args.binary, None)
        print(json.dumps({"engine": name} | results[name]), flush=True)
    first = names[0]
    for name in names[1:]:
        if wrong := differences(results[first], results[name]):
            print(f"FINDING {name} and {first} disagree on {', '.join(wrong)}", file=sys.stderr)
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
