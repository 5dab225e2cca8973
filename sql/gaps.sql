-- Which symbols were silent for longer than they should be, or still are?
-- group summaries
--
-- param longer_than interval 5m Silence that is still in order
-- param overnight boolean false Show silence between two trade dates, too: for markets that never close
--
-- column symbol string Instrument
-- column trade_date date Date of the tick before the silence
-- column silent_from timestamp The tick before the silence
-- column silent_to timestamp The tick after it; NULL where the symbol is silent still
-- column kind string gap, or silent where none came after
-- column newest timestamp Newest tick of all symbols, until when a silence without end has lasted
--
-- warm-up look-ahead
--
-- edge A silence of exactly $longer_than is in order.
-- edge A symbol is silent still when its last tick is older than the newest of all symbols by more than $longer_than, on the
-- edge same trade date unless overnight is true: the clock plays no part.
-- edge --from and --to choose by silent_from; with --cold a silence that lasts beyond --to counts as one without end.
-- edge Rows of a symbol follow each other by (ts, kafka_partition, kafka_offset, kafka_index).
WITH steps AS (
  SELECT
    symbol, trade_date, ts, kafka_partition, kafka_offset, kafka_index,
    -- CASE makes the column nullable: of one that is not, ClickHouse has a 0 where others have NULL.
    LEAD(CASE WHEN TRUE THEN ts END) OVER history AS next_ts,
    LEAD(CASE WHEN TRUE THEN trade_date END) OVER history AS next_date
  FROM ticks
  WINDOW history AS (
    PARTITION BY symbol ORDER BY ts, kafka_partition, kafka_offset, kafka_index
  )
),
newest_of_all AS (
  SELECT MAX(ts) AS newest, MAX(trade_date) AS newest_date FROM ticks
)
SELECT
  symbol, trade_date,
  ts AS silent_from,
  next_ts AS silent_to,
  CASE WHEN next_ts IS NULL THEN 'silent' ELSE 'gap' END AS kind,
  newest
FROM steps
CROSS JOIN newest_of_all
WHERE $range
  AND COALESCE(next_ts, newest) > ts + $longer_than
  AND ($overnight OR COALESCE(next_date, newest_date) = trade_date)
ORDER BY symbol, ts, kafka_partition, kafka_offset, kafka_index
