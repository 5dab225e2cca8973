// Simulates the dashboard's server: the whole HTTP API over made-up data, for tests of the page and work on it. Run it
// with `node mock/server.mjs [PORT]`. GET /mock/set?.. makes it misbehave:
//   empty=1|0  mode=live|snapshot  signals=on|off  fail=NAME:STATUS (several)  slow=MS  mute=1|0 (the stream falls
//   silent)  drop=1 (ends all streams)  refuse=1|0 (streams get 503)  events=PART (chance of an event per symbol)
//   pipeline_error=TEXT  reset=1

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { createHash } from 'node:crypto';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DAYS, SYMBOLS, TICK_MS, bar, event, rolling } from './market.mjs';
import { NAMES, Refusal, answer, sql } from './queries.mjs';

const DIST = fileURLToPath(new URL('../dist/', import.meta.url));
const CSP = [
  "default-src 'self'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');
const KINDS = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
};
const DAY = 86_400_000;
const ROW_LIMIT = 20_000;
const RECENT_SECONDS = 120;
const FRESH = {
  empty: false,
  mode: 'live',
  signals: 'on',
  fail: {},
  slow: 0,
  mute: false,
  refuse: false,
  events: 0.004,
  pipeline_error: null,
};

export function start(port = 0) {
  const state = structuredClone(FRESH);
  const streams = new Set();
  const began = Date.now();

  const meta = () => {
    if (state.empty) {
      return {
        version: '0.1.0',
        empty: true,
        message: 'there is no lake in /data/lake',
        command: 'tickhouse ingest --table /data/lake --brokers 127.0.0.1:9092 --topic ticks',
      };
    }
    const now = Date.now();
    return {
      version: '0.1.0',
      table: '/data/lake',
      topic: 'ticks',
      market_zone: 'America/New_York',
      mode: state.mode,
      table_version: 12,
      rows: 10_000_000,
      first_date: new Date(now - (DAYS - 1) * DAY).toISOString().slice(0, 10),
      last_date: new Date(now).toISOString().slice(0, 10),
      newest_ts: now,
      server_time: now,
      row_limit: ROW_LIMIT,
      queries: NAMES.map((name) => ({ name, summary: name, params: name === 'signals' ? [{ name: 'kind' }] : [] })),
    };
  };

  const send = (request, response, status, type, body, extra = {}) => {
    const headers = {
      'content-type': type,
      'content-security-policy': CSP,
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
      ...extra,
    };
    let bytes = Buffer.from(body);
    if (/gzip/.test(request.headers['accept-encoding'] ?? '') && bytes.length > 1000) {
      bytes = gzipSync(bytes);
      headers['content-encoding'] = 'gzip';
    }
    response.writeHead(status, { ...headers, 'content-length': bytes.length }).end(bytes);
  };
  const json = (request, response, status, value) =>
    send(request, response, status, 'application/json', JSON.stringify(value));

  const asset = async (request, response, path) => {
    if (!/^(index\.html|assets\/[\w.-]+)$/.test(path)) throw new Refusal(404, `there is no ${path}`);
    const bytes = await readFile(DIST + path).catch(() => {
      throw new Refusal(404, `there is no ${path}`, 'npm run build creates it');
    });
    const etag = `"${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}"`;
    if (request.headers['if-none-match'] === etag)
      return response.writeHead(304, { etag, 'content-security-policy': CSP }).end();
    send(request, response, 200, KINDS[extname(path)] ?? 'application/octet-stream', bytes, {
      etag,
      'cache-control': 'no-cache',
    });
  };

  const control = (search) => {
    if (search.has('reset')) Object.assign(state, structuredClone(FRESH));
    for (const name of ['empty', 'mute', 'refuse']) if (search.has(name)) state[name] = search.get(name) === '1';
    for (const name of ['mode', 'signals', 'pipeline_error']) if (search.has(name)) state[name] = search.get(name);
    for (const name of ['slow', 'events']) if (search.has(name)) state[name] = Number(search.get(name));
    for (const fail of search.getAll('fail')) state.fail[fail.split(':')[0]] = Number(fail.split(':')[1]);
    if (search.has('drop')) for (const stream of streams) stream.response.end();
  };

  const stream = (request, response, search) => {
    if (state.refuse) throw new Refusal(503, 'the stream is not there', 'is the broker running?');
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'content-security-policy': CSP,
      'cache-control': 'no-store',
    });
    const one = { response, symbols: search.getAll('symbol').slice(0, 20), full: true };
    streams.add(one);
    request.on('close', () => streams.delete(one));
    sendEvent(one, 'hello', {
      server_time: Date.now(),
      columns: Object.keys(rolling(SYMBOLS[0], Date.now()).values),
      mode: state.mode,
    });
    tiles(one);
    pipeline(one);
  };
  const sendEvent = ({ response }, name, value) => response.write(`event: ${name}\ndata: ${JSON.stringify(value)}\n\n`);

  let states = null;
  const tiles = (one) => {
    if (state.mode !== 'live') return;
    const now = Date.now();
    if (states === null || now - states.t > 200)
      states = { t: now, all: SYMBOLS.map((symbol) => rolling(symbol, now)) };
    const columns = Object.keys(states.all[0].values);
    sendEvent(one, 'tiles', {
      t: now,
      full: one.full,
      symbol: SYMBOLS,
      ts: SYMBOLS.map(() => now),
      signal: states.all.map(({ signal }) => signal),
      values: columns.map((column) => states.all.map(({ values }) => values[column])),
    });
    const past = one.full
      ? one.symbols.filter((symbol) => SYMBOLS.includes(symbol)).flatMap((symbol) => recent(symbol, now))
      : [];
    if (past.length > 0) sendEvent(one, 'bars', past);
    one.full = false;
    const second = Math.floor(now / 1000) * 1000;
    const list = one.symbols
      .filter((symbol) => SYMBOLS.includes(symbol))
      .flatMap((symbol) => {
        const made = bar(symbol, second, 1000, now + 1);
        const parts = Math.ceil((now - second + 1) / 250);
        return made
          ? [
              [
                symbol,
                second,
                made.open,
                made.high,
                made.low,
                states.all[SYMBOLS.indexOf(symbol)].values.close,
                (made.volume * parts) / 4,
                parts,
              ],
            ]
          : [];
      });
    if (list.length > 0) sendEvent(one, 'bars', list);
    const events = SYMBOLS.map((symbol) => event(symbol, now, state.events)).filter(Boolean);
    if (events.length > 0) sendEvent(one, 'events', events);
  };
  /** A new tab gets the last seconds, because the table may be behind the stream by that much. */
  const recent = (symbol, now) =>
    Array.from({ length: RECENT_SECONDS }, (_, back) => Math.floor(now / 1000 - RECENT_SECONDS + back) * 1000).flatMap(
      (second) => {
        const one = bar(symbol, second, 1000, now);
        return one ? [[symbol, second, one.open, one.high, one.low, one.close, one.volume, one.trades]] : [];
      },
    );
  const pipeline = (one) => {
    const now = Date.now();
    const live = state.mode === 'live';
    const ticks = Math.floor(((now - began) / 1000) * 50_000);
    sendEvent(one, 'pipeline', {
      rate: live ? 50_000 + 1500 * Math.sin(now / 3000) : 0,
      ticks: live ? ticks : 0,
      late: live ? Math.floor(ticks / 90_000) : 0,
      scattered: 0,
      lag_messages: live ? 800 + (now % 700) : null,
      lag_seconds: live ? 0.02 + (now % 50) / 1000 : null,
      newest_ts: now,
      last_commit: now - (now % 30_000),
      table_version: 12 + Math.floor((now - began) / 30_000),
      rows: 10_000_000 + (live ? ticks : 0),
      dead_letters: 3,
      files: 148,
      events: Math.floor(ticks / 400),
      tabs: streams.size,
      trouble: state.pipeline_error,
    });
  };
  const fast = setInterval(() => !state.mute && streams.forEach(tiles), 250);
  const slow = setInterval(() => !state.mute && streams.forEach(pipeline), 1000);

  const route = async (request, response) => {
    const url = new URL(request.url, 'http://mock');
    const { pathname: path, searchParams: search } = url;
    if (request.method !== 'GET') throw new Refusal(405, 'GET only');
    if (path === '/mock/set') {
      control(search);
      return json(request, response, 200, { ...state, tick_ms: TICK_MS });
    }
    if (!path.startsWith('/api/')) return asset(request, response, path === '/' ? 'index.html' : path.slice(1));
    const name = path.split('/')[3] ?? path.split('/')[2];
    if (state.slow > 0) await new Promise((resolve) => setTimeout(resolve, state.slow));
    if (state.fail[name])
      throw new Refusal(
        state.fail[name],
        `the store is unreachable: connection refused (${name})`,
        'check --table and the keys of the store',
      );
    if (path === '/api/meta') return json(request, response, 200, meta());
    if (path === '/api/symbols') return json(request, response, 200, { symbols: state.empty ? [] : SYMBOLS });
    if (path === '/api/stream') return stream(request, response, search);
    const query = /^\/api\/q\/(\w+)(\/sql)?$/.exec(path);
    if (!query) throw new Refusal(404, `there is no ${path}`);
    if (query[2]) return send(request, response, 200, 'text/plain; charset=utf-8', sql(query[1], search));
    const made = answer(query[1], search, state);
    const format = search.get('format');
    if (format === 'csv' || format === 'parquet') {
      const lines =
        made.data[0]?.map((_, row) => made.data.map((column) => JSON.stringify(column[row])).join(',')) ?? [];
      const type = format === 'csv' ? 'text/csv' : 'application/vnd.apache.parquet';
      return send(
        request,
        response,
        200,
        type,
        [made.columns.map((column) => column.name).join(','), ...lines].join('\n'),
        { 'content-disposition': `attachment; filename="${query[1]}.${format}"` },
      );
    }
    json(request, response, 200, made);
  };

  const server = createServer((request, response) => {
    route(request, response).catch((cause) => {
      if (!(cause instanceof Refusal)) console.error(cause);
      if (response.headersSent) return response.destroy();
      json(request, response, cause.status ?? 500, { error: { message: cause.message, hint: cause.hint ?? null } });
    });
  });
  return new Promise((resolve) => {
    server.listen(port, '127.0.0.1', () => {
      const close = () => {
        clearInterval(fast);
        clearInterval(slow);
        for (const one of streams) one.response.destroy();
        return new Promise((done) => server.close(done));
      };
      resolve({ url: `http://127.0.0.1:${server.address().port}`, close, state });
    });
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { url } = await start(Number(process.argv[2] ?? 8787));
  console.log(`the page, with made-up data: ${url}`);
}
