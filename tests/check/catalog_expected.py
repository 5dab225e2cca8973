"""What the named queries must answer, computed from their definitions and without SQL.

Windows are computed anew for each row with exact sums (math.fsum); pandas and TA-Lib take the parts that they have.
"""

from __future__ import annotations

import math
from datetime import date
from typing import Callable, Sequence

import numpy as np
import pandas as pd
import talib

from catalog_series import DAY, EPOCH, MICROS, Tick

Rows = list[dict]
Symbols = dict[str, list[Tick]]
Params = dict[str, object]
#: Monday 2000-01-03 00:00 UTC, from which bars are counted.
BARS_FROM = 10_959 * DAY


def by_symbol(ticks: Sequence[Tick]) -> Symbols:
    symbols: Symbols = {}
    for tick in sorted(ticks, key=lambda tick: (tick.symbol, *tick.place)):
        symbols.setdefault(tick.symbol, []).append(tick)
    return symbols


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def deviation(values: Sequence[float], less: int = 1) -> float | None:
    """Standard deviation in two exact passes; of a sample unless less is 0."""
    if len(values) <= less:
        return None
    average = mean(values)
    if min(values) == max(values):
        return 0.0
    return math.sqrt(math.fsum((value - average) ** 2 for value in values) / (len(values) - less))


def last(values: Sequence, rows: int) -> Sequence | None:
    """The last values, once there are enough."""
    return values[len(values) - rows :] if len(values) >= rows else None


def known(values: Sequence | None) -> Sequence | None:
    return None if values is None or any(value is None for value in values) else values


def percent(value: float, base: float | None) -> float | None:
    return 100 * (value - base) / base if base is not None and base > 0 else None


def rises(ticks: list[Tick], at: int) -> bool:
    if at == 0 or ticks[at].volume is None or ticks[at - 1].volume is None:
        return False
    return ticks[at].volume > ticks[at - 1].volume


def weighted(ticks: Sequence[Tick]) -> float | None:
    traded = [tick for tick in ticks if tick.volume is not None]
    volume = math.fsum(tick.volume for tick in traded)
    return math.fsum(tick.close * tick.volume for tick in traded) / volume if volume > 0 else None


def total(values: Sequence[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return math.fsum(present) if present else None


def each_row(symbols: Symbols, answer: Callable[[list[Tick], int], dict | None]) -> Rows:
    rows = []
    for symbol, ticks in symbols.items():
        for at, tick in enumerate(ticks):
            found = answer(ticks, at)
            if found is not None:
                rows.append({"symbol": symbol, "ts": tick.ts, "close": tick.close, **found})
    return rows


def sma_crossover(symbols: Symbols, p: Params) -> Rows:
    sides: dict[str, int] = {}

    def answer(ticks: list[Tick], at: int) -> dict:
        closes = [tick.close for tick in ticks[: at + 1]]
        fast, slow = (None if rows is None else mean(rows) for rows in (last(closes, p["fast"]), last(closes, p["slow"])))
        side = 0
        if fast is not None and slow is not None and abs(fast - slow) > 1e-9 * abs(slow):
            side = 1 if fast > slow else -1
        symbol, confirmed = ticks[at].symbol, rises(ticks, at)
        before = sides.get(symbol, 0)
        event = {(-1, 1): "golden", (1, -1): "death"}.get((before, side))
        sides[symbol] = side or before
        return {
            "volume": ticks[at].volume,
            "prev_volume": ticks[at - 1].volume if at else None,
            "sma_fast": fast,
            "sma_slow": slow,
            "signal": {1: "Buy", -1: "Sell"}.get(side, "Hold") if confirmed else "Hold",
            "cross_event": event,
            "confirmed": confirmed,
        }

    return each_row(symbols, answer)


def sma_crossover_partial(symbols: Symbols, p: Params) -> Rows:
    rows = []
    for symbol, ticks in symbols.items():
        closes = pd.Series([tick.close for tick in ticks])
        for at in reversed(range(len(ticks))):
            fast = mean(closes[max(0, at + 1 - p["fast"]) : at + 1].tolist())
            slow = mean(closes[max(0, at + 1 - p["slow"]) : at + 1].tolist())
            side = "Buy" if fast > slow else "Sell"
            equal = abs(fast - slow) <= 1e-12 * abs(slow)
            rows.append(
                {
                    "symbol": symbol,
                    "ts": ticks[at].ts,
                    "close": ticks[at].close,
                    "volume": ticks[at].volume,
                    "prev_volume": ticks[at - 1].volume if at else None,
                    "sma_fast": Rounded(fast),
                    "sma_slow": Rounded(slow),
                    # Which of two equal means is larger is up to the last binary digit, except in the same window.
                    "signal": "Hold" if not rises(ticks, at) or at < p["fast"] else Any() if equal else side,
                }
            )
    return rows


class Any:
    """Equal to everything."""


class Rounded(float):
    """Equal to what it is with two decimals, halves up or down."""


def moving_averages(symbols: Symbols, p: Params) -> Rows:
    def answer(ticks: list[Tick], at: int) -> dict:
        closes = [tick.close for tick in ticks[: at + 1]]
        volumes = [tick.volume for tick in ticks[: at + 1]]
        found: dict = {"volume": ticks[at].volume}
        for rows in (5, 10, 20):
            window = last(closes, rows)
            found[f"ma_{rows}"] = mean(window) if window else None
        for rows in (5, 10):
            window = known(last(volumes, rows))
            found[f"volume_avg_{rows}"] = mean(window) if window else None
        return found

    return each_row(symbols, answer)


def volume_confirmation(symbols: Symbols, p: Params) -> Rows:
    def answer(ticks: list[Tick], at: int) -> dict:
        tick, before = ticks[at], ticks[at - 1] if at else None
        window = known(last([tick.volume for tick in ticks[: at + 1]], p["window"]))
        average = mean(window) if window else None
        moved = 0 if before is None else (tick.close > before.close) - (tick.close < before.close)
        return {
            "change_pct": percent(tick.close, before.close if before else None),
            "volume": tick.volume,
            "prev_volume": before.volume if before else None,
            "volume_avg": average,
            "volume_ratio": tick.volume / average if average else None,
            "move": ("Down", "Flat", "Up")[moved + 1],
            "confirmed": moved != 0 and rises(ticks, at),
        }

    return each_row(symbols, answer)


def log_return(ticks: list[Tick], at: int) -> float | None:
    if at == 0 or ticks[at].close <= 0 or ticks[at - 1].close <= 0:
        return None
    return math.log(ticks[at].close / ticks[at - 1].close)


def volatility(symbols: Symbols, p: Params) -> Rows:
    def answer(ticks: list[Tick], at: int) -> dict:
        rows = range(max(0, at + 1 - p["window"]), at + 1)
        closes = last([ticks[row].close for row in rows], p["window"])
        returns = known(last([log_return(ticks, row) for row in rows], p["window"]))
        realized = deviation(returns) if returns else None
        return {
            "log_return": log_return(ticks, at),
            "volatility": deviation(closes) if closes else None,
            "realized_volatility": None if realized is None else realized * math.sqrt(p["periods_per_year"]),
        }

    return each_row(symbols, answer)


def zscore_anomalies(symbols: Symbols, p: Params) -> Rows:
    def answer(ticks: list[Tick], at: int) -> dict | None:
        closes = [tick.close for tick in ticks[: at + 1 if p["include_current"] else at]]
        window = last(closes, p["window"])
        spread = deviation(window) if window else None
        if not spread:
            return None
        zscore = (ticks[at].close - mean(window)) / spread
        if abs(zscore) <= p["threshold"] * (1 + 1e-9):
            return None
        return {"mean": mean(window), "deviation": spread, "zscore": zscore, "direction": "High" if zscore > 0 else "Low"}

    return each_row(symbols, answer)


def price_alerts(symbols: Symbols, p: Params) -> Rows:
    def answer(ticks: list[Tick], at: int) -> dict | None:
        before = ticks[at - 1].close if at else None
        change = percent(ticks[at].close, before)
        if change is None or abs(change) < p["threshold"] * (1 - 1e-9):
            return None
        direction = "Up" if change > 0 else "Down" if change < 0 else "Flat"
        change_by = ticks[at].close - before
        return {"prev_close": before, "change": change_by, "change_pct": change, "direction": direction}

    return each_row(symbols, answer)


def bollinger(symbols: Symbols, p: Params) -> Rows:
    def answer(ticks: list[Tick], at: int) -> dict:
        window = last([tick.close for tick in ticks[: at + 1]], p["window"])
        if window is None:
            return dict.fromkeys(("middle", "upper", "lower", "percent_b", "bandwidth"))
        middle, distance = mean(window), p["width"] * deviation(window, 0)
        return {
            "middle": middle,
            "upper": middle + distance,
            "lower": middle - distance,
            "percent_b": (ticks[at].close - middle + distance) / (2 * distance) if distance else None,
            "bandwidth": 2 * distance / middle if middle else None,
        }

    return each_row(symbols, answer)


def obv(symbols: Symbols, p: Params) -> Rows:
    flows = {}
    for symbol, ticks in symbols.items():
        volumes = np.array([tick.volume or 0.0 for tick in ticks])
        flows[symbol] = talib.OBV(np.array([tick.close for tick in ticks]), volumes)
    return each_row(symbols, lambda ticks, at: {"volume": ticks[at].volume, "obv": float(flows[ticks[at].symbol][at])})


def vwap(symbols: Symbols, p: Params) -> Rows:
    def answer(ticks: list[Tick], at: int) -> dict:
        session = [tick for tick in ticks[: at + 1] if tick.date == ticks[at].date]
        return {"trade_date": ticks[at].date, "volume": ticks[at].volume, "vwap": weighted(session)}

    return each_row(symbols, answer)


def vwap_rolling(symbols: Symbols, p: Params) -> Rows:
    def answer(ticks: list[Tick], at: int) -> dict:
        window = last(ticks[: at + 1], p["window"])
        average = weighted(window) if window else None
        return {"volume": ticks[at].volume, "vwap": average, "distance_pct": percent(ticks[at].close, average)}

    return each_row(symbols, answer)


def summary(ticks: list[Tick]) -> dict:
    """What bars and days have in common, by pandas."""
    frame = pd.DataFrame(
        {
            "open": [tick.close if tick.open is None else tick.open for tick in ticks],
            "high": [tick.close if tick.high is None else tick.high for tick in ticks],
            "low": [tick.close if tick.low is None else tick.low for tick in ticks],
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
    return [{"symbol": s, "bar_start": start, "bar_end": start + length, **summary(ticks)} for s, start, ticks in found]


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


def descending(rows: Rows, column: str) -> Rows:
    return sorted(rows, key=lambda row: (row[column] is None, -(row[column] or 0), row["symbol"]))


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
    return descending(rows, "volatility")


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
    return descending(rows, "volume")


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
    newest_day = (newest // DAY) * DAY
    rows = []
    for symbol, ticks in symbols.items():
        for tick, after in zip(ticks, ticks[1:] + [None]):
            until, day = (after.ts, after.ts // DAY * DAY) if after else (newest, newest_day)
            if until - tick.ts <= p["longer_than"] * MICROS or (not p["overnight"] and day != tick.ts // DAY * DAY):
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
            rows.append(row | kafka | {"kafka_ts": tick.ts, "ingested_at": tick.ts})
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


#: Each query with its defaults and the sets of parameters it is asked with.
CASES: list[tuple[Callable[[Symbols, Params], Rows], Params, list[Params]]] = [
    (sma_crossover, {"fast": 9, "slow": 21}, [{}, {"fast": 2, "slow": 5}, {"fast": 50, "slow": 200}]),
    (sma_crossover_partial, {"fast": 9, "slow": 21}, [{}]),
    (moving_averages, {}, [{}]),
    (volume_confirmation, {"window": 10}, [{}, {"window": 3}]),
    (volatility, {"window": 10, "periods_per_year": 252.0}, [{}, {"window": 2}, {"window": 1}]),
    (
        zscore_anomalies,
        {"window": 20, "threshold": 2.0, "include_current": False},
        [{}, {"threshold": -1.0}, {"window": 5, "include_current": True, "threshold": 1.5}],
    ),
    (price_alerts, {"threshold": 1.0}, [{}, {"threshold": 0.0}]),
    (bollinger, {"window": 20, "width": 2.0}, [{}, {"window": 1}, {"window": 5, "width": 1.5}]),
    (obv, {}, [{}]),
    (vwap, {}, [{}]),
    (vwap_rolling, {"window": 20}, [{}, {"window": 3}]),
    (daily_summary, {}, [{}]),
    (bars, {"interval": 300.0}, [{}, {"interval": 1.0}, {"interval": 420.0}, {"interval": 604800.0}]),
    (trend_volatility, {"window": 10}, [{}, {"window": 1}]),
    (latest, {"since": "2026-01-06"}, [{}, {"since": "2026-01-01"}]),
    (price_history, {}, [{}]),
    (movers, {"since": "2026-01-06", "top": 10}, [{}, {"since": "2026-01-01", "top": 2}]),
    (volatility_share, {}, [{}]),
    (volume_by_symbol, {}, [{}]),
    (correlation, {"interval": 60.0, "least_pairs": 10}, [{}, {"interval": 3600.0, "least_pairs": 2}]),
    (drawdown, {}, [{}]),
    (gaps, {"longer_than": 300.0, "overnight": False}, [{}, {"overnight": True}, {"longer_than": 1.0}]),
    (late_ticks, {"later_than": 0.0}, [{}, {"later_than": 60.0}]),
    (symbols, {}, [{}]),
]
