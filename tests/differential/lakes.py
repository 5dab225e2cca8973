"""Small lakes that are hard to query: ties, late days, odd symbols, extremes, holes."""

from __future__ import annotations

import random
import sys
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "check"))
from catalog_series import DAY, DEAD_LETTERS, MICROS, START, TICKS  # noqa: E402

#: `exact`: sums of closes and of products are exact in any order, so that answers must be equal whatever is computed.
#: `extreme`: 1e-9 to 1e16, all of one sign, so that sums are well-conditioned and a rest of a huge value shows.
#: `plain`: decimal fractions, as prices are.
PROFILES = ("exact", "extreme", "plain")

SYMBOLS = [
    "AAPL", "aapl", "MSFT", "BRK.B", "O'Neil", 'say "hi"', "ÄÖÜ", "日経225", "🚀", "a b", "0005", "NULL", "ES=F", "%_x",
    "-1", "x;y", "Z" * 40, "NaN", "true",
]
SOURCES = ["nyse", "NYSE", "bats, inc", "it's", "  padded  ", "ünïcode", "a\tb"]


def price(dice: random.Random, profile: str) -> float:
    if profile == "exact":
        return dice.choice([0.0, 1.0, -1.0, 0.125, 4096.0, dice.randint(-400, 400) / 8, dice.randint(1, 40) * 1.0])
    if profile == "extreme":
        return dice.choice([1e-9, 1.0, 1e16, 2.5e9, 1e12, dice.randint(1, 9) * 10.0 ** dice.randint(-9, 15), 100.0])
    return round(dice.uniform(1, 300), 2)


def volume(dice: random.Random, profile: str) -> float:
    if profile == "extreme":
        return dice.choice([0.0, 1.0, 1e15, 0.1, 0.7, float(dice.randint(0, 1000))])
    return dice.choice([0.0, 1.0, float(dice.randint(0, 1000)), 0.5])


def rows(seed: str) -> tuple[str, list[dict]]:
    """The profile, and the rows of `ticks`; the same for the same seed."""
    dice = random.Random(f"lake {seed}")
    profile = dice.choices(PROFILES, [5, 2, 2])[0]
    symbols = dice.sample(SYMBOLS, dice.randint(1, 6))
    count = dice.choices([0, 1, 7, 30, 60, 90, 140], [1, 1, 2, 6, 6, 6, 2])[0]
    days = sorted(dice.sample(range(-3, 9), dice.randint(1, 5)))
    hole = dice.choice([0.0, 0.1, 0.3, 0.9])
    # One instant in many rows: the order is Kafka's.
    step = dice.choice([0, 1, 1_000, MICROS, 61 * MICROS, 3_601 * MICROS])
    offsets = [0, 0, 0]
    found = []

    def maybe(value: object) -> object:
        return None if dice.random() < hole else value

    for number in range(count):
        day = dice.choice(days)
        ts = START + day * DAY + (dice.randint(0, count) * step) % DAY
        if dice.random() < 0.1:
            ts = START + day * DAY + dice.choice([0, DAY - 1, DAY // 2])
        partition = dice.randint(0, 2)
        offsets[partition] += dice.choice([0, 0, 1, 1, 1, 5]) if number else 0
        close = price(dice, profile)
        row = {
            "symbol": dice.choice(symbols),
            "ts": ts,
            "open": maybe(price(dice, profile)),
            "high": maybe(price(dice, profile)),
            "low": maybe(price(dice, profile)),
            "close": close,
            "volume": maybe(volume(dice, profile)),
            "trade_id": maybe(str(dice.randint(1, 30))),
            "source": maybe(dice.choice(SOURCES)),
            "kafka_epoch": 0,
            "kafka_partition": partition,
            "kafka_offset": offsets[partition],
            # Unique together with partition and offset.
            "kafka_index": number,
            "kafka_ts": maybe(ts + dice.randint(0, 5) * MICROS),
            "ingested_at": START + 9 * DAY + number * 1_000,
            "trade_date": date(1970, 1, 1) + timedelta(days=ts // DAY),
        }
        found.append(row)
    return profile, found


def write(root: Path, ticks: list[dict], seed: str) -> None:
    """As a lake of tickhouse, its rows dealt to several files a date."""
    dice = random.Random(f"files {seed}")
    DeltaTable.create(str(root / "ticks"), TICKS, partition_by=["trade_date"])
    DeltaTable.create(str(root / "dead_letters"), DEAD_LETTERS, partition_by=["dead_date"])
    files = dice.randint(1, 3) if ticks else 0
    for part in range(files):
        dealt = ticks[part::files]
        if dice.random() < 0.5:
            dealt = sorted(dealt, key=lambda row: (row["symbol"], row["ts"], row["kafka_partition"], row["kafka_offset"]))
        if dealt:
            write_deltalake(str(root / "ticks"), pa.Table.from_pylist(dealt, schema=TICKS), mode="append")
