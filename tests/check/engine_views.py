#!/usr/bin/env python3
"""Makes with `tickhouse catalog`, twice, what an engine is to know of a lake, and compares each view there with its query.

    engine_views.py --table ./lake --engines duckdb,clickhouse,spark
    engine_views.py --table s3://bucket/lake --engines duckdb,clickhouse -- --s3-endpoint URL --s3-allow-http
    engine_views.py --table "$TRINO_LAKES/lake" --engines trino       (a server of trino.sh)

What follows -- goes to tickhouse. Needs the packages of requirements-engines.txt. Rows and their order, names, times and
counts must be equal, doubles to 1e-9 relative. Trino knows no order in views and rounds times: there the rows are those of
`query --engine trino`, in any order. Exit code 0: all equal; 1: differences; 2: usage.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

from catalog_engines import Spark
from catalog_oracle import REPOSITORY, SHOWN, Compared, Different, plain

TABLES = ("ticks", "dead_letters")
#: Means of prices in cents are often half a cent, which engines round up or down, and the signal with it.
ROUNDED = {"sma_crossover_partial": ("sma_fast", "sma_slow", "signal")}
#: Ten of the 28 named queries fewer would be a finding.
LEAST_VIEWS = 20


class Tickhouse:
    def __init__(self, binary: Path, table: str, more: list[str]):
        self.binary, self.table = binary, ["--table", table, *more]
        self.answers: dict[tuple, list[dict]] = {}

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        done = subprocess.run([self.binary, *arguments], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"tickhouse {' '.join(arguments)}: exit code {done.returncode}: {done.stderr}")
        return done

    def statements(self, *arguments: str) -> list[str]:
        text = self.run("catalog", *arguments, *self.table).stdout
        return [statement.strip() for statement in text.split(";\n") if statement.strip()]

    def rows(self, name: str, *more: str) -> list[dict]:
        if (name, more) not in self.answers:
            lines = self.run("query", name, "--format", "ndjson", *self.table, *more).stdout.splitlines()
            self.answers[name, more] = [json.loads(line) for line in lines]
        return self.answers[name, more]


def views_in(statements: list[str]) -> list[str]:
    """Their names; `CREATE OR REPLACE VIEW "schema"."name" AS`."""
    heads = [text.split(" AS\n")[0] for text in statements if text.startswith("CREATE OR REPLACE VIEW ")]
    names = [head.split(".")[-1].strip('"`') for head in heads]
    return [name for name in names if name not in TABLES]


class Script:
    """An engine that is given the statements of a script."""

    def make(self, tickhouse: Tickhouse) -> list[str]:
        statements = tickhouse.statements(self.name)
        for statement in statements * 2:
            self.execute(statement)
        return views_in(statements)

    def expected(self, tickhouse: Tickhouse, view: str) -> list[dict]:
        return tickhouse.rows(view)


class DuckDb(Script):
    name = "duckdb"

    def __init__(self, _: str):
        import duckdb
        import duckdb_extensions

        for extension in ("delta", "httpfs", "aws"):
            duckdb_extensions.import_extension(extension)
        self.connection = duckdb.connect()
        self.execute = self.connection.execute
        self.execute("SET TimeZone = 'UTC'")

    def rows(self, sql: str) -> list[dict]:
        return self.connection.execute(sql).to_arrow_table().to_pylist()


class ClickHouse(Script):
    name = "clickhouse"

    def __init__(self, table: str):
        from chdb.session import Session

        if "://" not in table:
            os.chdir(table)
        self.session = Session()
        self.execute = self.session.query
        self.execute("SET session_timezone = 'UTC'")

    def rows(self, sql: str) -> list[dict]:
        return self.session.query(sql, "ArrowTable").to_pylist()


class SparkSql(Script):
    name = "spark"

    def __init__(self, table: str):
        self.rows = self.execute = Spark(Path(table)).rows


class TrinoServer:
    name = "trino"

    def __init__(self, table: str):
        self.schema = ["--trino-schema", "views"]
        self.flags = [*self.schema, "--trino-url", os.environ["TRINO_URL"]]
        self.place = ["--location", f"local:///{Path(table).name}"]
        self.copy = Path(f"{table} 2")
        shutil.copytree(table, self.copy, dirs_exist_ok=True)

    def make(self, tickhouse: Tickhouse) -> list[str]:
        self.tickhouse = tickhouse
        arguments = ["catalog", "trino", *self.flags, *tickhouse.table]
        for outcome in ("registered", "already registered"):
            told = tickhouse.run(*arguments, *self.place).stderr
            assert all(f"{table}: {outcome} at" in told for table in TABLES), told
        elsewhere = [*arguments, "--no-views", "--location", f"local:///{self.copy.name}"]
        refused = subprocess.run([tickhouse.binary, *elsewhere], capture_output=True, text=True)
        assert refused.returncode == 2 and "--replace" in refused.stderr, refused.stderr
        for moved in (elsewhere, [*arguments, *self.place]):
            assert tickhouse.run(*moved, "--replace").stderr.count("registered again at") == 2
        return views_in(tickhouse.statements("trino", *self.schema, *self.place, "--dry-run"))

    def rows(self, sql: str) -> list[dict]:
        done = self.tickhouse.run("query", sql, "--engine", "trino", *self.flags, "--format", "ndjson")
        return in_any_order([json.loads(line) for line in done.stdout.splitlines()])

    def expected(self, tickhouse: Tickhouse, view: str) -> list[dict]:
        return in_any_order(tickhouse.rows(view, "--engine", "trino", *self.flags))


def told(value: object) -> object:
    """Times as microseconds, whether the engine tells them as text or not."""
    if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT", value):
        value = datetime.fromisoformat(value)
    return plain(value)


def in_any_order(rows: list[dict]) -> list[dict]:
    text = lambda value: f"{value:.6e}" if isinstance(value, float) else str(value)
    return sorted(rows, key=lambda row: [text(value) for value in row.values()])


ENGINES = {engine.name: engine for engine in (DuckDb, ClickHouse, SparkSql, TrinoServer)}


def check(name: str, tickhouse: Tickhouse, table: str) -> list[str]:
    engine = ENGINES[name](table)
    schema = "views" if name == "trino" else "tickhouse"
    views = engine.make(tickhouse)
    problems, worst, count = [], 0.0, 0
    if len(views) < LEAST_VIEWS:
        problems.append(f"{name}: {len(views)} views")
    for one in TABLES:
        [row] = engine.rows(f"SELECT count(*) AS n FROM {schema}.{one}")
        [expected] = tickhouse.run("query", f"SELECT count(*) FROM {one}", "--format", "csv", *tickhouse.table).stdout.split()[1:]
        if row["n"] != int(expected):
            problems.append(f"{name} {one}: {row['n']} rows, expected {expected}")
    for view in views:
        rows = engine.rows(f"SELECT * FROM {schema}.{view}")
        without = ROUNDED.get(view, ())
        kept = lambda rows: [{key: told(value) for key, value in row.items() if key not in without} for row in rows]
        compared = Compared()
        try:
            compared.add(kept(engine.expected(tickhouse, view)), kept(rows))
        except Different as difference:
            problems.append(f"{name} {view}: {difference}")
        problems += [f"{name} {view}: {difference}" for difference in compared.differences[:SHOWN]]
        worst, count = max(worst, compared.error), count + len(rows)
    print(f"{name}: {len(views)} views, {count} rows, largest error {worst:.0e}", flush=True)
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", required=True)
    parser.add_argument("--engines", default="duckdb,clickhouse,spark")
    parser.add_argument("--tickhouse", type=Path, default=REPOSITORY / "target/debug/tickhouse")
    parser.add_argument("more", nargs="*", help="flags for tickhouse, behind --")
    args = parser.parse_args()
    names = args.engines.split(",")
    if unknown := set(names) - set(ENGINES):
        parser.error(f"unknown engines: {', '.join(sorted(unknown))}")
    table = args.table if "://" in args.table else str(Path(args.table).absolute())
    tickhouse = Tickhouse(args.tickhouse.absolute(), table, args.more)
    problems = [problem for name in names for problem in check(name, tickhouse, table)]
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
