#!/usr/bin/env python3
"""Runs window functions on hard series and compares them with TA-Lib and with exact sums, to 1e-9 relative.

Of ema, rsi, macd and atr, what is left when values cancel is measured against 1e-6 of the median close of the symbol, and
rsi against 1. Aggregates over ROWS frames are computed anew for each row.

    "$(tests/servers/python.sh tests/check/requirements-catalog.txt)" tests/check/indicator_oracle.py

Each runs over the closes as they are and over closes with holes: NULL, NaN and infinite ones. They must leave no trace in
ema, rsi, macd and atr, so that TA-Lib gets the rest, and in aggregates none outside of the frames that hold them. Once
where the rolling operator takes them and once in DataFusion's own (below a join; aggregates there are not ours).
Needs target/debug/tickhouse (or --tickhouse). Prints the largest error for each function and series, and for the holes
in any of them ("=" is every bit the same). Exit code 0: all equal; 1: differences.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from pathlib import Path
from typing import Callable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import talib

from catalog_oracle import REPOSITORY, TOLERANCE, Tickhouse
from catalog_series import SERIES, Tick, arrived, write_lake
from catalog_signals import by_symbol, deviation, lines, strengths

ORDER = "ts, kafka_partition, kafka_offset, kafka_index"
#: Of closes with holes: their name, which closes are there, in SQL and of a tick, and what takes the place of others.
HOLES = [
    (None, "true", lambda tick: True, "NULL", None),
    ("NULL closes", "kafka_offset % 5 <> 2", lambda tick: tick.offset % 5 != 2, "NULL", None),
    ("NaN closes", "kafka_offset % 29 > 1", lambda tick: tick.offset % 29 > 1, "CAST('NaN' AS DOUBLE)", math.nan),
    ("infinite closes", "kafka_offset % 31 > 0", lambda tick: tick.offset % 31 > 0, "CAST('-Infinity' AS DOUBLE)", -math.inf),
]
#: The table as it is, and below a join.
TABLES = ["ticks", "(SELECT t.* FROM ticks t JOIN (SELECT DISTINCT symbol AS s FROM ticks) ON t.symbol = s) AS joined"]
#: The largest, by function and series.
Errors = dict[tuple[str, str], float]
Expected = Callable[[np.ndarray, np.ndarray, np.ndarray], list]


def macd(part: int, *periods: int) -> Expected:
    return lambda high, low, close: lines(talib.MACD(close, *periods))[part]


def ema(rows: int) -> Expected:
    return lambda high, low, close: lines(talib.EMA(close, rows))[0]


def rsi(rows: int) -> Expected:
    return lambda high, low, close: strengths(close, rows)


def atr(rows: int) -> Expected:
    return lambda high, low, close: lines(talib.ATR(high, low, close, rows))[0]


#: $c is the close, maybe with holes.
CALLS: list[tuple[str, Expected]] = [
    *[(f"ema($c, {rows})", ema(rows)) for rows in (1, 2, 12, 200)],
    *[(f"rsi($c, {rows})", rsi(rows)) for rows in (2, 14, 50)],
    *[
        (f"{name}($c, {', '.join(map(str, periods))})", macd(part, *periods))
        for periods in ((12, 26, 9), (2, 3, 1), (5, 35, 5))
        for part, name in enumerate(("macd", "macd_signal", "macd_histogram"))
    ],
    *[(f"atr(COALESCE(high, close), COALESCE(low, close), $c, {rows})", atr(rows)) for rows in (1, 2, 14)],
]

#: Aggregates over the rows from so many before to so many before the current one.
FRAMES: list[tuple[str, int, int, Callable[[list[float]], float | None]]] = [
    ("count($c)", 8, 0, len),
    ("sum($c)", 8, 0, lambda values: total(values)),
    ("avg($c)", 8, 0, lambda values: total(values) / len(values) if values else None),
    ("avg($c)", 199, 0, lambda values: total(values) / len(values) if values else None),
    ("avg($c)", 20, 1, lambda values: total(values) / len(values) if values else None),
    ("min($c)", 8, 0, lambda values: least(values)),
    ("max($c)", 8, 0, lambda values: largest(values)),
    ("stddev_samp($c)", 9, 0, lambda values: spread(values, 1)),
    ("stddev_samp($c)", 20, 1, lambda values: spread(values, 1)),
    ("stddev_pop($c)", 19, 0, lambda values: spread(values, 0)),
    ("var_samp($c)", 4, 0, lambda values: None if (found := spread(values, 1)) is None else found * found),
]


def total(values: list[float]) -> float | None:
    return math.fsum(values) if values else None


def least(values: list[float]) -> float | None:
    """NaN is larger than all numbers."""
    numbers = [value for value in values if not math.isnan(value)]
    return min(numbers) if numbers else math.nan if values else None


def largest(values: list[float]) -> float | None:
    return math.nan if any(map(math.isnan, values)) else max(values, default=None)


def spread(values: list[float], less: int) -> float | None:
    if len(values) > less and not all(map(math.isfinite, values)):
        return math.nan
    return deviation(values, less)


def framed(
    ticks: list[Tick], present: Callable[[Tick], bool], hole: float | None, before: int, until: int, answer: Callable
) -> list[float | None]:
    closes = [tick.close if present(tick) else hole for tick in ticks]
    frames = (closes[max(0, at - before) : max(0, at - until + 1)] for at in range(len(ticks)))
    return [answer([close for close in rows if close is not None]) for rows in frames]


def answers(ticks: list[Tick], present: Callable[[Tick], bool], expected: Expected) -> list[float | None]:
    """TA-Lib's over the ticks that are there, NULL elsewhere."""
    there = [tick for tick in ticks if present(tick)]
    of = lambda name: np.array([getattr(t, name) if getattr(t, name) is not None else t.close for t in there], dtype=float)
    found = iter(expected(of("high"), of("low"), of("close")) if there else [])
    return [next(found) if present(tick) else None for tick in ticks]


def check_series(series: str, binary: Path, errors: Errors, problems: list[str]) -> int:
    """The number of values compared."""
    ticks = arrived(SERIES[series](), seed=11)
    symbols = by_symbol(ticks)
    cancelled = {symbol: 1e-6 * float(np.median([abs(t.close) for t in of])) for symbol, of in symbols.items()}
    places = [t.symbol for of in symbols.values() for t in of]
    values = 0
    with tempfile.TemporaryDirectory() as folder:
        write_lake(Path(folder), ticks)
        for holes, condition, present, sql, hole in HOLES:
            close = f"CASE WHEN {condition} THEN close ELSE {sql} END"
            wanted = {(call, ""): [answers(of, present, expected) for of in symbols.values()] for call, expected in CALLS}
            recursions = list(wanted)
            for call, before, until, answer in FRAMES:
                rows = f"ROWS BETWEEN {before} PRECEDING AND {f'{until} PRECEDING' if until else 'CURRENT ROW'}"
                wanted[call, rows] = [framed(of, present, hole, before, until, answer) for of in symbols.values()]
            for table in TABLES:
                calls = list(wanted) if table == TABLES[0] else recursions
                found = rows_of(binary, Path(folder), statement(table, close, calls))
                if found.column("symbol").to_pylist() != places:
                    problems.append(f"{series}: {found.num_rows} rows of other symbols than expected")
                    continue
                for at, call in enumerate(calls):
                    name = call[0].split("(")[0]
                    floor = lambda symbol: 0.0 if call not in recursions else 1.0 if name == "rsi" else cancelled[symbol]
                    have, right = found.column(f"c{at}").to_pylist(), sum(wanted[call], [])
                    each = [distance(*row) for row in zip(have, right, map(floor, places))]
                    worst = max(each, default=0.0)
                    if not worst <= TOLERANCE:
                        row = each.index(worst)
                        where = f"where {condition}, {table.split()[0]}, row {row} of {places[row]}"
                        problems.append(f"{series} {' '.join(call)} {where}: {have[row]!r}, expected {right[row]!r}")
                    errors[name, holes or series] = max(errors.get((name, holes or series), 0.0), worst)
                    values += len(each)
    return values


def distance(found: float | None, right: float | None, floor: float) -> float:
    """The relative error; infinite where there is no telling."""
    if found is None or right is None:
        return 0.0 if found is right else math.inf
    if found == right or math.isnan(found) and math.isnan(right):
        return 0.0
    size = max(abs(right), floor)
    error = abs(found - right) / size if size else math.inf
    return math.inf if math.isnan(error) else error


def statement(table: str, close: str, calls: list[tuple[str, str]]) -> str:
    window = f"PARTITION BY symbol ORDER BY {ORDER}"
    columns = [f"{call.replace('$c', close)} OVER ({window} {rows}) AS c{at}" for at, (call, rows) in enumerate(calls)]
    return f"SELECT symbol, {', '.join(columns)} FROM {table} ORDER BY symbol, {ORDER}"


def rows_of(binary: Path, lake: Path, sql: str) -> pa.Table:
    """By Parquet: in JSON, NaN would be NULL."""
    answer = lake / "answer.parquet"
    Tickhouse.run([str(binary), "query", "--table", str(lake), sql, "-o", str(answer)])
    return pq.read_table(answer)


def table_of(errors: Errors) -> str:
    """The largest errors as Markdown, functions by series and holes."""
    names, columns = (list(dict.fromkeys(key[part] for key in errors)) for part in (0, 1))
    last = [holes for holes, *_ in HOLES if holes in columns]
    columns = [column for column in columns if column not in last] + last
    cell = lambda error: "=" if error == 0 else "DIFF" if not error <= TOLERANCE else f"{error:.0e}"
    lines = ["| function | " + " | ".join(columns) + " |", "|" + "---|" * (len(columns) + 1)]
    for name in names:
        lines.append(f"| {name} | " + " | ".join(cell(errors.get((name, column), 0.0)) for column in columns) + " |")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=lambda text: text.split(","), default=list(SERIES))
    parser.add_argument("--tickhouse", type=Path, default=REPOSITORY / "target/debug/tickhouse")
    args = parser.parse_args()
    if unknown := [series for series in args.series if series not in SERIES]:
        parser.error(f"there is no series {unknown[0]}: choose of {', '.join(SERIES)}")
    errors: Errors = {}
    problems: list[str] = []
    values = sum(check_series(series, args.tickhouse, errors, problems) for series in args.series)
    print(table_of(errors))
    for problem in problems:
        print(problem)
    print(f"TA-Lib {talib.__version__}: {values} values compared; differences: {len(problems)}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
