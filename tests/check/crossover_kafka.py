#!/usr/bin/env python3
"""sma_crossover on prices that arrived through Kafka, against full windows of pandas.

    crossover_kafka.py --brokers B [--topic T]

120 symbols x 200 rows, 30 seconds apart in Asia/Kolkata and across its midnight, go as JSON of symbol, Date-Time, Close
and Volume into a new topic, some of them late, and by `tickhouse ingest` into a lake. Then every row of the query must
be what pandas computes of the messages: NULLs, signals, events and volumes exactly, means to 1e-9 relative.
Prints what was compared. Exit code 0: all equal; 1: differences.

Needs target/debug/tickhouse (or --tickhouse) and the packages of requirements-catalog.txt.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from deltalake import DeltaTable

from docs_part import write_part
from landed import SYMBOL_CLOSE, ZONE, ingest, send

REPOSITORY = Path(__file__).resolve().parents[2]
SYMBOLS, ROWS, FAST, SLOW = 120, 200, 9, 21
BEGIN = pd.Timestamp("2025-07-19 23:15:00")
TOLERANCE = 1e-9


def prices(seed: int = 7) -> pd.DataFrame:
    """Walks in steps of 0.05; every tenth symbol stands still for a while, every tenth repeats three closes."""
    dice = random.Random(seed)
    rows = []
    for number in range(SYMBOLS):
        close = dice.uniform(20, 3_000)
        for row in range(ROWS):
            still = number % 10 == 3 and 60 <= row < 130
            if not still:
                close = max(1.0, close + dice.gauss(0, 0.002 * close))
            shown = round(round(close / 0.05) * 0.05, 2)
            if number % 10 == 4:
                shown = [100.1, 100.35, 99.7][row % 3] if row < 150 else 100.1
            volume = dice.choice([None, 0, 0] + 17 * [dice.randint(1, 5_000)])
            rows.append((f"SYM{number + 1:03}", BEGIN + pd.Timedelta(seconds=30 * row), shown, volume))
    return pd.DataFrame(rows, columns=["symbol", "local", "close", "volume"]).astype({"volume": float})


def messages(frame: pd.DataFrame, seed: int = 8) -> list[dict]:
    """In the order of time but for a fifth, which is up to 5 minutes late."""
    dice = random.Random(seed)
    late = [local + pd.Timedelta(seconds=dice.choice([0, 0, 0, 0, 300])) for local in frame["local"]]
    found = []
    for row in frame.iloc[np.argsort(late, kind="stable")].itertuples():
        message = {"symbol": row.symbol, "Date-Time": str(row.local), "Close": row.close}
        if not np.isnan(row.volume):
            message["Volume"] = int(row.volume)
        elif dice.random() < 0.5:
            message["Volume"] = None
        found.append(message)
    return found


def expected(frame: pd.DataFrame) -> pd.DataFrame:
    frame = frame.sort_values(["symbol", "local"]).reset_index(drop=True)
    by_symbol = frame.groupby("symbol", sort=False)
    for name, rows in (("sma_fast", FAST), ("sma_slow", SLOW)):
        frame[name] = by_symbol["close"].transform(lambda close, n=rows: close.rolling(n, min_periods=n).mean())
    frame["prev_volume"] = by_symbol["volume"].shift()
    frame["confirmed"] = frame["volume"] > frame["prev_volume"]
    apart = frame["sma_fast"] - frame["sma_slow"]
    side = np.sign(apart).where(apart.abs() > 1e-9 * frame["sma_slow"].abs())
    frame["signal"] = np.where(frame["confirmed"], side.map({1.0: "Buy", -1.0: "Sell"}).fillna("Hold"), "Hold")
    before = side.groupby(frame["symbol"]).ffill().groupby(frame["symbol"]).shift()
    frame["cross_event"] = side.where(side * before < 0).map({1.0: "golden", -1.0: "death"})
    frame["ts"] = frame["local"].dt.tz_localize(ZONE).dt.tz_convert("UTC")
    return frame


def differences(found, wanted: pd.DataFrame) -> tuple[list[str], float]:
    """What is not equal, and the largest relative error of a mean."""
    if found.num_rows != len(wanted):
        return [f"{found.num_rows} rows, expected {len(wanted)}"], 0.0
    problems, worst = [], 0.0
    for name in ("symbol", "ts", "close", "volume", "prev_volume", "sma_fast", "sma_slow", "signal", "cross_event", "confirmed"):
        column = found.column(name)
        nulls = column.is_null(nan_is_null=False).to_numpy()
        right = wanted[name]
        different = nulls != right.isna().to_numpy()
        there = ~nulls & ~different
        if name in ("sma_fast", "sma_slow"):
            have, value = column.to_numpy()[there], right.to_numpy()[there]
            error = np.abs(have - value) / np.abs(value)
            worst = max(worst, float(error.max()))
            different[there] = ~(error <= TOLERANCE)
        else:
            different[there] = (column.to_pandas()[there] != right[there]).to_numpy()
        for row in np.flatnonzero(different):
            place = f"{wanted['symbol'][row]} {wanted['local'][row]} {name}"
            problems.append(f"{place}: {column[int(row)].as_py()!r}, expected {right[row]!r}")
    return problems, worst


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--topic", default="stock-data-stream", help="created by this script")
    parser.add_argument("--tickhouse", type=Path, default=REPOSITORY / "target/debug/tickhouse")
    parser.add_argument("--docs", action="store_true", help="write the line into docs/conformance.md, too")
    args = parser.parse_args()

    frame = prices()
    wanted = expected(frame)
    sent = send(args.brokers, args.topic, messages(frame))
    with tempfile.TemporaryDirectory() as folder:
        lake, answer = Path(folder) / "lake", Path(folder) / "answer.parquet"
        ingest(args.tickhouse, args.brokers, args.topic, lake, 5_000, *SYMBOL_CLOSE)
        ticks = DeltaTable(str(lake / "ticks"))
        files, dates = len(ticks.file_uris()), ticks.to_pyarrow_table(columns=["trade_date"]).column(0)
        command = [str(args.tickhouse), "query", "sma_crossover", "--table", str(lake), "-o", str(answer)]
        subprocess.run(command, check=True)
        problems, worst = differences(pq.read_table(answer), wanted)
    local_dates = wanted["local"].dt.date.value_counts().to_dict()
    landed_dates = {date.as_py(): count.as_py() for date, count in (row.values() for row in dates.value_counts())}
    if landed_dates != local_dates:
        problems.append(f"trade dates {landed_dates}, expected {local_dates}")
    equal = (wanted["sma_fast"] - wanted["sma_slow"]).abs() <= 1e-9 * wanted["sma_slow"]
    counts = lambda name: ", ".join(f"{value} {count}" for value, count in wanted[name].value_counts().items())
    for problem in problems[:20]:
        print(problem)
    line = (
        f"sma_crossover through Kafka: {sent} messages, {files} files, {len(landed_dates)} trade dates; {len(wanted)} rows "
        f"of {wanted['symbol'].nunique()} symbols compared with pandas {pd.__version__}: {counts('signal')}; "
        f"{counts('cross_event')}; {int(wanted['sma_slow'].isna().sum())} rows without a slow mean, "
        f"{int(equal.sum())} with equal means, "
        f"{int(wanted['volume'].isna().sum())} without a volume; largest error of a mean {worst:.0e}; "
        f"differences: {len(problems)}"
    )
    print(line)
    if args.docs:
        write_part("conformance.md", "crossover_kafka.py", f"```\n{line}\n```")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
