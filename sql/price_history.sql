-- How did the price of each symbol develop, tick by tick?
-- group summaries
--
-- column symbol string Instrument
-- column ts timestamp Event time
-- column open double Open of the row, where ticks carry one
-- column high double High of the row, where ticks carry one
-- column low double Low of the row, where ticks carry one
-- column close double Last price
-- column volume double Traded volume
-- column change double close - previous close
-- column change_pct double Change in percent of the previous close
-- column total_pct double Change since the first close that is read, in percent of it
--
-- warm-up all
--
-- edge change is NULL for the first row of a symbol, change_pct unless the previous close is positive, total_pct unless the
-- edge first close is.
-- edge With --from, total_pct still counts from the symbol's first close; with --cold from the first one shown.
-- edge Rows of a symbol follow each other by (ts, kafka_partition, kafka_offset, kafka_index).
WITH steps AS (
  SELECT
    symbol, ts, kafka_partition, kafka_offset, kafka_index, trade_date, open, high, low, close, volume,
    -- CASE makes the column nullable: of one that is not, ClickHouse has a 0 where others have NULL.
    LAG(CASE WHEN TRUE THEN close END) OVER history AS prev_close,
    FIRST_VALUE(close) OVER history AS first_close
  FROM ticks
  WINDOW history AS (
    PARTITION BY symbol ORDER BY ts, kafka_partition, kafka_offset, kafka_index
  )
)
SELECT
  symbol, ts, open, high, low, close, volume,
  close - prev_close AS change,
  CASE WHEN prev_close > 0 THEN 100 * (close - prev_close) / prev_close END AS change_pct,
  CASE WHEN first_close > 0 THEN 100 * (close - first_close) / first_close END AS total_pct
FROM steps
WHERE $range
ORDER BY symbol, ts, kafka_partition, kafka_offset, kafka_index
