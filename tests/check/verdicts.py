"""What a canonical message is, by rules of the checker's own: tick, dead, skip, or any where they can't tell."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import datetime, timezone

FUTURE_US = 5 * 60 * 1_000_000
YEAR_1990_US = 631_152_000_000_000
YEAR_2262_US = 9_214_646_400_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(slots=True)
class Verdict:
    kind: str
    symbol: str | None = None
    ts_us: int | None = None
    open: float | None = None
    high: float | None = None
    low: float | None = None
    close: float | None = None
    volume: float | None = None
    trade_id: str | None = None
    source: str | None = None


DEAD = Verdict("dead")
SKIP = Verdict("skip")
ANY = Verdict("any")


class _Dead(Exception):
    pass


class _Unsure(Exception):
    pass


def _object(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Unsure  # a duplicate key is only an error on the mapped level
    return found


def _constant(_):
    raise _Dead


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)


def _number(value, required: bool, positive: bool) -> float | None:
    if value is None:
        if required:
            raise _Dead
        return None
    if isinstance(value, bool) or isinstance(value, (list, dict)):
        raise _Dead
    if isinstance(value, str):
        raise _Unsure
    try:
        number = float(value)
    except OverflowError:
        raise _Dead from None
    if not math.isfinite(number) or number < 0 or (positive and number == 0):
        raise _Dead
    return number


def _text(value) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise _Unsure


def plausible(kafka_ms: int | None) -> int | None:
    """What the table has of a Kafka timestamp: NULL for one in another unit."""
    known = kafka_ms is not None and YEAR_1990_US <= kafka_ms * 1000 < YEAR_2262_US
    return kafka_ms if known else None


def _time(value, kafka_ms: int | None) -> int:
    kafka_ms = plausible(kafka_ms)
    if value is None:
        raise _Dead
    if not isinstance(value, str):
        raise _Unsure
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise _Unsure from None
    if moment.tzinfo is None:
        raise _Dead
    micros = (moment - EPOCH) // _MICROSECOND
    if micros < YEAR_1990_US or (kafka_ms is not None and micros > kafka_ms * 1000 + FUTURE_US):
        raise _Dead
    return micros


_MICROSECOND = datetime.resolution


def judge(payload: bytes | None, kafka_ms: int | None) -> Verdict:
    """The place where a canonical message belongs, and for a tick the values that its row must have."""
    if payload is None:
        return SKIP
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError:
        return DEAD
    if text.startswith("\ufeff"):
        return ANY
    if len(payload) > 64 * 1024:
        return ANY  # limits of size, nesting and keys are settings
    try:
        message = _decoder.decode(text)
        if not isinstance(message, dict):
            return DEAD
        close = _number(message.get("close"), True, True)
        symbol = message.get("symbol")
        if symbol is None or symbol == "":
            return DEAD
        if not isinstance(symbol, str) or not symbol.isprintable() or len(symbol) > 64 or not symbol.isascii():
            return ANY
        if symbol != symbol.strip():
            return ANY
        return Verdict(
            "tick",
            symbol,
            _time(message.get("ts"), kafka_ms),
            _number(message.get("open"), False, True),
            _number(message.get("high"), False, True),
            _number(message.get("low"), False, True),
            close,
            _number(message.get("volume"), False, False),
            _text(message.get("trade_id")),
            _text(message.get("source")),
        )
    except _Unsure:
        return ANY
    except (_Dead, ValueError):
        return DEAD
    except RecursionError:
        return ANY
