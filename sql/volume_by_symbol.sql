-- How much of each symbol was traded?
-- group summaries
--
-- column symbol string Instrument
-- column volume double Sum of the volumes
-- column share_pct double volume in percent of the sum over all symbols
-- column turnover double Sum of close * volume
-- column avg_volume double Mean of the known volumes
-- column trades bigint Number of ticks
-- column unknown_volumes bigint Ticks without a volume
--
-- warm-up none
--
-- edge Unknown volumes count for nothing; a symbol that has no others has NULL, and is last.
-- edge share_pct is NULL where nothing at all was traded.
-- edge Largest volume first, equal ones by symbol.
WITH sums AS (
  SELECT
    symbol,
    SUM(volume) AS total_volume,
    SUM(close * volume) AS turnover,
    AVG(volume) AS avg_volume,
    COUNT(*) AS trades,
    COUNT(*) - COUNT(volume) AS unknown_volumes
  FROM ticks
  GROUP BY symbol
)
SELECT
  symbol,
  total_volume AS volume,
  100 * total_volume / NULLIF(SUM(total_volume) OVER (), 0) AS share_pct,
  turnover, avg_volume, trades, unknown_volumes
FROM sums
ORDER BY total_volume DESC NULLS LAST, symbol
