-- Does the trend of each symbol gain or lose speed (moving average convergence/divergence)?
-- group signals
--
-- param fast count 12 Rows of the fast exponential mean, fewer than of the slow one
-- param slow count 26 Rows of the slow one
-- param signal count 9 Rows of the exponential mean of macd
--
-- column symbol string Instrument
-- column ts timestamp Event time
-- column close double Last price
-- column macd double Fast exponential mean of the closes less the slow one
-- column macd_signal double Exponential mean of macd
-- column macd_histogram double macd less macd_signal
--
-- warm-up 25 * $fast + 25 * $slow + 25 * $signal rows
--
-- edge This engine only: macd, macd_signal and macd_histogram are window functions of tickhouse.
-- edge All are NULL until $slow + $signal - 1 closes are known (34 with the defaults), as TA-Lib has it.
-- edge Both means begin at close number $slow: the fast one with the plain mean of the last $fast closes until there.
-- edge A close that is no finite number has no macd and leaves no trace in later ones.
-- edge Rows of a symbol follow each other by (ts, kafka_partition, kafka_offset, kafka_index).
WITH means AS (
  SELECT
    symbol, ts, kafka_partition, kafka_offset, kafka_index, trade_date, close,
    macd(close, $fast, $slow, $signal) OVER in_order AS macd,
    macd_signal(close, $fast, $slow, $signal) OVER in_order AS macd_signal,
    macd_histogram(close, $fast, $slow, $signal) OVER in_order AS macd_histogram
  FROM ticks
  WINDOW in_order AS (PARTITION BY symbol ORDER BY ts, kafka_partition, kafka_offset, kafka_index)
)
SELECT symbol, ts, close, macd, macd_signal, macd_histogram
FROM means
WHERE $range
ORDER BY symbol, ts, kafka_partition, kafka_offset, kafka_index
