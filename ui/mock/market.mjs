// A simulated market. Every price follows from symbol and time alone, so that any part of history can be queried at
// random and the stream agrees with later history.

export const DAYS = 16;
export const TICK_MS = 1000;

const WORDS = `
  AAPL MSFT NVDA AMZN GOOGL META TSLA AVGO JPM LLY V XOM UNH MA COST HD PG WMT NFLX JNJ ABBV BAC CRM ORCL CVX MRK KO
  AMD PEP ACN TMO LIN MCD CSCO WFC ABT ADBE GE IBM DHR PM QCOM TXN CAT INTU VZ AMGN DIS NOW ISRG GS PFE RTX SPGI NEE
  CMCSA AXP UNP UBER T LOW AMAT BKNG HON BLK ELV TJX SYK COP VRTX ETN BSX C REGN PGR LMT MS BA ADI PLD CB PANW SCHW
  MMC MDT KLAC ADP DE GILD AMT FI BMY SBUX TMUS MU LRCX SO CI ICE MO DUK SHW CL ZTS MCO EQIX WM TGT CME SNPS CDNS ITW
  APH MSI PH BTC-USD ETH-USD
`.trim();

/** Hostile symbols, as any feed may have them: markup, a path, 64 bytes of emoji. */
export const HOSTILE = ['<script>alert(1)</script>', '../x', '🚀'.repeat(16)];

export const SYMBOLS = [...WORDS.split(/\s+/).slice(0, 117), ...HOSTILE].sort();

function hash(a, b, c) {
  let x = Math.imul(a + 0x9e37, 0x85ebca6b) ^ Math.imul(b ^ 0x27d4eb2f, 0xc2b2ae35) ^ Math.imul(c + 0x1656, 0x9e3779b1);
  x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d);
  x = Math.imul(x ^ (x >>> 12), 0x297a2d39);
  return ((x ^ (x >>> 15)) >>> 0) / 4294967296;
}

/** Smooth noise between -1 and 1 with one hill or valley per period. */
function noise(seed, t, period) {
  const at = Math.floor(t / period);
  const part = t / period - at;
  const smooth = part * part * (3 - 2 * part);
  const [low, high] = [hash(seed, at | 0, 7), hash(seed, (at + 1) | 0, 7)];
  return (low + (high - low) * smooth) * 2 - 1;
}

const OCTAVES = [
  [5 * 86_400_000, 0.06],
  [86_400_000, 0.025],
  [4 * 3_600_000, 0.012],
  [3_600_000, 0.006],
  [900_000, 0.0032],
  [180_000, 0.0016],
  [45_000, 0.0009],
  [11_000, 0.0006],
  [2_900, 0.0004],
];

const symbolIndexes = new Map(SYMBOLS.map((symbol, at) => [symbol, at]));
export const known = (symbol) => symbolIndexes.has(symbol);

export function price(symbol, t) {
  const at = symbolIndexes.get(symbol);
  const base = 8 * 60 ** hash(at, 1, 1);
  const beta = 0.3 + hash(at, 2, 2);
  const wild = 0.5 + 1.6 * hash(at, 3, 3);
  let log = 0;
  for (const [period, size] of OCTAVES)
    log += size * (wild * noise(at * 31 + 5, t, period) + beta * noise(99_991, t, period));
  return Math.round(base * Math.exp(log) * 100) / 100;
}

export function volume(symbol, t) {
  const at = symbolIndexes.get(symbol);
  const size = 20 * 80 ** hash(at, 4, 4);
  const burst = hash(at, Math.floor(t / TICK_MS) | 0, 5);
  return Math.max(1, Math.round(size * (0.3 + burst + 4 * burst ** 12)));
}

/** The times of a symbol's ticks in [from, to). */
export function tickTimes(symbol, from, to) {
  const at = symbolIndexes.get(symbol);
  const times = [];
  for (let k = Math.floor(from / TICK_MS); k * TICK_MS < to; k += 1) {
    const t = k * TICK_MS + Math.round(hash(at, k | 0, 6) * 900_000) / 1000;
    if (t >= from && t < to) times.push(t);
  }
  return times;
}

const MOST_SAMPLES = 40;

export function bar(symbol, start, step, now) {
  // Quiet symbols have no tick in many seconds.
  if (
    step === 1000 &&
    hash(symbolIndexes.get(symbol), Math.floor(start / 1000) | 0, 11) <
      (hash(symbolIndexes.get(symbol), 12, 12) < 0.5 ? 0.55 : 0.05)
  )
    return null;
  const end = Math.min(start + step, now);
  if (end <= start) return null;
  const stride = Math.max(TICK_MS, Math.floor((end - start) / MOST_SAMPLES / TICK_MS) * TICK_MS);
  let [open, high, low, close, sum, volumes, trades, squares, turnover] = [null, -Infinity, Infinity, 0, 0, 0, 0, 0, 0];
  for (let t = start; t < end; t += stride) {
    const p = price(symbol, t);
    const v = (volume(symbol, t) * stride) / TICK_MS;
    open ??= p;
    high = Math.max(high, p);
    low = Math.min(low, p);
    close = p;
    sum += p;
    squares += p * p;
    turnover += p * v;
    volumes += v;
    trades += 1;
  }
  const mean = sum / trades;
  const deviation = trades > 1 ? Math.sqrt(Math.max(0, (squares - trades * mean * mean) / (trades - 1))) : null;
  return {
    symbol,
    bar_start: start,
    bar_end: start + step,
    open,
    high,
    low,
    close,
    avg_close: mean,
    volume: Math.round(volumes),
    vwap: turnover / volumes,
    volatility: deviation,
    change: close - open,
    change_pct: ((close - open) / open) * 100,
    trades: Math.round((end - start) / TICK_MS),
  };
}

export function rolling(symbol, t) {
  const times = Array.from({ length: 22 }, (_, back) => t - back * TICK_MS);
  const closes = times.map((one) => price(symbol, one));
  const volumes = times.map((one) => volume(symbol, one));
  const mean = (list, n) => list.slice(0, n).reduce((a, b) => a + b, 0) / n;
  const deviation = (list, n) => {
    const m = mean(list, n);
    return Math.sqrt(list.slice(0, n).reduce((a, b) => a + (b - m) ** 2, 0) / (n - 1));
  };
  const past = closes.slice(1);
  const day = Math.floor(t / 86_400_000) * 86_400_000;
  const today = bar(symbol, day, 86_400_000, t + 1);
  const [fast, slow] = [mean(closes, 9), mean(closes, 21)];
  const rises = volumes[0] > volumes[1];
  return {
    signal: !rises ? 'Hold' : fast > slow ? 'Buy' : fast < slow ? 'Sell' : 'Hold',
    values: {
      close: closes[0],
      volume: volumes[0],
      prev_close: closes[1],
      prev_volume: volumes[1],
      change_pct: (closes[0] / closes[1] - 1) * 100,
      ma_5: mean(closes, 5),
      sma_fast: fast,
      ma_10: mean(closes, 10),
      ma_20: mean(closes, 20),
      sma_slow: slow,
      volume_avg_5: mean(volumes, 5),
      volume_avg_10: mean(volumes, 10),
      volatility: deviation(closes, 10),
      zscore: deviation(past, 20) > 0 ? (closes[0] - mean(past, 20)) / deviation(past, 20) : null,
      vwap: today.vwap,
      day_open: today.open,
      day_high: today.high,
      day_low: today.low,
      day_volume: today.volume,
    },
  };
}

/** The event of a tick, or null. Events are random, so that a feed can have any rate. */
export function event(symbol, t, part) {
  const dice = hash(symbolIndexes.get(symbol), Math.floor(t) | 0, 8);
  if (dice > part) return null;
  const side = hash(symbolIndexes.get(symbol), Math.floor(t) | 0, 9) > 0.5;
  const kind = ['cross', 'anomaly', 'price_alert', 'rule', 'signal', 'signal'][Math.floor((dice / part) * 6)];
  const sides = {
    cross: ['golden', 'death'],
    anomaly: ['High', 'Low'],
    price_alert: ['Up', 'Down'],
    rule: [null, null],
    signal: ['Buy', 'Sell'],
  }[kind];
  return {
    id: `0-${symbolIndexes.get(symbol)}-${Math.floor(t)}-0-${kind}`,
    kind,
    symbol,
    ts: t,
    name: {
      cross: 'sma_crossover',
      signal: 'sma_crossover',
      anomaly: 'zscore_anomalies',
      price_alert: 'price_alerts',
      rule: 'big_move',
    }[kind],
    side: side ? sides[0] : sides[1],
    confirmed: kind === 'cross' || kind === 'signal' ? (dice * 1e6) % 2 > 1 : null,
    severity: kind === 'rule' ? 'critical' : kind === 'cross' || kind === 'signal' ? 'info' : 'warning',
    close: price(symbol, t),
    volume: volume(symbol, t),
    value: kind === 'rule' ? null : (side ? 1 : -1) * (1 + 2.5 * hash(1, Math.floor(t) | 0, 3)),
  };
}
