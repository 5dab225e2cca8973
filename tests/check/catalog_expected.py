"""Every named query with what computes its answer, its defaults, and the parameters that it is asked with."""

from __future__ import annotations

from typing import Callable

import catalog_signals as signals
import catalog_summaries as summaries
from catalog_signals import Params, Rows, Symbols

#: Each query with its defaults and the sets of parameters it is asked with.
CASES: list[tuple[Callable[[Symbols, Params], Rows], Params, list[Params]]] = [
    (signals.sma_crossover, {"fast": 9, "slow": 21}, [{}, {"fast": 2, "slow": 5}, {"fast": 50, "slow": 200}]),
    (signals.sma_crossover_partial, {"fast": 9, "slow": 21}, [{}]),
    (signals.moving_averages, {}, [{}]),
    (signals.volume_confirmation, {"window": 10}, [{}, {"window": 3}]),
    (signals.volatility, {"window": 10, "periods_per_year": 252.0}, [{}, {"window": 2}, {"window": 1}]),
    (
        signals.zscore_anomalies,
        {"window": 20, "threshold": 2.0, "include_current": False},
        [{}, {"threshold": -1.0}, {"window": 5, "include_current": True, "threshold": 1.5}],
    ),
    (signals.price_alerts, {"threshold": 1.0}, [{}, {"threshold": 0.0}]),
    (signals.bollinger, {"window": 20, "width": 2.0}, [{}, {"window": 1}, {"window": 5, "width": 1.5}]),
    (signals.obv, {}, [{}]),
    (signals.ema, {"fast": 12, "slow": 26}, [{}, {"fast": 1, "slow": 200}]),
    (signals.rsi, {"window": 14, "overbought": 70.0, "oversold": 30.0}, [{}, {"window": 2, "overbought": 50.0, "oversold": 50.0}]),
    (signals.macd, {"fast": 12, "slow": 26, "signal": 9}, [{}, {"fast": 2, "slow": 3, "signal": 1}]),
    (signals.atr, {"window": 14, "candles": True}, [{}, {"window": 1}, {"window": 3, "candles": False}]),
    (signals.vwap, {}, [{}]),
    (signals.vwap_rolling, {"window": 20}, [{}, {"window": 3}]),
    (summaries.daily_summary, {}, [{}]),
    (
        summaries.bars,
        {"interval": 300.0, "candles": False},
        [{}, {"interval": 1.0}, {"interval": 420.0, "candles": True}, {"interval": 604800.0}],
    ),
    (summaries.trend_volatility, {"window": 10}, [{}, {"window": 1}]),
    (summaries.latest, {"since": "2026-01-06"}, [{}, {"since": "2026-01-01"}]),
    (summaries.price_history, {}, [{}]),
    (summaries.movers, {"since": "2026-01-06", "top": 10}, [{}, {"since": "2026-01-01", "top": 2}]),
    (summaries.volatility_share, {}, [{}]),
    (summaries.volume_by_symbol, {}, [{}]),
    (summaries.correlation, {"interval": 60.0, "least_pairs": 10}, [{}, {"interval": 3600.0, "least_pairs": 2}]),
    (summaries.drawdown, {}, [{}]),
    (summaries.gaps, {"longer_than": 300.0, "overnight": False}, [{}, {"overnight": True}, {"longer_than": 1.0}]),
    (summaries.late_ticks, {"later_than": 0.0}, [{}, {"later_than": 60.0}]),
    (summaries.symbols, {}, [{}]),
]
#: Queries that call window functions of tickhouse, which no other engine has.
OURS = ("ema", "rsi", "macd", "atr")
