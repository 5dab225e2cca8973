#!/usr/bin/env python3
"""Writes tests/sql/catalog.slt: a few ticks, and what every named query must answer on them, computed without SQL.

    "$(tests/servers/python.sh tests/check/requirements-catalog.txt)" tests/check/catalog_goldens.py

`cargo test --lib query` compares. --check only says whether the file is up to date (exit code 1: it is not).
"""

from __future__ import annotations

import argparse
import sys
from datetime import date, timedelta
from pathlib import Path

from catalog_expected import CASES
from catalog_oracle import text_of
from catalog_series import EPOCH, MICROS, START, Tick, arrived
from catalog_signals import Any, Params, Rounded, by_symbol

GOLDENS = Path(__file__).resolve().parents[1] / "sql" / "catalog.slt"
#: Windows that are full after a few rows.
SMALL: dict[str, list[Params]] = {
    "sma_crossover": [{"fast": 2, "slow": 4}],
    "sma_crossover_partial": [{"fast": 2, "slow": 5}],
    "volume_confirmation": [{"window": 3}],
    "volatility": [{"window": 3, "periods_per_year": 4.0}],
    # Below 0 shows every row that has a z-score: those after three equal closes have none.
    "zscore_anomalies": [
        {"window": 3, "threshold": 1.5},
        {"window": 3, "threshold": -1.0},
        {"window": 4, "threshold": 1.0, "include_current": True},
    ],
    "bollinger": [{"window": 3}],
    "ema": [{"fast": 2, "slow": 4}],
    "rsi": [{"window": 3}],
    "macd": [{"fast": 2, "slow": 4, "signal": 3}],
    "atr": [{"window": 3}, {"window": 2, "candles": False}],
    "vwap_rolling": [{"window": 3}],
    "bars": [{"interval": 120.0}, {"interval": 86_400.0, "candles": True}],
    "trend_volatility": [{"window": 3}],
    "correlation": [{"interval": 60.0, "least_pairs": 3}],
    "gaps": [{"longer_than": 90.0}, {"longer_than": 90.0, "overnight": True}],
}
TEXT = """\
# Written by tests/check/catalog_goldens.py, which computes the answers without SQL.
# ticks: symbol, ts, close, volume, open, high, low, kafka partition, offset, index; - is NULL,
# * is up to the last binary digit of two equal means.
"""


def ticks() -> list[Tick]:
    """Rises, ties, falls, a flat stretch, unknown and zero volumes, equal times, a night, a single row, a negative price."""
    closes = [10, 11, 12, 12, 12, 12, 9, 8, 8.5, 14, 14.5, 13, 10, 10]
    volumes = [5, 6, None, 0, 0, 0, 9, 4, 8, 20, 21, 2, None, 7]
    found = []
    for row, (close, volume) in enumerate(zip(closes, volumes)):
        ts = START + (row // 2 * 2 if row in (2, 3) else row) * 60 * MICROS + (86_400 * MICROS if row > 10 else 0)
        tick = Tick("A", ts, float(close), None if volume is None else float(volume))
        if row % 3 == 0:
            tick.open, tick.high, tick.low = close - 0.5, close + 1.0, close - 1.0
        found.append(tick)
        found.append(Tick("B", START + row * 45 * MICROS, 100 - close / 3, float(row % 4)))
    found.append(Tick("ONE", START + 30 * MICROS, 7.0, 3.0))
    found += [Tick("OIL", START + row * 200 * MICROS, 3.0 - row * 2, 1.0) for row in range(4)]
    return arrived(iter(found), seed=5)


def cell(name: str, value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, Any):
        return "*"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Rounded):
        return repr(round(float(value), 2))
    if isinstance(value, int) and (name.endswith("ts") or name in TIMES):
        return (EPOCH + timedelta(microseconds=value)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return value.isoformat() if isinstance(value, date) else repr(value) if isinstance(value, float) else str(value)


TIMES = ("bar_start", "bar_end", "silent_from", "silent_to", "newest", "newest_before", "ingested_at")


def goldens() -> str:
    everything = ticks()
    lines = [TEXT, "ticks"]
    for tick in everything:
        values = {"symbol": tick.symbol, "ts": tick.ts, "close": tick.close, "volume": tick.volume}
        values |= {"open": tick.open, "high": tick.high, "low": tick.low}
        values |= {"partition": tick.partition, "offset": tick.offset, "index": tick.index}
        lines.append(" ".join(cell(name, value) for name, value in values.items()))
    symbols = by_symbol(everything)
    for query, defaults, _ in CASES:
        for changed in SMALL.get(query.__name__, [{}]):
            params = defaults | changed
            shown = {key: value for key, value in params.items() if key in changed or key == "since"}
            rows = query(symbols, params)
            given = [f"{key}={text_of(key, value)}" for key, value in shown.items()]
            lines += ["", " ".join(["query", query.__name__, *given])]
            names = list(rows[0]) if rows else []
            lines += [" ".join(names), "----"]
            lines += [" ".join(cell(name, row[name]) for name in names) for row in rows]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    text = goldens()
    if args.check:
        return 0 if GOLDENS.exists() and GOLDENS.read_text() == text else 1
    GOLDENS.parent.mkdir(exist_ok=True)
    GOLDENS.write_text(text)
    print(f"{GOLDENS}: {len(text.splitlines())} lines")
    return 0


if __name__ == "__main__":
    sys.exit(main())
