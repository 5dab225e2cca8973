#!/usr/bin/env python3
"""Runs the named queries on hard series and compares them with what their definitions say, and with other engines.

    catalog_oracle.py                                   all queries, all series, and DuckDB
    catalog_oracle.py bars gaps --series flat,short     some of them
    catalog_oracle.py --engines duckdb,clickhouse       ClickHouse in this process (chdb), too
    catalog_oracle.py --engines spark --series short    Spark, as of read_spark.sh
    catalog_oracle.py --engines trino --series short    Trino, as of trino.sh, asked by `query --engine trino`
    catalog_oracle.py --random 5 --seed 7               five sets of random parameters a query and series, too
    catalog_oracle.py --report report.md                the table as Markdown

Needs target/debug/tickhouse (or --tickhouse) and the packages of requirements-catalog.txt:
    "$(tests/servers/python.sh tests/check/requirements-catalog.txt)" tests/check/catalog_oracle.py

Rows, their order, names, times and counts must be equal, doubles of every engine to 1e-9 relative. The columns in FLOORS
are small differences of larger values: below their floor they must be equal to 1e-9 of it. Those in OF_CLOSES are
differences of means: near 0 they must be equal to 1e-15 of the symbol's largest close. Rounded values may be half a cent off.
Prints the largest error for each query and series. Exit code 0: all equal; 1: differences; 2: usage.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

from catalog_engines import ENGINES, EngineError, folder_of_lakes
from catalog_expected import CASES, OURS
from catalog_random import random_sets
from catalog_series import EPOCH, SERIES, Tick, arrived, write_lake
from catalog_signals import Any, Params, Rounded, Rows, Symbols, by_symbol

TOLERANCE = 1e-9
#: Differences of means of closes, which are near 0 where the closes are not.
OF_CLOSES = ("macd", "macd_signal", "macd_histogram")
#: Small differences of values of this size; a correlation of nothing is the sum of many such.
FLOORS = {"distance_pct": 1.0, "percent_b": 1.0, "correlation": 1e-6}
#: Times that have more digits than some engines keep.
TIMES = ("ingested_at",)
#: Differences of one query on one series and engine that are printed.
SHOWN = 5
REPOSITORY = Path(__file__).resolve().parents[2]


class Different(Exception):
    """What an answer has and should not have."""


def plain(value: object) -> object:
    """Times as microseconds, dates as text, NaN as it is."""
    if isinstance(value, datetime):
        return (value - EPOCH) // timedelta(microseconds=1)
    if isinstance(value, date):
        return value.isoformat()
    return value


def parsed(value: object, like: object) -> object:
    if isinstance(value, str) and isinstance(like, int) and re.match(r"\d{4}-\d\d-\d\dT", value):
        return plain(datetime.fromisoformat(value))
    return value


def largest_closes(rows: Rows) -> dict[str, float]:
    found: dict[str, float] = {}
    for row in rows:
        if "symbol" in row and "close" in row:
            found[row["symbol"]] = max(found.get(row["symbol"], 0.0), abs(row["close"]))
    return found


@dataclass
class Compared:
    """Answers of an engine beside the expected ones."""

    rows: int = 0
    #: The largest relative error of a double.
    error: float = 0.0
    differences: list[str] = field(default_factory=list)

    def add(self, found: Rows, expected: Rows, step: int = 1) -> None:
        """Times may be less than `step` microseconds off."""
        if len(found) != len(expected):
            raise Different(f"{len(found)} rows, expected {len(expected)}")
        self.rows += len(expected)
        largest = largest_closes(expected)
        for number, (row, wanted) in enumerate(zip(found, expected)):
            if set(row) != set(wanted):
                raise Different(f"columns {sorted(row)}, expected {sorted(wanted)}")
            for column, value in wanted.items():
                try:
                    self.error = max(self.error, error_of(column, row[column], plain(value), largest, wanted, step))
                except Different as different:
                    place = f"row {number} {({k: row[k] for k in row if k in ('symbol', 'ts', 'bar_start')})} {column}"
                    self.differences.append(f"{place}: {different}")


def error_of(column: str, found: object, value: object, largest: dict[str, float], wanted: dict, step: int) -> float:
    """The relative error of a double, 0 for what is equal; raises Different for anything else."""
    have = parsed(found, value)
    if isinstance(value, Any):
        return 0.0
    if isinstance(value, Rounded) and isinstance(have, float):
        if abs(have - value) > 0.005 * (1 + 1e-6) + TOLERANCE * abs(value):
            raise Different(f"{have}, expected {value} rounded")
        return 0.0
    if isinstance(value, float) and isinstance(have, (float, int)) and not isinstance(have, bool):
        if have == value:
            return 0.0
        floor = FLOORS.get(column, 0.0)
        if column in OF_CLOSES:
            floor = 1e-6 * largest[wanted["symbol"]]
        size = max(abs(value), floor)
        error = abs(have - value) / size if size else math.inf
        if not error <= TOLERANCE:
            raise Different(f"{have!r}, expected {value!r}, error {error:.1e}")
        return error
    if column in TIMES and isinstance(have, int) and isinstance(value, int) and abs(have - value) < step:
        return 0.0
    if have != value or isinstance(have, bool) != isinstance(value, bool):
        raise Different(f"{have!r}, expected {value!r}")
    return 0.0


#: By query, series and engine.
Found = dict[tuple[str, str, str], Compared]


def text_of(name: str, value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if name in ("interval", "longer_than", "later_than"):
        return f"{int(value)}s"
    return str(value)


class Tickhouse:
    #: Statements by name, parameters and dialect: they are the same for every lake.
    texts: dict[tuple, str] = {}

    def __init__(self, binary: Path, lake: Path):
        self.command = [str(binary), "query", "--table", str(lake), "--sql-dir", str(REPOSITORY / "sql")]

    def arguments(self, name: str, params: Params) -> list[str]:
        given = [f"--param={key}={text_of(key, value)}" for key, value in params.items()]
        return [*self.command, name, *given]

    def rows(self, name: str, params: Params, flags: list[str] | None = None) -> Rows:
        text = self.run([*self.arguments(name, params), *(flags or []), "--format", "ndjson"])
        return [json.loads(line) for line in text.splitlines()]

    def sql(self, name: str, params: Params, dialect: str) -> str:
        key = (name, tuple(params.items()), dialect)
        if key not in self.texts:
            self.texts[key] = self.run([*self.arguments(name, params), "--show-sql", "--dialect", dialect])
        return self.texts[key]

    @staticmethod
    def run(command: list[str]) -> str:
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise Different(f"exit code {done.returncode}: {done.stderr.strip()[:300]}")
        return done.stdout


def check_refused(tickhouse: Tickhouse, name: str, engine: str, found: Found, counts: Counter) -> None:
    """A window function of tickhouse must not be handed to an engine that lacks it, whatever the series."""
    if counts[name, engine]:
        return
    counts[name, engine] += 1
    command = [*tickhouse.arguments(name, {}), "--show-sql", "--dialect", engine]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 2 or "window function of tickhouse" not in done.stderr or done.stdout:
        shown = f"{engine} {name}: shown with exit code {done.returncode}: {done.stderr.strip()[:300]}"
        found.setdefault((name, "refused", engine), Compared()).differences.append(shown)
    counts["refused"] += 1


def check_lake(series: str, symbols: Symbols, lake: Path, args: argparse.Namespace, found: Found, counts: Counter) -> None:
    """Every query with all its sets of parameters, on tickhouse and the other engines."""
    tickhouse = Tickhouse(args.tickhouse, lake)
    engines = {name: ENGINES[name](lake) for name in args.engines}
    for query, defaults, sets in CASES:
        name = query.__name__
        if args.queries and name not in args.queries:
            continue
        for changed in sets + random_sets(name, series, args.seed, args.random):
            params = defaults | changed
            # Relative times have other defaults here, so that the answer is the same on every day.
            given = {key: value for key, value in params.items() if key in changed or key == "since"}
            expected = query(symbols, params)
            label = " ".join([f"{series}/{name}", *(f"{key}={value}" for key, value in changed.items())])
            answers = {"tickhouse": lambda: tickhouse.rows(name, given)}
            for engine, connection in engines.items():
                if name in OURS:
                    check_refused(tickhouse, name, engine, found, counts)
                    continue
                answers[engine] = lambda engine=connection: engine.named(tickhouse, name, given)
            for engine, answer in answers.items():
                step = engines[engine].time_step if engine in engines else 1
                compared = Compared()
                try:
                    compared.add([{k: plain(v) for k, v in row.items()} for row in answer()], expected, step)
                except (Different, EngineError) as difference:
                    compared.differences.append(str(difference))
                total = found.setdefault((name, series, engine), Compared())
                total.rows += compared.rows
                total.error = max(total.error, compared.error)
                total.differences += [f"{engine} {label}: {difference}" for difference in compared.differences]
                counts[engine] += 1
            counts["rows"] += len(expected)
    for connection in engines.values():
        connection.close()


def table(found: Found, engine: str) -> str:
    """The largest error of each query and series; = is every bit the same."""
    queries = list(dict.fromkeys(query for query, _, of in found if of == engine))
    series = list(dict.fromkeys(series for _, series, _ in found))
    lines = [f"| {engine} | " + " | ".join(series) + " |", "|" + "---|" * (len(series) + 1)]
    for query in queries:
        cells = (found.get((query, name, engine), Compared()) for name in series)
        shown = ("DIFF" if cell.differences else "=" if cell.error == 0 else f"{cell.error:.0e}" for cell in cells)
        lines.append(f"| {query} | " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"


def told(found: Found, engines: list[str], counts: Counter) -> int:
    """Prints the first differences of each cell and the counts; the exit code."""
    problems = 0
    for compared in found.values():
        problems += len(compared.differences)
        for problem in compared.differences[:SHOWN]:
            print(problem)
    runs = ", ".join(f"{engine} {counts[engine]}" for engine in ["tickhouse", *engines])
    if counts["refused"]:
        runs += f", refused for other engines {counts['refused']}"
    print(f"runs: {runs}; rows expected: {counts['rows']}; differences: {problems}")
    return 1 if problems else 0


def checked(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """A name that doesn't exist would compare nothing."""
    args = parser.parse_args()
    known = {"query": [query.__name__ for query, _, _ in CASES], "series": list(SERIES), "engine": list(ENGINES)}
    for kind, given in (("query", args.queries), ("series", args.series), ("engine", args.engines)):
        for name in given:
            if name not in known[kind]:
                parser.error(f"there is no {kind} {name}: choose of {', '.join(known[kind])}")
    if not args.tickhouse.exists():
        parser.error(f"{args.tickhouse} does not exist: cargo build, or --tickhouse PATH")
    return args


def lakes(args: argparse.Namespace) -> Iterator[tuple[str, list[Tick], Path]]:
    """A series, its ticks in the order of arrival, and a lake of them that goes away afterwards."""
    for series in args.series:
        ticks = arrived(SERIES[series](), seed=11)
        with tempfile.TemporaryDirectory(dir=folder_of_lakes(args.engines)) as folder:
            write_lake(Path(folder), ticks)
            yield series, ticks, Path(folder)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = lambda text: text.split(",") if text else []
    parser.add_argument("queries", nargs="*")
    parser.add_argument("--series", type=names, default=list(SERIES))
    parser.add_argument("--engines", type=names, default=["duckdb"])
    parser.add_argument("--random", type=int, default=0, help="sets of random parameters")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tickhouse", type=Path, default=REPOSITORY / "target/debug/tickhouse")
    parser.add_argument("--report", type=Path)
    args = checked(parser)
    found: Found = {}
    counts: Counter = Counter()
    for series, ticks, lake in lakes(args):
        check_lake(series, by_symbol(ticks), lake, args, found, counts)
    report = "\n".join(table(found, engine) for engine in ["tickhouse", *args.engines])
    print(report)
    if args.report:
        args.report.write_text(report)
    return told(found, args.engines, counts)


if __name__ == "__main__":
    sys.exit(main())
