-- What was the average price paid over the last rows of a symbol, weighted by volume?
-- group signals
--
-- param window count 20 Rows in the average
--
-- column symbol string Instrument
-- column ts timestamp Event time
-- column close double Last price
-- column volume double Traded volume
-- column vwap double Sum of close * volume through sum of volume over the last $window rows
-- column distance_pct double Percent by which close is above vwap
--
-- warm-up $window rows
--
-- edge vwap is NULL until the window is full; unknown volumes in it count for nothing, and it is NULL where none is above 0.
-- edge distance_pct is NULL unless vwap is positive.
-- edge Rows of a symbol follow each other by (ts, kafka_partition, kafka_offset, kafka_index).
WITH windows AS (
  SELECT
    symbol, ts, kafka_partition, kafka_offset, kafka_index, trade_date, close, volume,
    CASE
      WHEN COUNT(close) OVER window_rows = $window AND MAX(volume) OVER window_rows > 0
        THEN SUM(close * volume) OVER window_rows / NULLIF(SUM(volume) OVER window_rows, 0)
    END AS vwap
  FROM ticks
  WINDOW window_rows AS (
    PARTITION BY symbol ORDER BY ts, kafka_partition, kafka_offset, kafka_index
    ROWS BETWEEN $window - 1 PRECEDING AND CURRENT ROW
  )
)
SELECT
  symbol, ts, close, volume, vwap,
  CASE WHEN vwap > 0 THEN 100 * (close - vwap) / vwap END AS distance_pct
FROM windows
WHERE $range
ORDER BY symbol, ts, kafka_partition, kafka_offset, kafka_index
