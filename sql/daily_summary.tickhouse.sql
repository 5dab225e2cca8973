-- Without windows: FIRST_VALUE and LAST_VALUE of a group, which not every engine has, need no sort.
WITH days AS (
  SELECT
    symbol, trade_date,
    FIRST_VALUE(COALESCE(open, close) ORDER BY ts, kafka_partition, kafka_offset, kafka_index) AS day_open,
    MAX(COALESCE(high, close)) AS day_high,
    MIN(COALESCE(low, close)) AS day_low,
    LAST_VALUE(close ORDER BY ts, kafka_partition, kafka_offset, kafka_index) AS day_close,
    AVG(close) AS avg_close,
    SUM(volume) AS day_volume,
    SUM(close * volume) AS turnover,
    CASE
      WHEN MIN(close) < MAX(close) THEN STDDEV_SAMP(close)
      WHEN COUNT(*) > 1 THEN 0e0
    END AS volatility,
    COUNT(*) AS trades
  FROM ticks
  GROUP BY symbol, trade_date
  HAVING COUNT(CASE WHEN $range THEN 1 END) > 0
)
SELECT
  symbol, trade_date,
  day_open AS open,
  day_high AS high,
  day_low AS low,
  day_close AS close,
  avg_close,
  day_volume AS volume,
  turnover / NULLIF(day_volume, 0) AS vwap,
  volatility,
  day_close - day_open AS change,
  CASE WHEN day_open > 0 THEN 100 * (day_close - day_open) / day_open END AS change_pct,
  trades
FROM days
ORDER BY symbol, trade_date
