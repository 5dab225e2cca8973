-- What are the bars (candles) of each symbol, of any length?
-- group summaries
--
-- param interval interval 5m Length of a bar
-- param candles boolean false Take open, high and low of the ticks, which are then candles themselves
--
-- column symbol string Instrument
-- column bar_start timestamp First instant of the bar
-- column bar_end timestamp First instant after the bar
-- column open double First close of the bar
-- column high double Highest close
-- column low double Lowest close
-- column close double Last close
-- column avg_close double Mean of the closes
-- column volume double Sum of the volumes
-- column vwap double Mean of the closes weighted by volume
-- column volatility double Sample standard deviation of the closes, in units of price
-- column change double close - open
-- column change_pct double Change in percent of open
-- column trades bigint Number of ticks
--
-- warm-up $interval
--
-- edge A tick at the end of a bar is in the next one. Bars without ticks are left out.
-- edge Bars are counted from Monday 2000-01-03 00:00 UTC, so that 7d are weeks and 1d are days of UTC; daily_summary has the
-- edge market's days.
-- edge Open, high and low of many feeds are those of the day so far, which is why they are left aside. With candles=true the
-- edge bar has the first open, highest high and lowest low of its ticks, or the close of a tick without them: for ticks that
-- edge are candles no longer than the bar.
-- edge A bar of which a tick lies between --from and --to is shown whole; --cold cuts it there.
-- edge First and last by (ts, kafka_partition, kafka_offset, kafka_index).
-- edge Unknown volumes count for nothing; volume is NULL when all are unknown, vwap also when their sum is zero.
-- edge volatility is NULL for a single tick; change_pct is NULL unless open is positive.
WITH binned AS (
  SELECT
    symbol, ts, kafka_partition, kafka_offset, kafka_index, trade_date, close, volume,
    CASE WHEN $candles THEN COALESCE(open, close) ELSE close END AS open_price,
    CASE WHEN $candles THEN COALESCE(high, close) ELSE close END AS high_price,
    CASE WHEN $candles THEN COALESCE(low, close) ELSE close END AS low_price,
    CAST(DATE_BIN($interval, ts, TIMESTAMP '2000-01-03 00:00:00+00:00') AS TIMESTAMP(6) WITH TIME ZONE) AS bar_start
  FROM ticks
),
numbered AS (
  SELECT
    symbol, ts, trade_date, bar_start, close, volume, open_price, high_price, low_price,
    ROW_NUMBER() OVER (
      PARTITION BY symbol, bar_start ORDER BY ts, kafka_partition, kafka_offset, kafka_index
    ) AS from_first,
    ROW_NUMBER() OVER (
      PARTITION BY symbol, bar_start ORDER BY ts DESC, kafka_partition DESC, kafka_offset DESC, kafka_index DESC
    ) AS from_last
  FROM binned
),
bars AS (
  SELECT
    symbol, bar_start,
    MAX(CASE WHEN from_first = 1 THEN open_price END) AS bar_open,
    MAX(high_price) AS bar_high,
    MIN(low_price) AS bar_low,
    MAX(CASE WHEN from_last = 1 THEN close END) AS bar_close,
    AVG(close) AS avg_close,
    SUM(volume) AS bar_volume,
    SUM(close * volume) AS turnover,
    CASE
      WHEN MIN(close) < MAX(close) THEN STDDEV_SAMP(close)
      WHEN COUNT(*) > 1 THEN 0e0
    END AS volatility,
    COUNT(*) AS trades
  FROM numbered
  GROUP BY symbol, bar_start
  HAVING COUNT(CASE WHEN $range THEN 1 END) > 0
)
SELECT
  symbol, bar_start,
  bar_start + $interval AS bar_end,
  bar_open AS open,
  bar_high AS high,
  bar_low AS low,
  bar_close AS close,
  avg_close,
  bar_volume AS volume,
  turnover / NULLIF(bar_volume, 0) AS vwap,
  volatility,
  bar_close - bar_open AS change,
  CASE WHEN bar_open > 0 THEN 100 * (bar_close - bar_open) / bar_open END AS change_pct,
  trades
FROM bars
ORDER BY symbol, bar_start
