-- Is the trend of each symbol up or down, by exponential means?
-- group signals
--
-- param fast count 12 Rows of the fast mean
-- param slow count 26 Rows of the slow mean
--
-- column symbol string Instrument
-- column ts timestamp Event time
-- column close double Last price
-- column ema_fast double Exponential mean of the closes, each of which has the part 2 / ($fast + 1) in it
-- column ema_slow double The same with $slow
--
-- warm-up 25 * $fast + 25 * $slow rows
--
-- edge This engine only: ema is a window function of tickhouse.
-- edge A mean is NULL until $fast or $slow closes are known; it begins with their plain mean, as TA-Lib's does.
-- edge A close that is no finite number has no mean and leaves no trace in later ones.
-- edge Rows of a symbol follow each other by (ts, kafka_partition, kafka_offset, kafka_index).
WITH means AS (
  SELECT
    symbol, ts, kafka_partition, kafka_offset, kafka_index, trade_date, close,
    ema(close, $fast) OVER in_order AS ema_fast,
    ema(close, $slow) OVER in_order AS ema_slow
  FROM ticks
  WINDOW in_order AS (PARTITION BY symbol ORDER BY ts, kafka_partition, kafka_offset, kafka_index)
)
SELECT symbol, ts, close, ema_fast, ema_slow
FROM means
WHERE $range
ORDER BY symbol, ts, kafka_partition, kafka_offset, kafka_index
