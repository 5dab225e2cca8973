#!/usr/bin/env python3
"""Runs what `tickhouse catalog` makes in the engines themselves, twice, and compares each view with the named query.

    engine_views.py --table ./lake --engines duckdb,clickhouse,spark
    engine_views.py --table s3://bucket/lake --engines duckdb,clickhouse -- --s3-endpoint URL --s3-allow-http

What follows -- goes to tickhouse. Rows and their order, names, times and counts must be equal, doubles to 1e-9 relative.
Exit code 0: all equal; 1: differences; 2: usage.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import duckdb_extensions
from chdb.session import Session

from catalog_engines import Spark
from catalog_oracle import REPOSITORY, Different, compare, plain
from catalog_signals import Rounded

#: It rounds to cents, and so may be one off.
ROUNDED = "sma_crossover_partial"


class DuckDb:
    def __init__(self, _: str):
        for extension in ("delta", "httpfs", "aws"):
            duckdb_extensions.import_extension(extension)
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'UTC'")

    def run(self, statement: str) -> None:
        self.connection.execute(statement)

    def rows(self, sql: str) -> list[dict]:
        return self.connection.execute(sql).to_arrow_table().to_pylist()


class ClickHouse:
    def __init__(self, table: str):
        if "://" not in table:
            os.chdir(table)
        self.session = Session()
        self.session.query("SET session_timezone = 'UTC'")

    def run(self, statement: str) -> None:
        self.session.query(statement)

    def rows(self, sql: str) -> list[dict]:
        return self.session.query(sql, "ArrowTable").to_pylist()


class SparkSql:
    def __init__(self, table: str):
        self.spark = Spark(Path(table))

    def run(self, statement: str) -> None:
        self.spark.rows(statement)

    def rows(self, sql: str) -> list[dict]:
        return self.spark.rows(sql)


ENGINES = {"duckdb": DuckDb, "clickhouse": ClickHouse, "spark": SparkSql}


class Tickhouse:
    def __init__(self, binary: Path, table: str, more: list[str]):
        self.binary, self.table = binary, ["--table", table, *more]
        self.answers: dict[str, list[dict]] = {}

    def script(self, engine: str) -> list[str]:
        done = self.run("catalog", engine)
        return [text for text in done.split(";\n") if text.strip()]

    def rows(self, name: str) -> list[dict]:
        if name not in self.answers:
            text = self.run("query", f"SELECT * FROM {name}" if name in ("ticks", "dead_letters") else name, "--format", "ndjson")
            self.answers[name] = [json.loads(line) for line in text.splitlines()]
        return self.answers[name]

    def run(self, *arguments: str) -> str:
        done = subprocess.run([self.binary, *arguments, *self.table], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"tickhouse {' '.join(arguments)}: exit code {done.returncode}: {done.stderr}")
        return done.stdout


def check(name: str, tickhouse: Tickhouse, table: str) -> list[str]:
    engine = ENGINES[name](table)
    statements = tickhouse.script(name)
    for _ in range(2):
        for statement in statements:
            engine.run(statement)
    quote = '"' if name == "duckdb" else "`"
    views = [text.split(quote)[3] for text in statements if text.startswith("CREATE OR REPLACE VIEW")]
    views = [view for view in views if view not in ("ticks", "dead_letters")]
    problems, worst, rows = [], 0.0, 0
    for table_name in ("ticks", "dead_letters"):
        [row] = engine.rows(f"SELECT count(*) AS n FROM tickhouse.{table_name}")
        if row["n"] != len(tickhouse.rows(table_name)):
            problems.append(f"{name} {table_name}: {row['n']} rows, expected {len(tickhouse.rows(table_name))}")
    for view in views:
        found = engine.rows(f"SELECT * FROM tickhouse.{view}")
        found = [{key: plain(value) for key, value in row.items()} for row in found]
        if view == ROUNDED:
            found = [{k: Rounded(v) if isinstance(v, float) else v for k, v in row.items()} for row in found]
        try:
            worst = max(worst, compare(tickhouse.rows(view), found))
        except Different as difference:
            problems.append(f"{name} {view}: {difference}")
        rows += len(found)
    print(f"{name}: {len(statements)} statements, {len(views)} views, {rows} rows, largest error {worst:.0e}", flush=True)
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", required=True)
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--tickhouse", type=Path, default=REPOSITORY / "target/debug/tickhouse")
    parser.add_argument("more", nargs="*", help="flags for tickhouse, behind --")
    args = parser.parse_args()
    if "://" not in args.table:
        args.table = str(Path(args.table).absolute())
    names = args.engines.split(",")
    if unknown := set(names) - set(ENGINES):
        parser.error(f"unknown engines: {', '.join(sorted(unknown))}")
    tickhouse = Tickhouse(args.tickhouse.absolute(), args.table, args.more)
    problems = [problem for name in names for problem in check(name, tickhouse, args.table)]
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
