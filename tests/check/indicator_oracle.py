#!/usr/bin/env python3
"""Runs the window functions of tickhouse on hard series and compares them with TA-Lib, to 1e-9 relative.

What is left when values cancel is measured against 1e-6 of the median close of the symbol, and rsi against 1.

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

from catalog_oracle import REPOSITORY, TOLERANCE, Tickhouse
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


def check_series(series: str, binary: Path, errors: dict[tuple[str, str], float], problems: list[str]) -> int:
    """The number of values compared."""
    ticks = arrived(SERIES[series](), seed=11)
    symbols = by_symbol(ticks)
    floor = {symbol: 1e-6 * float(np.median([abs(t.close) for t in of])) for symbol, of in symbols.items()}
    places = [(t.symbol, floor[t.symbol]) for of in symbols.values() for t in of]
    values = 0
    with tempfile.TemporaryDirectory() as folder:
        write_lake(Path(folder), ticks)
        tickhouse = Tickhouse(binary, Path(folder))
        for condition, hole, present in HOLES:
            wanted = {call: sum([answers(of, present, expected) for of in symbols.values()], []) for call, expected in CALLS}
            close = f"CASE WHEN {condition} THEN close ELSE {hole} END"
            for table in TABLES:
                rows = tickhouse.rows(statement(table, close), {})
                if [row["symbol"] for row in rows] != [symbol for symbol, _ in places]:
                    problems.append(f"{series}: {len(rows)} rows of other symbols than expected")
                    continue
                for at, (call, right) in enumerate(wanted.items()):
                    name = call.split("(")[0]
                    found = [row[f"c{at}"] for row in rows]
                    floors = [1.0 if name == "rsi" else floor for _, floor in places]
                    each = [distance(*row) for row in zip(found, right, floors)]
                    worst = max(each, default=0.0)
                    if not worst <= TOLERANCE:
                        row = each.index(worst)
                        where = f"where {condition}, {table.split()[0]}, row {row} of {places[row][0]}"
                        problems.append(f"{series} {call} {where}: {found[row]!r}, expected {right[row]!r}")
                    errors[name, series] = max(errors.get((name, series), 0.0), worst)
                    values += len(right)
    return values


def distance(found: float | None, right: float | None, floor: float) -> float:
    if found is None or right is None or found == right:
        return 0.0 if found == right else math.inf
    return abs(found - right) / max(abs(right), floor)


def statement(table: str, close: str) -> str:
    columns = ", ".join(f"{call.replace('$c', close)} OVER w AS c{at}" for at, (call, _) in enumerate(CALLS))
    window = f"WINDOW w AS (PARTITION BY symbol ORDER BY {ORDER})"
    return f"SELECT symbol, {columns} FROM {table} {window} ORDER BY symbol, {ORDER}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=lambda text: text.split(","), default=list(SERIES))
    parser.add_argument("--tickhouse", type=Path, default=REPOSITORY / "target/debug/tickhouse")
    args = parser.parse_args()
    if unknown := [series for series in args.series if series not in SERIES]:
        parser.error(f"there is no series {unknown[0]}: choose of {', '.join(SERIES)}")
    errors: dict[tuple[str, str], float] = {}
    problems: list[str] = []
    values = sum(check_series(series, args.tickhouse, errors, problems) for series in args.series)
    cell = lambda error: "=" if error == 0 else "DIFF" if not error <= TOLERANCE else f"{error:.0e}"
    print("| function | " + " | ".join(args.series) + " |\n" + "|---" * (len(args.series) + 1) + "|")
    for name in dict.fromkeys(name for name, _ in errors):
        print(f"| {name} | " + " | ".join(cell(errors[name, series]) for series in args.series) + " |")
    for problem in problems:
        print(problem)
    print(f"TA-Lib {talib.__version__}: {values} values compared; differences: {len(problems)}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
