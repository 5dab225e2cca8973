#!/usr/bin/env python3
"""`--from` shows rows of the full run, in tickhouse and in other engines that run the text of `--show-sql --from`.

    catalog_from.py                                   all queries on the series that last for days, and DuckDB
    catalog_from.py bars ema --series gaps --engines duckdb,clickhouse
    catalog_from.py --engines spark --series gaps     Spark, as of read_spark.sh

Every query is asked for the ticks since an instant and since a date. Its rows must be those of its definition over all
ticks (catalog_oracle.py) of which a tick lies in the range; a query with a row for each symbol sums up the ticks in the range.
Needs target/debug/tickhouse (or --tickhouse) and the packages of requirements-catalog.txt. Exit code 0: all equal.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

from catalog_engines import ENGINES, EngineError
from catalog_expected import CASES, OURS
from catalog_oracle import REPOSITORY, Compared, Different, Found, Tickhouse, checked, lakes, plain, told
from catalog_series import DAY, EPOCH, MICROS, Tick
from catalog_signals import Params, Rows, by_symbol

#: Have a row for each symbol, of the ticks in the range.
SUMMARIES = ("correlation", "drawdown", "movers", "symbols", "volatility_share", "volume_by_symbol")
#: Sums up rows whose windows begin before the range, so only tickhouse's own answer says what the others must have.
LARGEST = "trend_volatility"
LASTING = ["walks", "gaps", "nulls", "flat", "equal_times"]


def text_of(micros: int) -> str:
    return (EPOCH + timedelta(microseconds=micros)).isoformat()


class Since(Tickhouse):
    """Asks for a range that begins at `text`."""

    def __init__(self, binary: Path, lake: Path, text: str):
        super().__init__(binary, lake)
        self.begin = ["--from", text]

    def arguments(self, name: str, params: Params) -> list[str]:
        return [*super().arguments(name, params), *self.begin]

    def sql(self, name: str, params: Params, dialect: str) -> str:
        return self.run([*self.arguments(name, params), "--show-sql", "--dialect", dialect])


def shown(name: str, rows: Rows, params: Params, ticks: list[Tick], begin: int) -> Rows:
    """Of the full run: rows of which a tick lies in the range."""

    def has_tick(row: dict, first: int, end: int) -> bool:
        return any(tick.symbol == row["symbol"] and max(first, begin) <= tick.ts < end for tick in ticks)

    def is_shown(row: dict) -> bool:
        if name == "bars":
            first = plain(row["bar_start"])
            return has_tick(row, first, first + int(params["interval"] * MICROS))
        if name == "daily_summary":
            day = date.fromisoformat(plain(row["trade_date"]))
            first = (day - EPOCH.date()).days * DAY
            return has_tick(row, first, first + DAY)
        return plain(row["silent_from" if name == "gaps" else "ts"]) >= begin

    return [row for row in rows if is_shown(row)]


def compare(found: Found, key: tuple[str, str, str], label: str, answer: Rows | str, expected: Rows, step: int) -> None:
    compared = Compared()
    try:
        if isinstance(answer, str):
            raise Different(answer)
        compared.add([{k: plain(v) for k, v in row.items()} for row in answer], expected, step)
    except Different as difference:
        compared.differences.append(str(difference))
    total = found.setdefault(key, Compared())
    total.rows += compared.rows
    total.error = max(total.error, compared.error)
    total.differences += [f"{key[2]} {label}: {difference}" for difference in compared.differences]


def check_lake(series: str, ticks: list[Tick], lake: Path, args: argparse.Namespace, found: Found, counts: Counter) -> None:
    engines = {name: ENGINES[name](lake) for name in args.engines}
    times = sorted(tick.ts for tick in ticks)
    middle = times[len(times) * 3 // 5]
    cuts = [(text_of(middle), middle), (text_of(middle)[:10], middle // DAY * DAY)]
    for query, defaults, sets in CASES:
        name = query.__name__
        if args.queries and name not in args.queries:
            continue
        for changed in sets:
            params = defaults | changed
            given = {key: value for key, value in params.items() if key in changed or key == "since"}
            full = query(by_symbol(ticks), params)
            for text, begin in cuts:
                tickhouse = Since(args.tickhouse, lake, text)
                label = " ".join([f"{series}/{name}", *(f"{key}={value}" for key, value in changed.items()), f"--from {text}"])
                own = tickhouse.rows(name, given)
                if name in SUMMARIES:
                    expected = query(by_symbol([tick for tick in ticks if tick.ts >= begin]), params)
                elif name == LARGEST:
                    expected = own
                else:
                    expected = shown(name, full, params, ticks, begin)
                if name != LARGEST:
                    compare(found, (name, series, "tickhouse"), label, own, expected, 1)
                    counts["tickhouse"] += 1
                counts["rows"] += len(expected)
                for engine, connection in engines.items():
                    if name in OURS:
                        continue
                    try:
                        answer: Rows | str = connection.named(tickhouse, name, given)
                    except (Different, EngineError) as error:
                        answer = str(error)
                    compare(found, (name, series, engine), label, answer, expected, connection.time_step)
                    counts[engine] += 1
    for connection in engines.values():
        connection.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = lambda text: text.split(",") if text else []
    parser.add_argument("queries", nargs="*")
    parser.add_argument("--series", type=names, default=LASTING)
    parser.add_argument("--engines", type=names, default=["duckdb"])
    parser.add_argument("--tickhouse", type=Path, default=REPOSITORY / "target/debug/tickhouse")
    args = checked(parser)
    found: Found = {}
    counts: Counter = Counter()
    for series, ticks, lake in lakes(args):
        check_lake(series, ticks, lake, args, found, counts)
    return told(found, args.engines, counts)


if __name__ == "__main__":
    sys.exit(main())
