-- What is the newest price of each symbol?
-- group summaries
--
-- param since time 7d How far to look back, which bounds what is read: a length of time ago, a date or a time
--
-- column symbol string Instrument
-- column ts timestamp Event time of the newest row
-- column close double Its close
-- column volume double Its volume
-- column prev_close double Close of the row before it
-- column change double close - prev_close
-- column change_pct double Change in percent of prev_close
--
-- warm-up all
--
-- edge A symbol without a tick since then is not shown, and prev_close is NULL where the row before is older.
-- edge --from leaves out symbols whose newest row is older; --to is the end from which it looks back.
-- edge change_pct is NULL unless prev_close is positive.
-- edge Newest by (ts, kafka_partition, kafka_offset, kafka_index).
WITH recent AS (
  SELECT
    symbol, ts, trade_date, close, volume,
    ROW_NUMBER() OVER newest_first AS from_last,
    -- CASE makes the column nullable: of one that is not, ClickHouse has a 0 where others have NULL.
    LEAD(CASE WHEN TRUE THEN close END) OVER newest_first AS prev_close
  FROM ticks
  WHERE ts >= $since
  WINDOW newest_first AS (
    PARTITION BY symbol ORDER BY ts DESC, kafka_partition DESC, kafka_offset DESC, kafka_index DESC
  )
)
SELECT
  symbol, ts, close, volume, prev_close,
  close - prev_close AS change,
  CASE WHEN prev_close > 0 THEN 100 * (close - prev_close) / prev_close END AS change_pct
FROM recent
WHERE from_last = 1 AND $range
ORDER BY symbol
