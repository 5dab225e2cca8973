-- Where is the fast mean of the close above or below the slow one, where do they cross, and does volume confirm it?
-- group signals
--
-- param fast count 9 Rows in the fast mean
-- param slow count 21 Rows in the slow mean
--
-- column symbol string Instrument
-- column ts timestamp Event time
-- column close double Last price
-- column volume double Traded volume
-- column prev_volume double Volume of the symbol's previous row
-- column sma_fast double Mean of the last $fast closes of the symbol
-- column sma_slow double Mean of the last $slow closes of the symbol
-- column signal string State of the row: Buy (fast above slow and volume rises), Sell (fast below slow and volume rises) or Hold
-- column cross_event string Event: golden (fast crosses above slow), death (fast crosses below slow) or NULL
-- column confirmed boolean TRUE where volume is above the previous volume
--
-- warm-up $fast + $slow rows until ABS(sma_fast - sma_slow) > 1e-9 * ABS(sma_slow)
--
-- edge A mean is NULL until its window is full; until both are, the signal is Hold and there is no event.
-- edge Means that differ by at most 1e-9 of the slow one are equal: neither above nor below, and no crossing by themselves.
-- edge An event compares with the last row whose means differed, however many equal ones lie between.
-- edge An unknown volume confirms nothing.
-- edge Rows of a symbol follow each other by (ts, kafka_partition, kafka_offset, kafka_index).
WITH means AS (
  SELECT
    symbol, ts, kafka_partition, kafka_offset, kafka_index, trade_date, close, volume,
    LAG(volume) OVER history AS prev_volume,
    CAST(ROW_NUMBER() OVER history AS BIGINT) AS row_no,
    CASE WHEN COUNT(close) OVER fast_rows = $fast THEN AVG(close) OVER fast_rows END AS sma_fast,
    CASE WHEN COUNT(close) OVER slow_rows = $slow THEN AVG(close) OVER slow_rows END AS sma_slow
  FROM ticks
  WINDOW
    history AS (
      PARTITION BY symbol ORDER BY ts, kafka_partition, kafka_offset, kafka_index
    ),
    fast_rows AS (
      PARTITION BY symbol ORDER BY ts, kafka_partition, kafka_offset, kafka_index
      ROWS BETWEEN $fast - 1 PRECEDING AND CURRENT ROW
    ),
    slow_rows AS (
      PARTITION BY symbol ORDER BY ts, kafka_partition, kafka_offset, kafka_index
      ROWS BETWEEN $slow - 1 PRECEDING AND CURRENT ROW
    )
),
sides AS (
  SELECT
    symbol, ts, kafka_partition, kafka_offset, kafka_index, trade_date, close, volume, prev_volume, row_no, sma_fast,
    sma_slow,
    CASE WHEN volume > prev_volume THEN TRUE ELSE FALSE END AS confirmed,
    CASE
      WHEN sma_fast - sma_slow > 1e-9 * ABS(sma_slow) THEN 1
      WHEN sma_slow - sma_fast > 1e-9 * ABS(sma_slow) THEN -1
      ELSE 0
    END AS side
  FROM means
),
history AS (
  SELECT
    symbol, ts, kafka_partition, kafka_offset, kafka_index, trade_date, close, volume, prev_volume, sma_fast, sma_slow,
    confirmed, side,
    COALESCE(MAX(CASE WHEN side = 1 THEN row_no END) OVER earlier, 0) AS last_above,
    COALESCE(MAX(CASE WHEN side = -1 THEN row_no END) OVER earlier, 0) AS last_below
  FROM sides
  WINDOW earlier AS (
    PARTITION BY symbol ORDER BY ts, kafka_partition, kafka_offset, kafka_index
    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
  )
)
SELECT
  symbol, ts, close, volume, prev_volume, sma_fast, sma_slow,
  CASE
    WHEN side = 1 AND confirmed THEN 'Buy'
    WHEN side = -1 AND confirmed THEN 'Sell'
    ELSE 'Hold'
  END AS signal,
  CASE
    WHEN side = 1 AND last_below > last_above THEN 'golden'
    WHEN side = -1 AND last_above > last_below THEN 'death'
  END AS cross_event,
  confirmed
FROM history
WHERE $range
ORDER BY symbol, ts, kafka_partition, kafka_offset, kafka_index
