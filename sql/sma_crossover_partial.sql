-- What do the moving averages say when windows count from the first row on, as in the Athena SQL that people pass around?
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
-- column sma_fast double Mean of at most the last $fast closes of the symbol, two decimals
-- column sma_slow double Mean of at most the last $slow closes of the symbol, two decimals
-- column signal string Buy (fast above slow and volume rises), Sell (fast below slow and volume rises) or Hold
--
-- warm-up $fast + $slow rows
--
-- edge A mean is over the rows there are, so the first rows of a symbol compare means of the same few closes; use
-- edge sma_crossover for full windows.
-- edge The means are compared as they are, before they are rounded: where they are equal but for the last binary digit,
-- edge engines may differ. How halves are rounded is up to the engine, too.
-- edge An unknown volume confirms nothing.
-- edge Rows of a symbol follow each other by (ts, kafka_partition, kafka_offset, kafka_index).
WITH means AS (
  SELECT
    symbol, ts, kafka_partition, kafka_offset, kafka_index, trade_date, close, volume,
    LAG(volume) OVER history AS prev_volume,
    AVG(close) OVER fast_rows AS mean_fast,
    AVG(close) OVER slow_rows AS mean_slow
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
)
SELECT
  symbol, ts, close, volume, prev_volume,
  ROUND(mean_fast, 2) AS sma_fast,
  ROUND(mean_slow, 2) AS sma_slow,
  CASE
    WHEN mean_fast > mean_slow AND volume > prev_volume THEN 'Buy'
    WHEN mean_fast < mean_slow AND volume > prev_volume THEN 'Sell'
    ELSE 'Hold'
  END AS signal
FROM means
WHERE $range
ORDER BY symbol, ts DESC, kafka_partition DESC, kafka_offset DESC, kafka_index DESC
