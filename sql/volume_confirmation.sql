-- Which moves of the close does rising volume confirm?
-- group signals
--
-- param window count 10 Rows in the mean of the volume
--
-- column symbol string Instrument
-- column ts timestamp Event time
-- column close double Last price
-- column change_pct double Percent change of the close to the symbol's previous row
-- column volume double Traded volume
-- column prev_volume double Volume of the symbol's previous row
-- column volume_avg double Mean of the last $window volumes of the symbol
-- column volume_ratio double volume / volume_avg
-- column move string Direction of the close: Up, Down or Flat
-- column confirmed boolean TRUE where the close moved and volume is above the previous volume
--
-- warm-up $window rows
--
-- edge The first row of a symbol is Flat.
-- edge volume_avg is NULL until its window is full and all volumes in it are known; volume_ratio also when they are all zero.
-- edge change_pct is NULL unless the previous close is positive.
-- edge An unknown volume confirms nothing.
-- edge Rows of a symbol follow each other by (ts, kafka_partition, kafka_offset, kafka_index).
WITH steps AS (
  SELECT
    symbol, ts, kafka_partition, kafka_offset, kafka_index, trade_date, close, volume,
    -- CASE makes the column nullable: of one that is not, ClickHouse has a 0 where others have NULL.
    LAG(CASE WHEN TRUE THEN close END) OVER history AS prev_close,
    LAG(volume) OVER history AS prev_volume,
    CASE
      WHEN COUNT(volume) OVER window_rows < $window THEN NULL
      -- The sum of a window that moves on may keep a rest of what has left it.
      WHEN MAX(volume) OVER window_rows = 0 THEN 0e0
      ELSE AVG(volume) OVER window_rows
    END AS volume_avg
  FROM ticks
  WINDOW
    history AS (
      PARTITION BY symbol ORDER BY ts, kafka_partition, kafka_offset, kafka_index
    ),
    window_rows AS (
      PARTITION BY symbol ORDER BY ts, kafka_partition, kafka_offset, kafka_index
      ROWS BETWEEN $window - 1 PRECEDING AND CURRENT ROW
    )
)
SELECT
  symbol, ts, close,
  CASE WHEN prev_close > 0 THEN 100 * (close - prev_close) / prev_close END AS change_pct,
  volume, prev_volume, volume_avg,
  volume / NULLIF(volume_avg, 0) AS volume_ratio,
  CASE
    WHEN close > prev_close THEN 'Up'
    WHEN close < prev_close THEN 'Down'
    ELSE 'Flat'
  END AS move,
  CASE WHEN close <> prev_close AND volume > prev_volume THEN TRUE ELSE FALSE END AS confirmed
FROM steps
WHERE $range
ORDER BY symbol, ts, kafka_partition, kafka_offset, kafka_index
