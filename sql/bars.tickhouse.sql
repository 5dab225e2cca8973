-- Without windows, as in daily_summary.tickhouse.sql.
WITH binned AS (
  SELECT
    symbol, ts, kafka_partition, kafka_offset, kafka_index, trade_date, close, volume,
    CASE WHEN $candles THEN COALESCE(open, close) ELSE close END AS open_price,
    CASE WHEN $candles THEN COALESCE(high, close) ELSE close END AS high_price,
    CASE WHEN $candles THEN COALESCE(low, close) ELSE close END AS low_price,
    CAST(DATE_BIN($interval, ts, TIMESTAMP '2000-01-03 00:00:00+00:00') AS TIMESTAMP(6) WITH TIME ZONE) AS bar_start
  FROM ticks
),
bars AS (
  SELECT
    symbol, bar_start,
    FIRST_VALUE(open_price ORDER BY ts, kafka_partition, kafka_offset, kafka_index) AS bar_open,
    MAX(high_price) AS bar_high,
    MIN(low_price) AS bar_low,
    LAST_VALUE(close ORDER BY ts, kafka_partition, kafka_offset, kafka_index) AS bar_close,
    AVG(close) AS avg_close,
    SUM(volume) AS bar_volume,
    SUM(close * volume) AS turnover,
    CASE
      WHEN MIN(close) < MAX(close) THEN STDDEV_SAMP(close)
      WHEN COUNT(*) > 1 THEN 0e0
    END AS volatility,
    COUNT(*) AS trades
  FROM binned
  GROUP BY symbol, bar_start
  HAVING COUNT(CASE WHEN $range THEN 1 END) > 0
)
SELECT
  symbol, bar_start,
  bar_start + $interval AS bar_end,
  bar_open AS open,
  bar_high AS high,
  bar_low AS low,
  bar_close AS close,
  avg_close,
  bar_volume AS volume,
  turnover / NULLIF(bar_volume, 0) AS vwap,
  volatility,
  bar_close - bar_open AS change,
  CASE WHEN bar_open > 0 THEN 100 * (bar_close - bar_open) / bar_open END AS change_pct,
  trades
FROM bars
ORDER BY symbol, bar_start
