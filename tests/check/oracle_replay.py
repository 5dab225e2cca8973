#!/usr/bin/env python3
"""What a replay of source files must leave in the lake, computed from the files alone.

    oracle_replay.py sp500 FOLDER                       all_stocks_5yr.csv[.gz]: date,open,high,low,close,volume,Name
    oracle_replay.py binance FOLDER                     *.gz of lines "RECEIVED_NANOSECONDS FRAME"
    oracle_replay.py binance FOLDER --table ./lake      .. and compare with `tickhouse query` on that lake

Prints symbol,ticks,sum_close,sum_volume,min_close,max_close as CSV and the totals as JSON. With --table, counts, minima
and maxima must be equal, sums equal to 1e-9 relative, and dead letters, skips and messages as computed. How to make the
lake: docs/replay.md. Exit code 0: as computed; 1: differences; 2: usage.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import math
import os
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterator

from delta_log import open_store, read_table

TOLERANCE = 1e-9
QUERY = """SELECT symbol, count(*) AS ticks, sum(close) AS sum_close, sum(volume) AS sum_volume,
                  min(close) AS min_close, max(close) AS max_close FROM ticks GROUP BY symbol ORDER BY symbol"""
COLUMNS = ("symbol", "ticks", "sum_close", "sum_volume", "min_close", "max_close")


@dataclass
class Symbol:
    closes: list[float] = field(default_factory=list)
    volumes: list[float] = field(default_factory=list)

    def row(self) -> tuple:
        return (len(self.closes), math.fsum(self.closes), math.fsum(self.volumes), min(self.closes), max(self.closes))


@dataclass
class Expected:
    symbols: dict[str, Symbol] = field(default_factory=lambda: defaultdict(Symbol))
    totals: dict[str, int] = field(default_factory=lambda: {"messages": 0, "ticks": 0, "dead_letters": 0, "skipped": 0})

    def tick(self, symbol: str, close: float, volume: float | None) -> None:
        self.totals["ticks"] += 1
        one = self.symbols[symbol]
        one.closes.append(close)
        if volume is not None:
            one.volumes.append(volume)


def open_text(path: Path):
    return gzip.open(path, "rt") if path.suffix == ".gz" else path.open()


def files(folder: Path, *patterns: str) -> list[Path]:
    found = sorted(path for pattern in patterns for path in folder.glob(pattern))
    if not found:
        raise SystemExit(f"oracle_replay: no {' or '.join(patterns)} in {folder}")
    return found


def sp500(folder: Path) -> Expected:
    """Every line is a message; one without a positive close or a symbol would be a dead letter."""
    expected = Expected()
    for path in files(folder, "*.csv", "*.csv.gz"):
        with open_text(path) as text:
            for row in csv.DictReader(text):
                expected.totals["messages"] += 1
                prices = [float(row[name]) for name in ("open", "high", "low", "close") if row[name]]
                if not row["Name"] or not row["close"] or any(price <= 0 for price in prices):
                    expected.totals["dead_letters"] += 1
                    continue
                expected.tick(row["Name"], float(row["close"]), float(row["volume"]) if row["volume"] else None)
    return expected


def frames(folder: Path) -> Iterator[dict]:
    for path in files(folder, "*.gz"):
        with open_text(path) as text:
            for line in text:
                frame = json.loads(line.partition(" ")[2])
                yield frame["data"] if isinstance(frame.get("data"), dict) else frame


def binance(folder: Path) -> Expected:
    """Trades are ticks; books, quotes and answers are frames without ticks."""
    expected = Expected()
    for frame in frames(folder):
        expected.totals["messages"] += 1
        if frame.get("e") not in ("trade", "aggTrade"):
            expected.totals["skipped"] += 1
            continue
        price, quantity = float(frame["p"]), float(frame["q"])
        if price <= 0 or quantity < 0:
            expected.totals["dead_letters"] += 1
            continue
        expected.tick(frame["s"], price, quantity)
    return expected


def near(one: float, other: float) -> bool:
    return abs(one - other) <= TOLERANCE * max(abs(one), abs(other), 1.0)


def compare(expected: Expected, table: str, binary: Path, endpoint: str | None, region: str) -> list[str]:
    """The lake's own answer to the query against the computed rows, and its counters against the totals."""
    command = [binary, "query", QUERY, "--table", table, "--format", "csv"]
    if endpoint:
        command += ["--s3-endpoint", endpoint, "--s3-region", region]
        command += ["--s3-allow-http"] if endpoint.startswith("http://") else []
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=os.environ)
    if done.returncode != 0:
        return [f"the query ended with {done.returncode}"]
    found = {row["symbol"]: row for row in csv.DictReader(io.StringIO(done.stdout))}
    wrong = [f"{symbol} is not in the lake" for symbol in sorted(set(expected.symbols) - set(found))]
    wrong += [f"{symbol} is in the lake, not in the files" for symbol in sorted(set(found) - set(expected.symbols))]
    for symbol in sorted(set(found) & set(expected.symbols)):
        want = dict(zip(COLUMNS[1:], expected.symbols[symbol].row()))
        for name, value in want.items():
            have = float(found[symbol][name] or 0)
            if not (near(have, value) if name.startswith("sum") else have == value):
                wrong.append(f"{symbol}: {name} is {have}, computed {value}")
    record = read_table(open_store(table, "ticks", endpoint, region)).record or {"partitions": {}}
    counters = record["partitions"].values()
    have = {
        "messages": sum(one["stored_offsets"] + one["dead"] + one["skipped"] for one in counters),
        "ticks": sum(one["rows"] for one in counters),
        "dead_letters": sum(one["dead"] for one in counters),
        "skipped": sum(one["skipped"] for one in counters),
    }
    return wrong + [f"{name}: the lake counts {have[name]}, computed {value}" for name, value in expected.totals.items() if have[name] != value]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", choices=["sp500", "binance"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--table", help="root of the lake that the replay was ingested into")
    parser.add_argument("--s3-endpoint", help="keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    parser.add_argument("--s3-region", default="us-east-1")
    parser.add_argument("--binary", type=Path, default=Path(__file__).resolve().parents[2] / "target/debug/tickhouse")
    parser.add_argument("--totals", action="store_true", help="print the totals only")
    args = parser.parse_args()
    expected = {"sp500": sp500, "binance": binance}[args.source](args.folder)
    if not args.totals:
        out = csv.writer(sys.stdout)
        out.writerow(COLUMNS)
        for symbol, one in sorted(expected.symbols.items()):
            out.writerow((symbol, *one.row()))
    print(json.dumps(expected.totals | {"symbols": len(expected.symbols)}))
    if not args.table:
        return 0
    wrong = compare(expected, args.table, args.binary, args.s3_endpoint, args.s3_region)
    for text in wrong:
        print(f"DIFFERS {text}", file=sys.stderr)
    print(f"{len(wrong)} differences", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
