"""What live has to tell of ticks, computed from the rows of a table without tickhouse and without SQL."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

FAST, SLOW, SCORE, THRESHOLD, CHANGE = 9, 21, 20, 2.0, 1.0
COLUMNS = [
    "symbol", "ts", "trade_date", "close", "volume", "kafka_epoch", "kafka_partition", "kafka_offset", "kafka_index",
]  # fmt: skip

# Name -> (condition, condition of its end or None, cool-down in microseconds).
Rule = tuple[Callable[["Values"], bool], Callable[["Values"], bool] | None, int]


@dataclass
class Values:
    close: float
    volume: float | None
    change_pct: float | None
    volume_avg_10: float | None
    vwap: float | None


@dataclass
class Symbol:
    closes: list[float] = field(default_factory=list)
    volumes: list[float | None] = field(default_factory=list)
    signal: str = "Hold"
    side: int = 0
    date: Any = None
    volume: float = 0.0
    turnover: float = 0.0
    """Of each rule: whether it waits for its end, and when it fired."""
    rules: dict[str, tuple[bool, int | None]] = field(default_factory=dict)


def mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def deviation(values: list[float]) -> float:
    middle = mean(values)
    return math.sqrt(math.fsum((value - middle) ** 2 for value in values) / (len(values) - 1))


def side(fast: float, slow: float) -> int:
    apart, tolerance = fast - slow, 1e-9 * abs(slow)
    return (apart > tolerance) - (apart < -tolerance)


def events(rows: list[dict], rules: dict[str, Rule]) -> Iterator[tuple[str, str | None]]:
    """(identity, side) of everything that is told; `rows` in the order of windows, times in microseconds."""
    symbols: dict[str, Symbol] = {}
    for row in rows:
        state = symbols.setdefault(row["symbol"], Symbol())
        key = "-".join(str(row[name]) for name in COLUMNS[5:])
        for kind, told in told_of(state, row, rules):
            yield f"{key}-{kind}", told


def told_of(state: Symbol, row: dict, rules: dict[str, Rule]) -> Iterator[tuple[str, str | None]]:
    close, volume = row["close"], row["volume"]
    before, before_volume = (state.closes[-1:] or [None])[0], (state.volumes[-1:] or [None])[0]
    previous = state.closes[-SCORE:]
    state.closes.append(close)
    state.volumes.append(volume)
    if row["trade_date"] != state.date:
        state.date, state.volume, state.turnover, state.rules = row["trade_date"], 0.0, 0.0, {}
    if volume is not None:
        state.volume += volume
        state.turnover += volume * close
    confirmed = volume is not None and before_volume is not None and volume > before_volume
    now = 0
    if len(state.closes) >= SLOW:
        now = side(mean(state.closes[-FAST:]), mean(state.closes[-SLOW:]))
    signal = {1: "Buy", -1: "Sell"}.get(now, "Hold") if confirmed else "Hold"
    if signal != state.signal:
        yield "signal", signal
    state.signal = signal
    if now * state.side < 0:
        yield "cross", "golden" if now > 0 else "death"
    state.side = now or state.side
    if len(previous) == SCORE and min(previous) < max(previous):
        score = (close - mean(previous)) / deviation(previous)
        if abs(score) > THRESHOLD * (1 + 1e-9):
            yield "anomaly", "High" if score > 0 else "Low"
    change = 100 * (close - before) / before if before is not None and before > 0 else None
    if change is not None and abs(change) >= CHANGE * (1 - 1e-9):
        yield "price_alert", "Up" if change > 0 else "Down"
    last = state.volumes[-10:]
    known = len(last) == 10 and None not in last
    values = Values(
        close, volume, change, mean(last) if known else None, state.turnover / state.volume if state.volume > 0 else None
    )
    for name, (when, until, cool_down) in rules.items():
        active, fired = state.rules.get(name, (False, None))
        ends = until(values) if until else not when(values)
        if active:
            state.rules[name] = (not ends, fired)
        elif when(values) and (fired is None or row["ts"] - fired >= cool_down):
            state.rules[name] = (not ends, row["ts"])
            yield f"rule-{name}", None
