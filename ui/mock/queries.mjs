// Answers the named queries from the simulated market, in the format of the API: one array per column.

import { DAYS, SYMBOLS, TICK_MS, bar, event, known, price, tickTimes, volume } from './market.mjs';

const DAY = 86_400_000;
const UNIT = { s: 1000, m: 60_000, h: 3_600_000, d: DAY };
const length = (text) => Number(text.slice(0, -1)) * UNIT[text.at(-1)];
const dateOf = (ms) => new Date(ms).toISOString().slice(0, 10);

export class Refusal extends Error {
  constructor(status, message, hint = null) {
    super(message);
    this.status = status;
    this.hint = hint;
  }
}

function instant(text, now, name) {
  if (text === null) return null;
  if (/^\d+[smhd]$/.test(text)) return now - length(text);
  const ms = Date.parse(text);
  if (Number.isNaN(ms))
    throw new Refusal(400, `${name} is no time: ${text}`, 'write 2025-11-21, 2025-11-21T14:00:00Z or 2h');
  return ms;
}

const TYPES = {
  symbol: 'string',
  symbol_a: 'string',
  symbol_b: 'string',
  id: 'string',
  kind: 'string',
  name: 'string',
  side: 'string',
  severity: 'string',
  signal: 'string',
  cross_event: 'string',
  direction: 'string',
  source: 'string',
  trade_id: 'string',
  trade_date: 'date',
  confirmed: 'boolean',
  ts: 'timestamp',
  bar_start: 'timestamp',
  bar_end: 'timestamp',
  trades: 'bigint',
  kafka_partition: 'integer',
  kafka_offset: 'bigint',
  pairs: 'bigint',
};

function columnar(name, columns, rows, { limit, newest }) {
  const truncated = rows.length > limit;
  const kept = truncated ? (newest ? rows.slice(-limit) : rows.slice(0, limit)) : rows;
  return {
    name,
    columns: columns.map((column) => ({ name: column, type: TYPES[column] ?? 'double' })),
    rows: kept.length,
    data: columns.map((column) => kept.map((row) => row[column] ?? null)),
    truncated,
    table_version: 12,
    mode: 'live',
    took_ms: 3.2,
  };
}

const BAR = [
  'symbol',
  'bar_start',
  'bar_end',
  'open',
  'high',
  'low',
  'close',
  'avg_close',
  'volume',
  'vwap',
  'volatility',
  'change',
  'change_pct',
  'trades',
];

function bars({ symbols, from, to, interval, now }) {
  const step = length(interval);
  const rows = [];
  for (const symbol of symbols) {
    for (let start = Math.floor(from / step) * step; start < to; start += step) {
      const one = bar(symbol, start, step, Math.min(now, to));
      if (one) rows.push(one);
    }
  }
  return rows;
}

const wholeRange = (ask) =>
  ask.symbols.map((symbol) => bar(symbol, ask.from, Math.max(1000, ask.to - ask.from), ask.to)).filter(Boolean);

function newestTicks({ symbols, from, to, limit }) {
  const span = Math.ceil(((limit + 60) * TICK_MS) / symbols.length);
  const begin = Math.max(from, to - span);
  return symbols.flatMap((symbol) =>
    tickTimes(symbol, begin, to).map((ts) => ({ symbol, ts, close: price(symbol, ts), volume: volume(symbol, ts) })),
  );
}

function perSymbol(rows, act) {
  const groups = new Map();
  for (const row of rows) {
    const group = groups.get(row.symbol) ?? [];
    group.push(row);
    groups.set(row.symbol, group);
  }
  return [...groups.values()].flatMap(act);
}

const mean = (rows, at, n, of = 'close') =>
  at + 1 < n ? null : rows.slice(at - n + 1, at + 1).reduce((sum, row) => sum + row[of], 0) / n;

function deviation(rows, at, n) {
  const m = mean(rows, at, n);
  return m === null
    ? null
    : Math.sqrt(rows.slice(at - n + 1, at + 1).reduce((sum, row) => sum + (row.close - m) ** 2, 0) / (n - 1));
}

const EVENT = ['symbol', 'ts', 'kind', 'name', 'side', 'confirmed', 'severity', 'close', 'volume', 'value', 'id'];
const TICK = [
  'symbol',
  'ts',
  'open',
  'high',
  'low',
  'close',
  'volume',
  'trade_id',
  'source',
  'kafka_partition',
  'kafka_offset',
];

const QUERIES = {
  bars: (ask) => [BAR, bars(ask)],
  daily_summary(ask) {
    const first = Math.floor(ask.from / DAY) * DAY;
    const rows = bars({ ...ask, from: first, interval: '1d' }).map((row) => ({
      ...row,
      trade_date: dateOf(row.bar_start),
    }));
    return [
      ['symbol', 'trade_date', ...BAR.slice(3)],
      rows.sort((a, b) =>
        a.trade_date < b.trade_date ? -1 : a.trade_date > b.trade_date ? 1 : a.symbol < b.symbol ? -1 : 1,
      ),
    ];
  },
  volume_by_symbol(ask) {
    const rows = wholeRange(ask);
    const total = rows.reduce((sum, row) => sum + row.volume, 0);
    for (const row of rows) row.share_pct = (row.volume / total) * 100;
    return [['symbol', 'volume', 'share_pct', 'trades'], rows.sort((a, b) => b.volume - a.volume)];
  },
  volatility_share(ask) {
    const rows = wholeRange(ask);
    const total = rows.reduce((sum, row) => sum + (row.volatility ?? 0), 0);
    for (const row of rows) row.share_pct = ((row.volatility ?? 0) / total) * 100;
    return [['symbol', 'volatility', 'share_pct', 'trades'], rows.sort((a, b) => b.share_pct - a.share_pct)];
  },
  trend_volatility: (ask) => [
    ['symbol', 'max_sma', 'max_volatility', 'ticks'],
    wholeRange(ask).map((row) => ({
      symbol: row.symbol,
      max_sma: row.high * 0.998,
      max_volatility: (row.volatility ?? 0) * 0.2,
      ticks: row.trades,
    })),
  ],
  correlation(ask) {
    const step = length(ask.interval);
    const begin = Math.max(ask.from, ask.to - 300 * step);
    const returns = new Map(
      ask.symbols.slice(0, 20).map((symbol) => {
        const list = [];
        for (let t = begin; t < ask.to; t += step) list.push(Math.log(price(symbol, t + step) / price(symbol, t)));
        return [symbol, list];
      }),
    );
    const rows = [];
    const names = [...returns.keys()].sort();
    names.forEach((a, at) =>
      names.slice(at + 1).forEach((b) =>
        rows.push({
          symbol_a: a,
          symbol_b: b,
          correlation: pearson(returns.get(a), returns.get(b)),
          pairs: returns.get(a).length,
        }),
      ),
    );
    return [['symbol_a', 'symbol_b', 'correlation', 'pairs'], rows.sort((a, b) => b.correlation - a.correlation)];
  },
  moving_averages: (ask) => [
    ['symbol', 'ts', 'close', 'volume', 'ma_5', 'ma_10', 'ma_20', 'volume_avg_5', 'volume_avg_10'],
    perSymbol(newestTicks(ask), (rows) =>
      rows.map((row, at) => ({
        ...row,
        ma_5: mean(rows, at, 5),
        ma_10: mean(rows, at, 10),
        ma_20: mean(rows, at, 20),
      })),
    ),
  ],
  volatility: (ask) => [
    ['symbol', 'ts', 'close', 'volatility'],
    perSymbol(newestTicks(ask), (rows) => rows.map((row, at) => ({ ...row, volatility: deviation(rows, at, 10) }))),
  ],
  sma_crossover(ask) {
    const rows = perSymbol(newestTicks(ask), (list) => {
      let before = 0;
      return list.map((row, at) => {
        const [fast, slow] = [mean(list, at, 9), mean(list, at, 21)];
        const sign = slow === null ? 0 : Math.sign(fast - slow);
        const cross = sign !== 0 && before !== 0 && sign !== before ? (sign > 0 ? 'golden' : 'death') : null;
        if (sign !== 0) before = sign;
        return {
          ...row,
          sma_fast: fast,
          sma_slow: slow,
          cross_event: cross,
          confirmed: row.volume > (list[at - 1]?.volume ?? Infinity),
          signal: 'Hold',
        };
      });
    });
    return [['symbol', 'ts', 'close', 'volume', 'sma_fast', 'sma_slow', 'signal', 'cross_event', 'confirmed'], rows];
  },
  zscore_anomalies(ask) {
    const rows = perSymbol(newestTicks(ask), (list) =>
      list.flatMap((row, at) => {
        const m = at > 0 ? mean(list, at - 1, 20) : null;
        const d = at > 0 ? deviation(list, at - 1, 20) : null;
        const z = d > 0 ? (row.close - m) / d : null;
        return z !== null && Math.abs(z) > 2 ? [{ ...row, zscore: z, direction: z > 0 ? 'High' : 'Low' }] : [];
      }),
    );
    return [['symbol', 'ts', 'close', 'zscore', 'direction'], rows];
  },
  latest: (ask) => [
    ['symbol', 'ts', 'close', 'volume', 'prev_close', 'change', 'change_pct'],
    ask.symbols.map((symbol) => ({ symbol, ts: ask.to, close: price(symbol, ask.to), volume: volume(symbol, ask.to) })),
  ],
  ticks(ask) {
    const to = ask.before ?? ask.to;
    const rows = newestTicks({ ...ask, to }).sort((a, b) => b.ts - a.ts);
    return [
      TICK,
      rows.map((row) => ({
        ...row,
        open: row.close,
        high: row.close,
        low: row.close,
        trade_id: String(Math.floor(row.ts) % 1e8),
        source: 'simulated',
        kafka_partition: SYMBOLS.indexOf(row.symbol) % 4,
        kafka_offset: Math.floor(row.ts / TICK_MS),
      })),
    ];
  },
  signals(ask) {
    if (ask.state.signals === 'off') return [EVENT, []];
    const rows = [];
    const stride = Math.max(1000, Math.floor((ask.to - Math.max(ask.from, ask.to - DAY)) / 4000 / 1000) * 1000);
    for (
      let t = ask.to - (ask.to % stride);
      t > Math.max(ask.from, ask.to - DAY) && rows.length < ask.limit;
      t -= stride
    ) {
      for (const symbol of ask.symbols) {
        const one = event(symbol, t, ask.symbols.length > 5 ? 0.004 : 0.02);
        if (one && (ask.kinds === null || ask.kinds.includes(one.kind))) rows.push(one);
      }
    }
    return [EVENT, rows];
  },
};

function pearson(a, b) {
  const n = a.length;
  const [ma, mb] = [a, b].map((list) => list.reduce((x, y) => x + y, 0) / n);
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < n; i += 1) {
    ab += (a[i] - ma) * (b[i] - mb);
    aa += (a[i] - ma) ** 2;
    bb += (b[i] - mb) ** 2;
  }
  return aa * bb > 0 ? ab / Math.sqrt(aa * bb) : null;
}

export const NAMES = Object.keys(QUERIES);

export function answer(name, search, state) {
  const run = QUERIES[name];
  if (!run) throw new Refusal(404, `there is no query ${name}`, `one of ${NAMES.join(', ')}`);
  const now = state.frozen ?? Date.now();
  const chosen = search.getAll('symbol');
  for (const one of chosen) if (!known(one)) throw new Refusal(400, `unknown symbol ${one}`);
  const first = Math.floor(now / DAY) * DAY - (DAYS - 1) * DAY;
  const from = Math.max(first, instant(search.get('from'), now, 'from') ?? first);
  const to = Math.min(now, instant(search.get('to'), now, 'to') ?? now);
  if (search.get('from') && search.get('to') && from >= to)
    throw new Refusal(400, 'from is not before to', 'swap them');
  const before = search.get('before');
  const interval = search.get('interval') ?? '5m';
  if (!/^\d+[smhd]$/.test(interval)) throw new Refusal(400, `interval is no length: ${interval}`);
  const limit = Number(search.get('limit') ?? 5000);
  const ask = {
    symbols: chosen.length > 0 ? chosen : SYMBOLS,
    from,
    to,
    before: before === null ? null : Number(before),
    interval,
    now,
    limit,
    state,
    kinds: search.get('p.kind')?.split(',') ?? null,
  };
  if (from >= to) return columnar(name, run({ ...ask, from: to - 1000 })[0], [], { limit, newest: false });
  const [columns, rows] = run(ask);
  const newest = search.get('order') === 'newest' && name !== 'signals';
  return { ...columnar(name, columns, rows, { limit, newest }), mode: state.mode };
}

const quote = (text) => `'${text.replaceAll("'", "''")}'`;

export function sql(name, search) {
  const where = [
    ...(search.has('symbol') ? [`symbol IN (${search.getAll('symbol').map(quote).join(', ')})`] : []),
    ...(search.has('from') ? [`ts >= TIMESTAMP ${quote(search.get('from'))}`] : []),
    ...(search.has('to') ? [`ts < TIMESTAMP ${quote(search.get('to'))}`] : []),
  ];
  const filter = where.length > 0 ? `WHERE ${where.join('\n  AND ')}\n` : '';
  return `-- ${name}\nSELECT *\nFROM ticks\n${filter}ORDER BY symbol, ts\n`;
}
