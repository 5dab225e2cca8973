-- Where is each close between its Bollinger bands?
-- group signals
--
-- param window count 20 Rows in the mean
-- param width double 2 Standard deviations from the mean to each band
--
-- column symbol string Instrument
-- column ts timestamp Event time
-- column close double Last price
-- column middle double Mean of the last $window closes of the symbol
-- column upper double middle + $width population standard deviations of these closes
-- column lower double middle - $width population standard deviations of these closes
-- column percent_b double 0 on the lower band, 1 on the upper one
-- column bandwidth double (upper - lower) / middle
--
-- warm-up $window rows
--
-- edge All is NULL until the window is full. TA-Lib's bands are the same.
-- edge Where the closes of a window are all equal, the bands are on the mean and percent_b is NULL; bandwidth is NULL where
-- edge the mean is 0.
-- edge Rows of a symbol follow each other by (ts, kafka_partition, kafka_offset, kafka_index).
WITH windows AS (
  SELECT
    symbol, ts, kafka_partition, kafka_offset, kafka_index, trade_date, close,
    CASE WHEN COUNT(close) OVER window_rows = $window THEN AVG(close) OVER window_rows END AS middle,
    CASE
      WHEN MIN(close) OVER window_rows < MAX(close) OVER window_rows THEN $width * STDDEV_POP(close) OVER window_rows
      ELSE 0e0
    END AS distance
  FROM ticks
  WINDOW window_rows AS (
    PARTITION BY symbol ORDER BY ts, kafka_partition, kafka_offset, kafka_index
    ROWS BETWEEN $window - 1 PRECEDING AND CURRENT ROW
  )
)
SELECT
  symbol, ts, close, middle,
  middle + distance AS upper,
  middle - distance AS lower,
  CASE WHEN middle IS NOT NULL THEN (close - middle + distance) / NULLIF(2 * distance, 0) END AS percent_b,
  2 * distance / NULLIF(middle, 0) AS bandwidth
FROM windows
WHERE $range
ORDER BY symbol, ts, kafka_partition, kafka_offset, kafka_index
