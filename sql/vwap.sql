-- What was the average price paid so far in the session, weighted by volume?
-- group signals
--
-- column symbol string Instrument
-- column trade_date date Session
-- column ts timestamp Event time
-- column close double Last price
-- column volume double Traded volume
-- column vwap double Sum of close * volume through sum of volume, from the first row of the session to this one
--
-- warm-up day
--
-- edge The last row of a session holds the session's, as in daily_summary.
-- edge Unknown volumes count for nothing; vwap is NULL until there is a volume above 0.
-- edge Rows of a symbol follow each other by (ts, kafka_partition, kafka_offset, kafka_index).
WITH sessions AS (
  SELECT
    symbol, trade_date, ts, kafka_partition, kafka_offset, kafka_index, close, volume,
    CASE
      WHEN MAX(volume) OVER session_rows > 0
        THEN SUM(close * volume) OVER session_rows / NULLIF(SUM(volume) OVER session_rows, 0)
    END AS vwap
  FROM ticks
  WINDOW session_rows AS (
    PARTITION BY symbol, trade_date ORDER BY ts, kafka_partition, kafka_offset, kafka_index
    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
  )
)
SELECT symbol, trade_date, ts, close, volume, vwap
FROM sessions
WHERE $range
ORDER BY symbol, ts, kafka_partition, kafka_offset, kafka_index
