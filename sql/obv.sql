-- Does volume flow into a symbol or out of it (on-balance volume)?
-- group signals
--
-- column symbol string Instrument
-- column ts timestamp Event time
-- column close double Last price
-- column volume double Traded volume
-- column obv double Sum of the volumes so far, those of falling closes negative
--
-- warm-up all
--
-- edge The first row of a symbol counts its volume, a close equal to the previous one counts none. TA-Lib does the same.
-- edge An unknown volume counts as 0.
-- edge With --from, the sum still begins with the symbol's first row; with --cold at the first one shown.
-- edge Rows of a symbol follow each other by (ts, kafka_partition, kafka_offset, kafka_index).
WITH steps AS (
  SELECT
    symbol, ts, kafka_partition, kafka_offset, kafka_index, trade_date, close, volume,
    -- CASE makes the column nullable: of one that is not, ClickHouse has a 0 where others have NULL.
    LAG(CASE WHEN TRUE THEN close END) OVER (
      PARTITION BY symbol ORDER BY ts, kafka_partition, kafka_offset, kafka_index
    ) AS prev_close
  FROM ticks
),
flows AS (
  SELECT
    symbol, ts, kafka_partition, kafka_offset, kafka_index, trade_date, close, volume,
    CASE
      WHEN prev_close IS NULL OR close > prev_close THEN COALESCE(volume, 0)
      WHEN close < prev_close THEN -COALESCE(volume, 0)
      ELSE 0
    END AS flow
  FROM steps
),
totals AS (
  SELECT
    symbol, ts, kafka_partition, kafka_offset, kafka_index, trade_date, close, volume,
    SUM(flow) OVER (
      PARTITION BY symbol ORDER BY ts, kafka_partition, kafka_offset, kafka_index
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS obv
  FROM flows
)
SELECT symbol, ts, close, volume, obv
FROM totals
WHERE $range
ORDER BY symbol, ts, kafka_partition, kafka_offset, kafka_index
