-- What are the usual moving averages of close and volume?
-- group signals
--
-- column symbol string Instrument
-- column ts timestamp Event time
-- column close double Last price
-- column volume double Traded volume
-- column ma_5 double Mean of the last 5 closes of the symbol
-- column ma_10 double Mean of the last 10 closes
-- column ma_20 double Mean of the last 20 closes
-- column volume_avg_5 double Mean of the last 5 volumes
-- column volume_avg_10 double Mean of the last 10 volumes
--
-- warm-up 20 rows
--
-- edge A mean is NULL until its window is full; one of volumes also while a volume in it is unknown.
-- edge Rows of a symbol follow each other by (ts, kafka_partition, kafka_offset, kafka_index).
WITH means AS (
  SELECT
    symbol, ts, kafka_partition, kafka_offset, kafka_index, trade_date, close, volume,
    CASE WHEN COUNT(close) OVER rows_5 = 5 THEN AVG(close) OVER rows_5 END AS ma_5,
    CASE WHEN COUNT(close) OVER rows_10 = 10 THEN AVG(close) OVER rows_10 END AS ma_10,
    CASE WHEN COUNT(close) OVER rows_20 = 20 THEN AVG(close) OVER rows_20 END AS ma_20,
    CASE
      WHEN COUNT(volume) OVER rows_5 < 5 THEN NULL
      -- The sum of a window that moves on may keep a rest of what has left it.
      WHEN MAX(volume) OVER rows_5 = 0 THEN 0e0
      ELSE AVG(volume) OVER rows_5
    END AS volume_avg_5,
    CASE
      WHEN COUNT(volume) OVER rows_10 < 10 THEN NULL
      -- The sum of a window that moves on may keep a rest of what has left it.
      WHEN MAX(volume) OVER rows_10 = 0 THEN 0e0
      ELSE AVG(volume) OVER rows_10
    END AS volume_avg_10
  FROM ticks
  WINDOW
    rows_5 AS (
      PARTITION BY symbol ORDER BY ts, kafka_partition, kafka_offset, kafka_index
      ROWS BETWEEN 4 PRECEDING AND CURRENT ROW
    ),
    rows_10 AS (
      PARTITION BY symbol ORDER BY ts, kafka_partition, kafka_offset, kafka_index
      ROWS BETWEEN 9 PRECEDING AND CURRENT ROW
    ),
    rows_20 AS (
      PARTITION BY symbol ORDER BY ts, kafka_partition, kafka_offset, kafka_index
      ROWS BETWEEN 19 PRECEDING AND CURRENT ROW
    )
)
SELECT symbol, ts, close, volume, ma_5, ma_10, ma_20, volume_avg_5, volume_avg_10
FROM means
WHERE $range
ORDER BY symbol, ts, kafka_partition, kafka_offset, kafka_index
