-- How far did each symbol fall from a peak?
-- group summaries
--
-- column symbol string Instrument
-- column max_drawdown_pct double Largest fall from the highest close before it, in percent of that: 0 or negative
-- column peak_ts timestamp When the close was last at that peak
-- column peak_close double Close there
-- column trough_ts timestamp When it was lowest after the peak; the first time if several are equal
-- column trough_close double Close there
-- column current_drawdown_pct double Where the last close is below the highest of all, in percent of that
--
-- warm-up none
--
-- edge A symbol that never falls has 0, and the peak is its first row.
-- edge Percentages of a peak that is not positive are NULL; a symbol that has no other peak is not shown.
-- edge Rows of a symbol follow each other by (ts, kafka_partition, kafka_offset, kafka_index).
WITH peaks AS (
  SELECT
    symbol, ts, kafka_partition, kafka_offset, kafka_index, close,
    MAX(close) OVER (
      PARTITION BY symbol ORDER BY ts, kafka_partition, kafka_offset, kafka_index
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS peak
  FROM ticks
),
falls AS (
  SELECT
    symbol, ts, kafka_partition, kafka_offset, kafka_index, close, peak,
    CASE WHEN peak > 0 THEN 100 * (close - peak) / peak END AS fall,
    MAX(CASE WHEN close = peak THEN ts END) OVER (
      PARTITION BY symbol ORDER BY ts, kafka_partition, kafka_offset, kafka_index
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS at_peak
  FROM peaks
),
ranked AS (
  SELECT
    symbol, ts, close, peak, fall, at_peak,
    ROW_NUMBER() OVER (
      PARTITION BY symbol ORDER BY fall NULLS LAST, ts, kafka_partition, kafka_offset, kafka_index
    ) AS from_deepest,
    ROW_NUMBER() OVER (
      PARTITION BY symbol ORDER BY ts DESC, kafka_partition DESC, kafka_offset DESC, kafka_index DESC
    ) AS from_last
  FROM falls
)
SELECT
  symbol,
  MAX(CASE WHEN from_deepest = 1 THEN fall END) AS max_drawdown_pct,
  MAX(CASE WHEN from_deepest = 1 THEN at_peak END) AS peak_ts,
  MAX(CASE WHEN from_deepest = 1 THEN peak END) AS peak_close,
  MAX(CASE WHEN from_deepest = 1 THEN ts END) AS trough_ts,
  MAX(CASE WHEN from_deepest = 1 THEN close END) AS trough_close,
  MAX(CASE WHEN from_last = 1 THEN fall END) AS current_drawdown_pct
FROM ranked
GROUP BY symbol
HAVING COUNT(fall) > 0
ORDER BY max_drawdown_pct, symbol
