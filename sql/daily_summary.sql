-- What did each symbol do on each trade date?
-- group summaries
--
-- column symbol string Instrument
-- column trade_date date Date in the market's zone
-- column open double First open of the day, or the first close where the ticks carry no open
-- column high double Highest high or close
-- column low double Lowest low or close
-- column close double Last close
-- column avg_close double Mean of the closes
-- column volume double Sum of the volumes
-- column vwap double Mean of the closes weighted by volume
-- column volatility double Sample standard deviation of the closes
-- column change double close - open
-- column change_pct double Change in percent of open
-- column trades bigint Number of ticks
--
-- warm-up day
--
-- edge A day of which a tick lies between --from and --to is shown whole; --cold cuts it there.
-- edge First and last by (ts, kafka_partition, kafka_offset, kafka_index).
-- edge Unknown volumes count for nothing; volume is NULL when all are unknown, vwap also when their sum is zero.
-- edge volatility is NULL for a single tick; change_pct is NULL unless open is positive.
WITH numbered AS (
  SELECT
    symbol, ts, trade_date, close, volume,
    COALESCE(open, close) AS open_price,
    COALESCE(high, close) AS high_price,
    COALESCE(low, close) AS low_price,
    ROW_NUMBER() OVER (
      PARTITION BY symbol, trade_date ORDER BY ts, kafka_partition, kafka_offset, kafka_index
    ) AS from_first,
    ROW_NUMBER() OVER (
      PARTITION BY symbol, trade_date ORDER BY ts DESC, kafka_partition DESC, kafka_offset DESC, kafka_index DESC
    ) AS from_last
  FROM ticks
),
days AS (
  SELECT
    symbol, trade_date,
    MAX(CASE WHEN from_first = 1 THEN open_price END) AS day_open,
    MAX(high_price) AS day_high,
    MIN(low_price) AS day_low,
    MAX(CASE WHEN from_last = 1 THEN close END) AS day_close,
    AVG(close) AS avg_close,
    SUM(volume) AS day_volume,
    SUM(close * volume) AS turnover,
    CASE
      WHEN MIN(close) < MAX(close) THEN STDDEV_SAMP(close)
      WHEN COUNT(*) > 1 THEN 0e0
    END AS volatility,
    COUNT(*) AS trades
  FROM numbered
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
