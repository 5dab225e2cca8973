"""Series of ticks that are hard for windows and summaries, and lakes made of them without Kafka."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Callable, Iterator

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

MICROS = 1_000_000
DAY = 86_400 * MICROS
#: 2026-01-05 00:00 UTC, a Monday.
START = 20_458 * DAY
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass
class Tick:
    symbol: str
    #: Microseconds since the epoch.
    ts: int
    close: float
    volume: float | None = None
    open: float | None = None
    high: float | None = None
    low: float | None = None
    partition: int = 0
    offset: int = 0
    index: int = 0
    #: Of a lake that ticks were ingested into; else the time is taken for all of them, and the day is its day of UTC.
    day: date | None = None
    kafka_ts: int | None = None
    ingested_at: int | None = None

    def __post_init__(self) -> None:
        self.close = float(self.close)

    @property
    def date(self) -> date:
        return self.day or (EPOCH + timedelta(microseconds=self.ts)).date()

    @property
    def place(self) -> tuple[int, int, int, int]:
        return (self.ts, self.partition, self.offset, self.index)


def walks(seed: int, symbols: int, rows: int, step: int = 97 * MICROS) -> Iterator[Tick]:
    """Random walks; a tenth of the volumes is unknown, half of the ticks carry open, high and low."""
    dice = random.Random(seed)
    for number in range(symbols):
        price = 50.0 * (number + 1)
        for row in range(rows):
            price = max(1.0, price + dice.gauss(0, 0.01 * price))
            tick = Tick(f"S{number}", START + row * step, price, dice.choice([None] + 9 * [float(dice.randint(0, 500))]))
            if dice.random() < 0.5:
                tick.open = price + dice.gauss(0, 0.1)
                tick.high = max(tick.open, price) + dice.random()
                tick.low = min(tick.open, price) - dice.random()
            yield tick


def gaps() -> Iterator[Tick]:
    """Silence of minutes, hours, nights and days; symbols that begin late and end early."""
    dice = random.Random(2)
    for number in range(4):
        ts = START + number * 3_600 * MICROS
        for _ in range(150 - 30 * number):
            yield Tick(f"G{number}", ts, dice.uniform(90, 110), float(dice.randint(1, 9)))
            ts += dice.choice([1, 30, 60, 300, 301, 900, 7_200, 90_000]) * MICROS


def nulls() -> Iterator[Tick]:
    """Volumes that are never, sometimes and always unknown."""
    for number, known in enumerate([lambda row: False, lambda row: row % 7 > 0, lambda row: row > 60, lambda row: True]):
        for row in range(120):
            volume = float(row % 13) if known(row) else None
            yield Tick(f"N{number}", START + row * 60 * MICROS, 100 + (row * 37 % 11) / 4, volume)


def equal_times() -> Iterator[Tick]:
    """Groups of ticks at one instant; the order is Kafka's."""
    dice = random.Random(3)
    for row in range(300):
        for number in range(2):
            tick = Tick(f"E{number}", START + row // 10 * 60 * MICROS, dice.uniform(10, 11), float(dice.randint(0, 3)))
            tick.partition = dice.randint(0, 2)
            yield tick


def zero_volume() -> Iterator[Tick]:
    """Long stretches of no volume after large ones, and a symbol without any."""
    for row in range(200):
        volume = 0.0 if row % 60 >= 25 else 1e6 / (row + 3)
        yield Tick("Z0", START + row * 30 * MICROS, 20 + row % 9, volume)
        yield Tick("Z1", START + row * 30 * MICROS, 20 + row % 7, 0.0)


def negative() -> Iterator[Tick]:
    """Prices through zero and below it."""
    for row in range(200):
        yield Tick("OIL", START + row * 60 * MICROS, 20.0 - row * 0.5 + row % 5, float(row % 17))
        yield Tick("NEG", START + row * 60 * MICROS, -30.0 - row % 4, float(row % 3))
        yield Tick("NIL", START + row * 60 * MICROS, float(row % 3 - 1), 1.0)


def flat() -> Iterator[Tick]:
    """Closes that stand still after they moved, at values that binary digits can't hold."""
    dice = random.Random(4)
    for number, price in enumerate([0.1, 123.456, 1e-6, 7e5]):
        for row in range(240):
            close = price if row % 80 >= 30 else price * (1 + dice.gauss(0, 0.02))
            yield Tick(f"F{number}", START + row * 45 * MICROS, close, float(row % 5))
    for row in range(60):
        yield Tick("F9", START + row * 45 * MICROS, 0.3, 0.7)


def short() -> Iterator[Tick]:
    """One row, and just too few or just enough for the windows."""
    for rows in (1, 2, 4, 5, 9, 10, 11, 19, 20, 21, 22):
        for row in range(rows):
            yield Tick(f"K{rows:02}", START + row * 60 * MICROS, 10 + (row * row % 7) / 3, float(row * 5 % 4))


def magnitudes() -> Iterator[Tick]:
    """Small moves of large prices, and prices of very different size after each other.

    STDDEV of every engine loses as many digits as price / deviation has, so beyond 1e6 none is right to 1e-9.
    """
    dice = random.Random(5)
    for row in range(300):
        yield Tick("M0", START + row * 60 * MICROS, 1e5 + dice.gauss(0, 10), dice.uniform(1, 1e9))
        yield Tick("M1", START + row * 60 * MICROS, dice.uniform(1, 2) * 1e-7, dice.uniform(0, 1e-6))
        yield Tick("M2", START + row * 60 * MICROS, dice.uniform(1, 2) * 10 ** (row // 60), 1.0)


def spikes() -> Iterator[Tick]:
    """Single absurd ticks that must leave no trace once they are out of the window."""
    dice = random.Random(6)
    for row in range(300):
        close = 1e16 if row % 100 == 50 else dice.uniform(99, 101)
        yield Tick("X0", START + row * 60 * MICROS, close, 1e15 if row == 120 else float(dice.randint(1, 9)))


def crossover() -> Iterator[Tick]:
    """120 symbols of 200 rows, 30 seconds apart."""
    yield from walks(7, 120, 200, 30 * MICROS)


SERIES: dict[str, Callable[[], Iterator[Tick]]] = {
    "empty": lambda: iter(()),
    "walks": lambda: walks(1, 5, 400, 631 * MICROS),
    "gaps": gaps,
    "nulls": nulls,
    "equal_times": equal_times,
    "zero_volume": zero_volume,
    "negative": negative,
    "flat": flat,
    "short": short,
    "magnitudes": magnitudes,
    "spikes": spikes,
    "crossover": crossover,
}


def arrived(ticks: Iterator[Tick], seed: int) -> list[Tick]:
    """The ticks with places in Kafka, some of them late."""
    dice = random.Random(seed)
    late = sorted(ticks, key=lambda tick: tick.ts + dice.choice([0, 0, 0, 0, 150 * MICROS]))
    offsets = [0, 0, 0]
    for tick in late:
        tick.offset = offsets[tick.partition]
        tick.index = dice.randint(0, 1)
        offsets[tick.partition] += 1
    return late


TIME = pa.timestamp("us", "UTC")


def required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


PLACE = [
    required("kafka_epoch", pa.int32()),
    required("kafka_partition", pa.int32()),
    required("kafka_offset", pa.int64()),
    required("kafka_index", pa.int32()),
    pa.field("kafka_ts", TIME),
]
TICKS = pa.schema(
    [required("symbol", pa.string()), required("ts", TIME)]
    + [pa.field(name, pa.float64()) for name in ("open", "high", "low")]
    + [required("close", pa.float64()), pa.field("volume", pa.float64())]
    + [pa.field("trade_id", pa.string()), pa.field("source", pa.string())]
    + PLACE
    + [required("ingested_at", TIME), required("trade_date", pa.date32())]
)
HEADER = pa.struct([required("key", pa.string()), pa.field("value", pa.binary())])
DEAD_LETTERS = pa.schema(
    PLACE
    + [pa.field("key", pa.binary()), required("payload", pa.binary()), required("payload_bytes", pa.int64())]
    + [required("payload_sha256", pa.string()), pa.field("headers", pa.list_(required("element", HEADER)))]
    + [required(name, pa.string()) for name in ("reason", "detail", "version")]
    + [required("ingested_at", TIME), required("dead_date", pa.date32())]
)


def record(tick: Tick) -> dict:
    return {
        "symbol": tick.symbol,
        "ts": tick.ts,
        "open": tick.open,
        "high": tick.high,
        "low": tick.low,
        "close": tick.close,
        "volume": tick.volume,
        "kafka_epoch": 0,
        "kafka_partition": tick.partition,
        "kafka_offset": tick.offset,
        "kafka_index": tick.index,
        "kafka_ts": tick.ts,
        "ingested_at": tick.ts,
        "trade_date": tick.date,
    }


def write_lake(root: Path, ticks: list[Tick], files: int = 3) -> None:
    """A lake as tickhouse has it, its rows dealt to several files a date."""
    DeltaTable.create(str(root / "ticks"), TICKS, partition_by=["trade_date"])
    DeltaTable.create(str(root / "dead_letters"), DEAD_LETTERS, partition_by=["dead_date"])
    for part in range(files):
        rows = [record(tick) for tick in ticks[part::files]]
        if rows:
            table = pa.Table.from_pylist(rows, schema=TICKS)
            write_deltalake(str(root / "ticks"), table, mode="append")
