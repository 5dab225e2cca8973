-- How far does each symbol move in a row (average true range)?
-- group signals
--
-- param window count 14 Ranges that the mean begins with, and Wilder's n
-- param candles boolean true Take high and low of the ticks; false takes closes alone
--
-- column symbol string Instrument
-- column ts timestamp Event time
-- column close double Last price
-- column atr double Wilder's mean of the true ranges: high less low, or from the close before to the farther of both
-- column atr_pct double atr as percent of the close
--
-- warm-up 50 * $window rows
--
-- edge This engine only: atr is a window function of tickhouse.
-- edge Where a tick has no high or no low, its close stands for it: of closes alone, a range is the move from one to the
-- edge next. High and low of many feeds are those of the day so far: take candles=false there, or all ranges are a day's.
-- edge atr is NULL until $window ranges are known; the first row of a symbol has none. TA-Lib's is the same.
-- edge A price that is no finite number has no range and leaves no trace in later ones.
-- edge atr_pct is NULL unless the close is positive.
-- edge Rows of a symbol follow each other by (ts, kafka_partition, kafka_offset, kafka_index).
WITH ranges AS (
  SELECT
    symbol, ts, kafka_partition, kafka_offset, kafka_index, trade_date, close,
    atr(
      CASE WHEN $candles THEN COALESCE(high, close) ELSE close END,
      CASE WHEN $candles THEN COALESCE(low, close) ELSE close END,
      close, $window
    ) OVER (
      PARTITION BY symbol ORDER BY ts, kafka_partition, kafka_offset, kafka_index
    ) AS atr
  FROM ticks
)
SELECT
  symbol, ts, close, atr,
  CASE WHEN close > 0 THEN 100 * atr / close END AS atr_pct
FROM ranges
WHERE $range
ORDER BY symbol, ts, kafka_partition, kafka_offset, kafka_index
