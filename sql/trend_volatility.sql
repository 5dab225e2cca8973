-- How high did the moving average of each symbol get, and how high its volatility?
-- group summaries
--
-- param window count 10 Rows in average and deviation
--
-- column symbol string Instrument
-- column max_sma double Largest mean of $window closes in a row
-- column max_volatility double Largest sample standard deviation of $window closes in a row, in units of price
-- column ticks bigint Number of ticks
--
-- warm-up $window rows
--
-- edge A symbol with fewer rows than $window has NULL in both; one whose closes never move has a volatility of 0.
-- edge max_volatility is NULL for a window of one row.
-- edge Rows of a symbol follow each other by (ts, kafka_partition, kafka_offset, kafka_index).
WITH windows AS (
  SELECT
    symbol, ts, trade_date,
    COUNT(close) OVER window_rows AS known,
    AVG(close) OVER window_rows AS mean,
    CASE
      WHEN MIN(close) OVER window_rows < MAX(close) OVER window_rows THEN STDDEV_SAMP(close) OVER window_rows
      WHEN $window > 1 THEN 0e0
    END AS deviation
  FROM ticks
  WINDOW window_rows AS (
    PARTITION BY symbol ORDER BY ts, kafka_partition, kafka_offset, kafka_index
    ROWS BETWEEN $window - 1 PRECEDING AND CURRENT ROW
  )
)
SELECT
  symbol,
  MAX(CASE WHEN known = $window THEN mean END) AS max_sma,
  MAX(CASE WHEN known = $window THEN deviation END) AS max_volatility,
  COUNT(*) AS ticks
FROM windows
WHERE $range
GROUP BY symbol
ORDER BY symbol
