-- Which part of all volatility is each symbol's?
-- group summaries
--
-- column symbol string Instrument
-- column volatility double Sample standard deviation of the closes, in units of price
-- column relative_pct double volatility in percent of the mean close, which compares symbols of different prices
-- column share_pct double volatility in percent of the sum over all symbols
-- column trades bigint Number of ticks
--
-- warm-up none
--
-- edge A symbol with a single tick has no volatility and no part; share_pct is NULL for all when no symbol moves.
-- edge relative_pct is NULL unless the mean close is positive.
-- edge Largest part first; those that are equal to nine decimals by symbol.
WITH deviations AS (
  SELECT
    symbol,
    CASE
      WHEN MIN(close) < MAX(close) THEN STDDEV_SAMP(close)
      WHEN COUNT(*) > 1 THEN 0e0
    END AS volatility,
    AVG(close) AS avg_close,
    COUNT(*) AS trades
  FROM ticks
  GROUP BY symbol
),
shares AS (
  SELECT
    symbol, volatility,
    CASE WHEN avg_close > 0 THEN 100 * volatility / avg_close END AS relative_pct,
    100 * volatility / NULLIF(SUM(volatility) OVER (), 0) AS share_pct,
    trades
  FROM deviations
)
SELECT symbol, volatility, relative_pct, share_pct, trades
FROM shares
ORDER BY ROUND(share_pct, 9) DESC NULLS LAST, symbol
