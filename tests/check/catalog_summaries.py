"""What the named summaries must answer, computed from their definitions and without SQL."""

from __future__ import annotations

import math
from datetime import date
from typing import Callable

import pandas as pd

from catalog_series import DAY, EPOCH, MICROS, Tick
from catalog_signals import Params, Rows, Symbols, deviation, each_row, mean, percent, total, weighted

#: Monday 2000-01-03 00:00 UTC, from which bars are counted.
BARS_FROM = 10_959 * DAY


def summary(ticks: list[Tick], candles: bool = True) -> dict:
    """What bars and days have in common, by pandas."""
    frame = pd.DataFrame(
        {
            "open": [tick.open if candles and tick.open is not None else tick.close for tick in ticks],
            "high": [tick.high if candles and tick.high is not None else tick.close for tick in ticks],
            "low": [tick.low if candles and tick.low is not None else tick.close for tick in ticks],
            "close": [tick.close for tick in ticks],
        }
    )
    opened, closed = float(frame["open"].iloc[0]), float(frame["close"].iloc[-1])
    return {
        "open": opened,
        "high": float(frame["high"].max()),
        "low": float(frame["low"].min()),
        "close": closed,
        "avg_close": mean(frame["close"].tolist()),
        "volume": total([tick.volume for tick in ticks]),
        "vwap": weighted(ticks),
        "volatility": deviation(frame["close"].tolist()),
        "change": closed - opened,
        "change_pct": percent(closed, opened),
        "trades": len(ticks),
    }


def grouped(symbols: Symbols, key: Callable[[Tick], object]) -> list[tuple[str, object, list[Tick]]]:
    groups: dict[tuple, list[Tick]] = {}
    for symbol, ticks in symbols.items():
        for tick in ticks:
            groups.setdefault((symbol, key(tick)), []).append(tick)
    return [(symbol, value, ticks) for (symbol, value), ticks in sorted(groups.items())]


def daily_summary(symbols: Symbols, p: Params) -> Rows:
    days = grouped(symbols, lambda tick: tick.date)
    return [{"symbol": symbol, "trade_date": day, **summary(ticks)} for symbol, day, ticks in days]


def bar_start(tick: Tick, seconds: float) -> int:
    length = round(seconds * MICROS)
    return BARS_FROM + (tick.ts - BARS_FROM) // length * length


def bars(symbols: Symbols, p: Params) -> Rows:
    found = grouped(symbols, lambda tick: bar_start(tick, p["interval"]))
    length = round(p["interval"] * MICROS)
    return [
        {"symbol": symbol, "bar_start": start, "bar_end": start + length, **summary(ticks, p["candles"])}
        for symbol, start, ticks in found
    ]


def trend_volatility(symbols: Symbols, p: Params) -> Rows:
    rows = []
    for symbol, ticks in symbols.items():
        closes = [tick.close for tick in ticks]
        windows = [closes[end - p["window"] : end] for end in range(p["window"], len(closes) + 1)]
        spreads = [spread for spread in map(deviation, windows) if spread is not None]
        top = max(map(mean, windows), default=None)
        rows.append({"symbol": symbol, "max_sma": top, "max_volatility": max(spreads, default=None), "ticks": len(ticks)})
    return rows


def since(symbols: Symbols, p: Params) -> Symbols:
    start = int((date.fromisoformat(p["since"]) - EPOCH.date()).days) * DAY
    recent = {symbol: [tick for tick in ticks if tick.ts >= start] for symbol, ticks in symbols.items()}
    return {symbol: ticks for symbol, ticks in recent.items() if ticks}


def latest(symbols: Symbols, p: Params) -> Rows:
    rows = []
    for symbol, ticks in since(symbols, p).items():
        tick, before = ticks[-1], ticks[-2].close if len(ticks) > 1 else None
        row = {"symbol": symbol, "ts": tick.ts, "close": tick.close, "volume": tick.volume, "prev_close": before}
        change = tick.close - before if before is not None else None
        rows.append(row | {"change": change, "change_pct": percent(tick.close, before)})
    return rows


def price_history(symbols: Symbols, p: Params) -> Rows:
    def answer(ticks: list[Tick], at: int) -> dict:
        tick, before = ticks[at], ticks[at - 1].close if at else None
        return {
            "open": tick.open,
            "high": tick.high,
            "low": tick.low,
            "volume": tick.volume,
            "change": tick.close - before if before is not None else None,
            "change_pct": percent(tick.close, before),
            "total_pct": percent(tick.close, ticks[0].close),
        }

    return each_row(symbols, answer)


def movers(symbols: Symbols, p: Params) -> Rows:
    rows = []
    for symbol, ticks in since(symbols, p).items():
        first, final = ticks[0].close, ticks[-1].close
        row = {"symbol": symbol, "first_close": first, "last_close": final, "change": final - first}
        volume = total([tick.volume for tick in ticks])
        rows.append(row | {"change_pct": percent(final, first), "volume": volume, "trades": len(ticks)})
    rows.sort(key=lambda row: (row["change_pct"] is None, -abs(row["change_pct"] or 0), row["symbol"]))
    return rows[: p["top"]]


def volatility_share(symbols: Symbols, p: Params) -> Rows:
    spreads = {symbol: deviation([tick.close for tick in ticks]) for symbol, ticks in symbols.items()}
    everything = total(list(spreads.values()))
    rows = []
    for symbol, ticks in symbols.items():
        spread, average = spreads[symbol], mean([tick.close for tick in ticks])
        relative = 100 * spread / average if spread is not None and average > 0 else None
        share = 100 * spread / everything if spread is not None and everything else None
        row = {"symbol": symbol, "volatility": spread, "relative_pct": relative, "share_pct": share}
        rows.append(row | {"trades": len(ticks)})
    return sorted(rows, key=lambda row: (row["share_pct"] is None, -round(row["share_pct"] or 0, 9), row["symbol"]))


def volume_by_symbol(symbols: Symbols, p: Params) -> Rows:
    volumes = {symbol: total([tick.volume for tick in ticks]) for symbol, ticks in symbols.items()}
    everything = total(list(volumes.values()))
    rows = []
    for symbol, ticks in symbols.items():
        present = [tick.volume for tick in ticks if tick.volume is not None]
        rows.append(
            {
                "symbol": symbol,
                "volume": volumes[symbol],
                "share_pct": 100 * volumes[symbol] / everything if present and everything else None,
                "turnover": total([tick.close * tick.volume for tick in ticks if tick.volume is not None]),
                "avg_volume": mean(present) if present else None,
                "trades": len(ticks),
                "unknown_volumes": len(ticks) - len(present),
            }
        )
    return sorted(rows, key=lambda row: (row["volume"] is None, -(row["volume"] or 0), row["symbol"]))


def correlation(symbols: Symbols, p: Params) -> Rows:
    returns: dict[str, dict] = {}
    for symbol, start, ticks in grouped(symbols, lambda tick: bar_start(tick, p["interval"])):
        returns.setdefault(symbol, {})[start] = ticks[-1].close
    for symbol, closes in returns.items():
        steps = list(closes.items())
        pairs = zip(steps, steps[1:])
        returns[symbol] = {(a, b): math.log(y / x) for (a, x), (b, y) in pairs if x > 0 and y > 0}
    rows = []
    names = sorted(returns)
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            common = [key for key in returns[one] if key in returns[other]]
            if len(common) < p["least_pairs"] or not common:
                continue
            x, y = ([returns[name][key] for key in common] for name in (one, other))
            moving = min(x) < max(x) and min(y) < max(y)
            together = float(pd.Series(x).corr(pd.Series(y))) if moving else None
            rows.append({"symbol_a": one, "symbol_b": other, "correlation": together, "pairs": len(common)})
    missing = lambda row: row["correlation"] is None
    return sorted(rows, key=lambda row: (missing(row), -round(row["correlation"] or 0, 9), row["symbol_a"], row["symbol_b"]))


def drawdown(symbols: Symbols, p: Params) -> Rows:
    rows = []
    for symbol, ticks in symbols.items():
        closes = pd.Series([tick.close for tick in ticks])
        peaks = closes.cummax()
        falls = (100 * (closes - peaks) / peaks).where(peaks > 0)
        if falls.isna().all():
            continue
        trough = int(falls.idxmin())
        peak = max((ticks[at].ts, at) for at in range(trough + 1) if ticks[at].close == peaks[trough])[1]
        rows.append(
            {
                "symbol": symbol,
                "max_drawdown_pct": float(falls[trough]),
                "peak_ts": ticks[peak].ts,
                "peak_close": ticks[peak].close,
                "trough_ts": ticks[trough].ts,
                "trough_close": ticks[trough].close,
                "current_drawdown_pct": None if pd.isna(falls.iloc[-1]) else float(falls.iloc[-1]),
            }
        )
    return sorted(rows, key=lambda row: (row["max_drawdown_pct"], row["symbol"]))


def gaps(symbols: Symbols, p: Params) -> Rows:
    newest = max((tick.ts for ticks in symbols.values() for tick in ticks), default=0)
    newest_day = max((tick.date for ticks in symbols.values() for tick in ticks), default=None)
    rows = []
    for symbol, ticks in symbols.items():
        for tick, after in zip(ticks, ticks[1:] + [None]):
            until, day = (after.ts, after.date) if after else (newest, newest_day)
            if until - tick.ts <= p["longer_than"] * MICROS or (not p["overnight"] and day != tick.date):
                continue
            row = {"symbol": symbol, "trade_date": tick.date, "silent_from": tick.ts}
            rows.append(
                row
                | {"silent_to": after.ts if after else None, "kind": "gap" if after else "silent", "newest": newest}
            )
    return rows


def late_ticks(symbols: Symbols, p: Params) -> Rows:
    newest: dict[tuple[str, int], int] = {}
    rows = []
    everything = [tick for ticks in symbols.values() for tick in ticks]
    for tick in sorted(everything, key=lambda tick: (tick.partition, tick.offset, tick.index)):
        place = (tick.symbol, tick.partition)
        before = newest.get(place)
        if before is not None and before > tick.ts + p["later_than"] * MICROS:
            row = {"symbol": tick.symbol, "ts": tick.ts, "newest_before": before, "close": tick.close}
            kafka = {"kafka_partition": tick.partition, "kafka_offset": tick.offset, "kafka_index": tick.index}
            times = {"kafka_ts": tick.kafka_ts or tick.ts, "ingested_at": tick.ingested_at or tick.ts}
            rows.append(row | kafka | times)
        newest[place] = max(tick.ts, before if before is not None else tick.ts)
    return rows


def symbols(symbols: Symbols, p: Params) -> Rows:
    return [
        {
            "symbol": symbol,
            "ticks": len(ticks),
            "trade_dates": len({tick.date for tick in ticks}),
            "first_ts": ticks[0].ts,
            "last_ts": ticks[-1].ts,
            "min_close": min(tick.close for tick in ticks),
            "max_close": max(tick.close for tick in ticks),
            "volumes": sum(tick.volume is not None for tick in ticks),
        }
        for symbol, ticks in symbols.items()
    ]
