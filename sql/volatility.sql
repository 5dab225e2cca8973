-- How much does each symbol move, in price and in return?
-- group signals
--
-- param window count 10 Closes, or returns, in each deviation
-- param periods_per_year double 252 Rows of a symbol in a year: 252 for daily ones
--
-- column symbol string Instrument
-- column ts timestamp Event time
-- column close double Last price
-- column log_return double Natural logarithm of close / previous close
-- column volatility double Sample standard deviation of the last $window closes, in units of price
-- column realized_volatility double Sample standard deviation of the last $window log returns, times the square root of $periods_per_year
--
-- warm-up $window + 1 rows
--
-- edge A deviation is NULL until its window is full, and for a window of one row; closes that are all equal have 0.
-- edge log_return is NULL for the first row of a symbol and unless both closes are positive; realized_volatility is then
-- edge NULL while the return is in its window.
-- edge Rows of a symbol follow each other by (ts, kafka_partition, kafka_offset, kafka_index).
WITH steps AS (
  SELECT
    symbol, ts, kafka_partition, kafka_offset, kafka_index, trade_date, close,
    LAG(close) OVER (
      PARTITION BY symbol ORDER BY ts, kafka_partition, kafka_offset, kafka_index
    ) AS prev_close
  FROM ticks
),
returns AS (
  SELECT
    symbol, ts, kafka_partition, kafka_offset, kafka_index, trade_date, close,
    CASE WHEN close > 0 AND prev_close > 0 THEN LN(close / prev_close) END AS log_return
  FROM steps
),
deviations AS (
  SELECT
    symbol, ts, kafka_partition, kafka_offset, kafka_index, trade_date, close, log_return,
    CASE
      WHEN $window < 2 OR COUNT(close) OVER window_rows < $window THEN NULL
      WHEN MIN(close) OVER window_rows < MAX(close) OVER window_rows THEN STDDEV_SAMP(close) OVER window_rows
      ELSE 0e0
    END AS volatility,
    CASE
      WHEN $window < 2 OR COUNT(log_return) OVER window_rows < $window THEN NULL
      WHEN MIN(log_return) OVER window_rows < MAX(log_return) OVER window_rows
        THEN STDDEV_SAMP(log_return) OVER window_rows * SQRT($periods_per_year)
      ELSE 0e0
    END AS realized_volatility
  FROM returns
  WINDOW window_rows AS (
    PARTITION BY symbol ORDER BY ts, kafka_partition, kafka_offset, kafka_index
    ROWS BETWEEN $window - 1 PRECEDING AND CURRENT ROW
  )
)
SELECT symbol, ts, close, log_return, volatility, realized_volatility
FROM deviations
WHERE $range
ORDER BY symbol, ts, kafka_partition, kafka_offset, kafka_index
