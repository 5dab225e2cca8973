-- Which ticks came after newer ones of their symbol?
-- group summaries
--
-- param later_than duration 0s How much newer the newest tick before it must be
--
-- column symbol string Instrument
-- column ts timestamp Event time
-- column newest_before timestamp Newest event time of the symbol that the partition held before it
-- column close double Last price
-- column kafka_partition integer Partition of the topic
-- column kafka_offset bigint Offset in it
-- column kafka_index integer Place in the message
-- column kafka_ts timestamp Kafka's time of the message
-- column ingested_at timestamp When it was written to the table
--
-- warm-up look-ahead
--
-- edge A tick with the same time as the newest is not late. Ticks of one symbol in several partitions have no order among
-- edge each other, so each partition is taken by itself.
-- edge In order of arrival: by partition, offset and index.
WITH arrivals AS (
  SELECT
    symbol, ts, trade_date, close, kafka_epoch, kafka_partition, kafka_offset, kafka_index, kafka_ts, ingested_at,
    MAX(ts) OVER (
      PARTITION BY symbol, kafka_epoch, kafka_partition ORDER BY kafka_offset, kafka_index
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS newest_before
  FROM ticks
)
SELECT symbol, ts, newest_before, close, kafka_partition, kafka_offset, kafka_index, kafka_ts, ingested_at
FROM arrivals
WHERE $range AND newest_before > ts + $later_than
ORDER BY kafka_epoch, kafka_partition, kafka_offset, kafka_index
