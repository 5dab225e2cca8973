-- Which symbols moved most?
-- group summaries
--
-- param since time 1d How far to look back: a length of time ago, a date or a time
-- param top count 10 Symbols shown
--
-- column symbol string Instrument
-- column first_close double First close since then
-- column last_close double Last close
-- column change double last_close - first_close
-- column change_pct double Change in percent of first_close
-- column volume double Sum of the volumes
-- column trades bigint Number of ticks
--
-- warm-up none
--
-- edge Largest change in percent first, up or down; equal ones by symbol. Use --to for an end before now.
-- edge change_pct is NULL, and last in the list, unless first_close is positive. A symbol with one tick has not moved.
-- edge Unknown volumes count for nothing; volume is NULL when all are unknown.
-- edge First and last by (ts, kafka_partition, kafka_offset, kafka_index).
WITH numbered AS (
  SELECT
    symbol, close, volume,
    ROW_NUMBER() OVER (
      PARTITION BY symbol ORDER BY ts, kafka_partition, kafka_offset, kafka_index
    ) AS from_first,
    ROW_NUMBER() OVER (
      PARTITION BY symbol ORDER BY ts DESC, kafka_partition DESC, kafka_offset DESC, kafka_index DESC
    ) AS from_last
  FROM ticks
  WHERE ts >= $since
),
ends AS (
  SELECT
    symbol,
    MAX(CASE WHEN from_first = 1 THEN close END) AS first_close,
    MAX(CASE WHEN from_last = 1 THEN close END) AS last_close,
    SUM(volume) AS total_volume,
    COUNT(*) AS trades
  FROM numbered
  GROUP BY symbol
),
moves AS (
  SELECT
    symbol, first_close, last_close, total_volume, trades,
    CASE WHEN first_close > 0 THEN 100 * (last_close - first_close) / first_close END AS change_pct
  FROM ends
)
SELECT
  symbol, first_close, last_close,
  last_close - first_close AS change,
  change_pct,
  total_volume AS volume,
  trades
FROM moves
ORDER BY ABS(change_pct) DESC NULLS LAST, symbol
LIMIT $top
