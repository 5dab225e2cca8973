-- Which symbols move together?
-- group summaries
--
-- param interval interval 1m Length of the bars whose last closes are compared
-- param least_pairs count 10 Returns that both symbols must have
--
-- column symbol_a string Instrument
-- column symbol_b string Another one, later in the alphabet
-- column correlation double Pearson's correlation of their returns, -1 to 1
-- column pairs bigint Number of returns in it
--
-- warm-up none
--
-- edge A return goes from the last close of a bar to that of the next bar in which the symbol has ticks; it counts for two
-- edge symbols when it goes between the same two bars in both.
-- edge correlation is NULL where the returns of one of them never differ. Returns from or to closes that are not positive
-- edge are left out.
-- edge Bars are counted as in the query bars. With many symbols it has many pairs: choose some with --symbol.
-- edge Largest correlation first; those that are equal to nine decimals by symbols.
WITH binned AS (
  SELECT
    symbol, ts, kafka_partition, kafka_offset, kafka_index, close,
    CAST(DATE_BIN($interval, ts, TIMESTAMP '2000-01-03 00:00:00+00:00') AS TIMESTAMP(6) WITH TIME ZONE) AS bar_start
  FROM ticks
),
numbered AS (
  SELECT
    symbol, bar_start, close,
    ROW_NUMBER() OVER (
      PARTITION BY symbol, bar_start ORDER BY ts DESC, kafka_partition DESC, kafka_offset DESC, kafka_index DESC
    ) AS from_last
  FROM binned
),
steps AS (
  SELECT
    symbol, bar_start, close,
    LAG(bar_start) OVER (PARTITION BY symbol ORDER BY bar_start) AS prev_start,
    LAG(close) OVER (PARTITION BY symbol ORDER BY bar_start) AS prev_close
  FROM numbered
  WHERE from_last = 1
),
returns AS (
  SELECT symbol, bar_start, prev_start, LN(close / prev_close) AS log_return
  FROM steps
  WHERE close > 0 AND prev_close > 0
),
correlations AS (
  SELECT
    a.symbol AS symbol_a,
    b.symbol AS symbol_b,
    CASE
      WHEN MIN(a.log_return) < MAX(a.log_return) AND MIN(b.log_return) < MAX(b.log_return)
        -- CORR divides by zero for returns that never differ, which is an error in Spark even where CASE leaves it out.
        THEN COVAR_POP(a.log_return, b.log_return)
          / NULLIF(STDDEV_POP(a.log_return) * STDDEV_POP(b.log_return), 0)
    END AS correlation,
    COUNT(*) AS pairs
  FROM returns a
  JOIN returns b ON a.bar_start = b.bar_start AND a.prev_start = b.prev_start AND a.symbol < b.symbol
  GROUP BY a.symbol, b.symbol
  HAVING COUNT(*) >= $least_pairs
)
SELECT symbol_a, symbol_b, correlation, pairs
FROM correlations
ORDER BY ROUND(correlation, 9) DESC NULLS LAST, symbol_a, symbol_b
