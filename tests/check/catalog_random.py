"""Random parameters for the named queries: any value that the header allows, and often one at an edge."""

from __future__ import annotations

import random
from typing import Callable

from catalog_signals import Params


def count(dice: random.Random) -> int:
    """A number of rows: more than there are, too."""
    return dice.choice([1, 2, 3, dice.randint(1, 40), dice.randint(1, 40), dice.randint(40, 500)])


def seconds(dice: random.Random) -> float:
    return float(dice.choice([1, 60, 420, 86_400, dice.randint(1, 90), dice.randint(90, 10_000), 7 * 86_400]))


def day(dice: random.Random) -> str:
    """Before, within and behind the series, which begin with 2026-01-05."""
    return f"2026-01-{dice.randint(1, 12):02}"


def ordered(dice: random.Random) -> Params:
    """TA-Lib takes no fewer than 2; what a partial fast window longer than the slow one means is not defined."""
    fast = dice.randint(2, 60)
    return {"fast": fast, "slow": fast + dice.randint(1, 60)}


def any_two(dice: random.Random) -> Params:
    return {"fast": count(dice), "slow": count(dice)}


def window(dice: random.Random) -> Params:
    return {"window": count(dice)}


#: One set of parameters of each query that has any.
RANDOM: dict[str, Callable[[random.Random], Params]] = {
    "sma_crossover": any_two,
    "sma_crossover_partial": ordered,
    "volume_confirmation": window,
    "volatility": lambda dice: window(dice) | {"periods_per_year": round(dice.uniform(0.5, 9e6), 3)},
    "zscore_anomalies": lambda dice: window(dice)
    | {"threshold": round(dice.uniform(-1, 4), 3), "include_current": dice.random() < 0.5},
    "price_alerts": lambda dice: {"threshold": round(dice.uniform(0, 5), 4)},
    "bollinger": lambda dice: window(dice) | {"width": round(dice.uniform(0.1, 4), 3)},
    "ema": any_two,
    "rsi": lambda dice: {"window": max(count(dice), 2)}
    | {"overbought": round(dice.uniform(50, 101), 2), "oversold": round(dice.uniform(-1, 50), 2)},
    "macd": lambda dice: ordered(dice) | {"signal": dice.randint(1, 60)},
    "atr": lambda dice: window(dice) | {"candles": dice.random() < 0.5},
    "vwap_rolling": window,
    "bars": lambda dice: {"interval": seconds(dice), "candles": dice.random() < 0.5},
    "trend_volatility": window,
    "latest": lambda dice: {"since": day(dice)},
    "movers": lambda dice: {"since": day(dice), "top": dice.choice([1, 2, dice.randint(1, 40)])},
    "correlation": lambda dice: {"interval": seconds(dice), "least_pairs": count(dice)},
    "gaps": lambda dice: {"longer_than": seconds(dice), "overnight": dice.random() < 0.5},
    "late_ticks": lambda dice: {"later_than": float(dice.choice([0, 1, 60, dice.randint(0, 200)]))},
}


def random_sets(name: str, series: str, seed: int, number: int) -> list[Params]:
    """The same for the same query, series and seed; none for a query without parameters."""
    make = RANDOM.get(name)
    if make is None:
        return []
    return [make(random.Random(f"{seed}:{series}:{name}:{at}")) for at in range(number)]
