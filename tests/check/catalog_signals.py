"""What the named signals must answer, computed from their definitions and without SQL.

Windows are computed anew for each row with exact sums (math.fsum); pandas and TA-Lib take the parts that they have.
"""

from __future__ import annotations

import math
from typing import Callable, Sequence

import numpy as np
import pandas as pd
import talib

from catalog_series import Tick

Rows = list[dict]
Symbols = dict[str, list[Tick]]
Params = dict[str, object]


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


def lines(found: np.ndarray | tuple[np.ndarray, ...]) -> list[list[float | None]]:
    """What TA-Lib answers, NULL where it has NaN."""
    return [[None if math.isnan(value) else float(value) for value in line] for line in np.atleast_2d(found)]


def closes_of(ticks: Sequence[Tick]) -> np.ndarray:
    return np.array([tick.close for tick in ticks])


def by_row(symbols: Symbols, answer: Callable[[list[Tick]], dict[str, list]]) -> Rows:
    """Rows of columns that are computed for all of a symbol at once."""
    columns = {symbol: answer(ticks) for symbol, ticks in symbols.items()}
    of = lambda ticks, at: {name: column[at] for name, column in columns[ticks[at].symbol].items()}
    return each_row(symbols, of)


def ema(symbols: Symbols, p: Params) -> Rows:
    def answer(ticks: list[Tick]) -> dict[str, list]:
        means = {name: lines(talib.EMA(closes_of(ticks), p[name]))[0] for name in ("fast", "slow")}
        return {f"ema_{name}": mean for name, mean in means.items()}

    return by_row(symbols, answer)


def strengths(values: np.ndarray, rows: int) -> list[float | None]:
    """TA-Lib's, which is 0 until the first move, where none is defined."""
    still = np.concatenate([[0], np.cumsum(np.diff(values) != 0)]) == 0
    return [None if unmoved else strength for strength, unmoved in zip(lines(talib.RSI(values, rows))[0], still)]


def rsi(symbols: Symbols, p: Params) -> Rows:
    def state(strength: float | None) -> str | None:
        if strength is None:
            return None
        apart = lambda bound: abs(strength - bound) > 1e-9 * abs(bound)
        if strength > p["overbought"] and apart(p["overbought"]):
            return "Overbought"
        return "Oversold" if strength < p["oversold"] and apart(p["oversold"]) else "Neutral"

    def answer(ticks: list[Tick]) -> dict[str, list]:
        found = strengths(closes_of(ticks), p["window"])
        return {"rsi": found, "state": [state(strength) for strength in found]}

    return by_row(symbols, answer)


def macd(symbols: Symbols, p: Params) -> Rows:
    def answer(ticks: list[Tick]) -> dict[str, list]:
        found = lines(talib.MACD(closes_of(ticks), p["fast"], p["slow"], p["signal"]))
        return dict(zip(("macd", "macd_signal", "macd_histogram"), found))

    return by_row(symbols, answer)


def atr(symbols: Symbols, p: Params) -> Rows:
    def answer(ticks: list[Tick]) -> dict[str, list]:
        closes = closes_of(ticks)
        of = lambda prices: np.array([c if v is None or not p["candles"] else v for v, c in zip(prices, closes)])
        high, low = of([tick.high for tick in ticks]), of([tick.low for tick in ticks])
        found = lines(talib.ATR(high, low, closes, p["window"]))[0]
        parts = [100 * a / t.close if a is not None and t.close > 0 else None for a, t in zip(found, ticks)]
        return {"atr": found, "atr_pct": parts}

    return by_row(symbols, answer)


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
