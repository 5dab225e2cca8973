-- Which closes are far from what the symbol's last rows let expect?
-- group signals
--
-- param window count 20 Rows in mean and deviation
-- param threshold double 2 Standard deviations from the mean
-- param include_current boolean false Let the row itself be in its window
--
-- column symbol string Instrument
-- column ts timestamp Event time
-- column close double Last price
-- column mean double Mean of the $window closes before this one
-- column deviation double Their sample standard deviation, in units of price
-- column zscore double (close - mean) / deviation
-- column direction string High or Low
--
-- warm-up $window + 1 rows
--
-- edge Only rows with a zscore beyond $threshold on either side are shown, by more than 1e-9 of it; -1 shows all that have one.
-- edge There is no zscore until the window is full, in a window of one row, and while its closes are all equal: a jump after
-- edge a flat stretch is no anomaly here, but price_alerts has it.
-- edge With include_current the row is the last of its window, and a zscore can't exceed (n - 1) / sqrt(n), 4.2 for 20 rows.
-- edge Rows of a symbol follow each other by (ts, kafka_partition, kafka_offset, kafka_index).
WITH windows AS (
  SELECT
    symbol, ts, kafka_partition, kafka_offset, kafka_index, trade_date, close,
    CASE WHEN $include_current THEN COUNT(close) OVER with_row ELSE COUNT(close) OVER before_row END AS known,
    CASE WHEN $include_current THEN MIN(close) OVER with_row ELSE MIN(close) OVER before_row END AS least,
    CASE WHEN $include_current THEN MAX(close) OVER with_row ELSE MAX(close) OVER before_row END AS most,
    CASE WHEN $include_current THEN AVG(close) OVER with_row ELSE AVG(close) OVER before_row END AS mean,
    CASE WHEN $include_current THEN STDDEV_SAMP(close) OVER with_row ELSE STDDEV_SAMP(close) OVER before_row END AS deviation
  FROM ticks
  WINDOW
    with_row AS (
      PARTITION BY symbol ORDER BY ts, kafka_partition, kafka_offset, kafka_index
      ROWS BETWEEN $window - 1 PRECEDING AND CURRENT ROW
    ),
    before_row AS (
      PARTITION BY symbol ORDER BY ts, kafka_partition, kafka_offset, kafka_index
      ROWS BETWEEN $window PRECEDING AND 1 PRECEDING
    )
),
scores AS (
  SELECT
    symbol, ts, kafka_partition, kafka_offset, kafka_index, trade_date, close, mean, deviation,
    CASE WHEN known = $window AND least < most THEN (close - mean) / deviation END AS zscore
  FROM windows
)
SELECT
  symbol, ts, close, mean, deviation, zscore,
  CASE WHEN zscore > 0 THEN 'High' ELSE 'Low' END AS direction
FROM scores
WHERE $range AND ABS(zscore) > $threshold * (1 + 1e-9)
ORDER BY symbol, ts, kafka_partition, kafka_offset, kafka_index
