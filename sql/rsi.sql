-- Is a symbol overbought or oversold, by its relative strength index?
-- group signals
--
-- param window count 14 Moves that the means begin with, and Wilder's n
-- param overbought double 70 Above this it is overbought
-- param oversold double 30 Below this it is oversold
--
-- column symbol string Instrument
-- column ts timestamp Event time
-- column close double Last price
-- column rsi double Part of the rises in all moves, 0 to 100
-- column state string Overbought, Oversold or Neutral
--
-- warm-up 50 * $window rows before a move
--
-- edge This engine only: rsi is a window function of tickhouse.
-- edge rsi and state are NULL until $window moves are known, and while no close has ever differed from the one before:
-- edge TA-Lib has 0 there. All else is as TA-Lib has it.
-- edge A close that is no finite number has no rsi and leaves no trace in later ones.
-- edge An rsi within 1e-9 of a bound is Neutral.
-- edge Rows of a symbol follow each other by (ts, kafka_partition, kafka_offset, kafka_index).
WITH strengths AS (
  SELECT
    symbol, ts, kafka_partition, kafka_offset, kafka_index, trade_date, close,
    rsi(close, $window) OVER (
      PARTITION BY symbol ORDER BY ts, kafka_partition, kafka_offset, kafka_index
    ) AS rsi
  FROM ticks
)
SELECT
  symbol, ts, close, rsi,
  CASE
    WHEN rsi - $overbought > 1e-9 * ABS($overbought) THEN 'Overbought'
    WHEN rsi - $oversold < -1e-9 * ABS($oversold) THEN 'Oversold'
    WHEN rsi IS NOT NULL THEN 'Neutral'
  END AS state
FROM strengths
WHERE $range
ORDER BY symbol, ts, kafka_partition, kafka_offset, kafka_index
