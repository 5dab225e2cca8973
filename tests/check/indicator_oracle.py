#!/usr/bin/env python3
"""Runs the window functions of tickhouse on hard series and compares them with TA-Lib, to 1e-9 relative.

    "$(tests/servers/python.sh tests/check/requirements-catalog.txt)" tests/check/indicator_oracle.py

Each runs over the closes as they are and over closes with holes: NULL, NaN and infinite ones, which must leave no trace,
so that TA-Lib gets the rest. Once where the rolling operator takes them and once in DataFusion's own (below a join).
Needs target/debug/tickhouse (or --tickhouse). Prints the largest error for each function and series ("=" is every bit
the same). Exit code 0: all equal; 1: differences.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from pathlib import Path
from typing import Callable

import numpy as np
import talib

from catalog_oracle import REPOSITORY, Different, Tickhouse, compare
from catalog_series import SERIES, Tick, arrived, write_lake
from catalog_signals import by_symbol, lines, strengths

ORDER = "ts, kafka_partition, kafka_offset, kafka_index"
#: Which closes of a series with holes are there, in SQL; what takes their place; the same of a tick.
HOLES = [
    ("true", "NULL", lambda tick: True),
    ("kafka_offset % 5 <> 2", "NULL", lambda tick: tick.offset % 5 != 2),
    ("kafka_offset % 7 > 1", "CAST('NaN' AS DOUBLE)", lambda tick: tick.offset % 7 > 1),
    ("kafka_offset % 3 > 0", "CAST('-Infinity' AS DOUBLE)", lambda tick: tick.offset % 3 > 0),
]
#: The table as it is, and below a join.
TABLES = ["ticks", "(SELECT t.* FROM ticks t JOIN (SELECT DISTINCT symbol AS s FROM ticks) ON t.symbol = s) AS joined"]
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


def answers(ticks: list[Tick], present: Callable[[Tick], bool], expected: Expected) -> list[float | None]:
    """TA-Lib's over the ticks that are there, NULL elsewhere."""
    there = [tick for tick in ticks if present(tick)]
    of = lambda name: np.array([getattr(t, name) if getattr(t, name) is not None else t.close for t in there], dtype=float)
    found = iter(expected(of("high"), of("low"), of("close")) if there else [])
    return [next(found) if present(tick) else None for tick in ticks]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tickhouse", type=Path, default=REPOSITORY / "target/debug/tickhouse")
    args = parser.parse_args()
    errors: dict[tuple[str, str], float] = {}
    problems: list[str] = []
    values = 0
    for series, generate in SERIES.items():
        ticks = arrived(generate(), seed=11)
        symbols = by_symbol(ticks)
        with tempfile.TemporaryDirectory() as folder:
            write_lake(Path(folder), ticks)
            tickhouse = Tickhouse(args.tickhouse, Path(folder))
            for condition, hole, present in HOLES:
                close = f"CASE WHEN {condition} THEN close ELSE {hole} END"
                columns = ", ".join(f"{call.replace('$c', close)} OVER w AS c{at}" for at, (call, _) in enumerate(CALLS))
                wanted = [answers(of, present, expected) for _, expected in CALLS for of in symbols.values()]
                names = [(call.split("(")[0], f"c{at}") for at, (call, _) in enumerate(CALLS)]
                places = [{"symbol": tick.symbol, "ts": tick.ts} for of in symbols.values() for tick in of]
                flat = [sum(wanted[at * len(symbols) : (at + 1) * len(symbols)], []) for at in range(len(CALLS))]
                for table in TABLES:
                    sql = f"SELECT symbol, ts, {columns} FROM {table} WINDOW w AS (PARTITION BY symbol ORDER BY {ORDER}) ORDER BY symbol, {ORDER}"
                    rows = tickhouse.rows(sql, {})
                    for at, (name, column) in enumerate(names):
                        found = [{"symbol": row["symbol"], "ts": row["ts"], column: row[column]} for row in rows]
                        right = [place | {column: flat[at][row]} for row, place in enumerate(places)]
                        try:
                            error = compare(found, right)
                        except Different as difference:
                            error = math.inf
                            problems.append(f"{series} {CALLS[at][0]} where {condition}, {table.split()[0]}: {difference}")
                        errors[name, series] = max(errors.get((name, series), 0.0), error)
                        values += len(right)
    cell = lambda error: "=" if error == 0 else "DIFF" if error == math.inf else f"{error:.0e}"
    print("| function | " + " | ".join(SERIES) + " |\n" + "|---" * (len(SERIES) + 1) + "|")
    for name in dict.fromkeys(name for name, _ in errors):
        print(f"| {name} | " + " | ".join(cell(errors[name, series]) for series in SERIES) + " |")
    print(*problems, sep="\n")
    print(f"TA-Lib {talib.__version__}: {values} values compared; differences: {len(problems)}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
