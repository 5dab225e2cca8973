-- Which closes jumped from one row of a symbol to the next?
-- group signals
--
-- param threshold double 1 Percent of the previous close
--
-- column symbol string Instrument
-- column ts timestamp Event time
-- column prev_close double Close of the symbol's previous row
-- column close double Last price
-- column change double close - prev_close
-- column change_pct double Change in percent of prev_close
-- column direction string Up, Down, or Flat where $threshold is 0
--
-- warm-up 1 rows
--
-- edge Only rows whose change reaches $threshold on either side are shown; one that misses it by 1e-9 of it reaches it.
-- edge There is no change_pct, and so no alert, for the first row of a symbol and unless the previous close is positive.
-- edge Rows of a symbol follow each other by (ts, kafka_partition, kafka_offset, kafka_index).
WITH steps AS (
  SELECT
    symbol, ts, kafka_partition, kafka_offset, kafka_index, trade_date, close,
    LAG(close) OVER (
      PARTITION BY symbol ORDER BY ts, kafka_partition, kafka_offset, kafka_index
    ) AS prev_close
  FROM ticks
),
changes AS (
  SELECT
    symbol, ts, kafka_partition, kafka_offset, kafka_index, trade_date, close, prev_close,
    CASE WHEN prev_close > 0 THEN 100 * (close - prev_close) / prev_close END AS change_pct
  FROM steps
)
SELECT
  symbol, ts, prev_close, close,
  close - prev_close AS change,
  change_pct,
  CASE WHEN change_pct > 0 THEN 'Up' WHEN change_pct < 0 THEN 'Down' ELSE 'Flat' END AS direction
FROM changes
WHERE $range AND ABS(change_pct) >= $threshold * (1 - 1e-9)
ORDER BY symbol, ts, kafka_partition, kafka_offset, kafka_index
