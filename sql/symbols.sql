-- Which symbols are there, and since when?
-- group summaries
--
-- column symbol string Instrument
-- column ticks bigint Number of ticks
-- column trade_dates bigint Trade dates that have any
-- column first_ts timestamp Oldest event time
-- column last_ts timestamp Newest event time
-- column min_close double Lowest close
-- column max_close double Highest close
-- column volumes bigint Ticks with a volume
--
-- warm-up none
--
-- edge Reads the whole table unless --from or --to bounds it.
SELECT
  symbol,
  COUNT(*) AS ticks,
  COUNT(DISTINCT trade_date) AS trade_dates,
  MIN(ts) AS first_ts,
  MAX(ts) AS last_ts,
  MIN(close) AS min_close,
  MAX(close) AS max_close,
  COUNT(volume) AS volumes
FROM ticks
GROUP BY symbol
ORDER BY symbol
