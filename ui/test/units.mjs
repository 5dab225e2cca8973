// Checks the parts that need no browser: bars, the URL, times, numbers, imports. Run it with `node test/units.mjs`.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL, fileURLToPath } from 'node:url';
import { build } from 'vite';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'tickhouse-ui-'));
const parts = ['panels/bars', 'panels/seconds', 'state', 'lib/time', 'lib/format'];
await build({
  root,
  configFile: false,
  logLevel: 'error',
  publicDir: false,
  build: {
    outDir: folder,
    lib: {
      entry: Object.fromEntries(parts.map((part) => [part.replace('/', '-'), join(root, 'src', `${part}.ts`)])),
      formats: ['es'],
      fileName: (_, name) => `${name}.mjs`,
    },
  },
});
const load = (name) => import(pathToFileURL(join(folder, `${name}.mjs`)).href);
const { BarSeries, meanClose } = await load('panels-bars');
const { SecondBars } = await load('panels-seconds');
const { DEFAULTS, parseView, printView } = await load('state');
const time = await load('lib-time');
const { compact, decimals, duration, percent, price, printable } = await load('lib-format');

const bar = (at, close, volume = 10) => ({ time: at, open: close, high: close, low: close, close, volume, trades: 1 });
const second = (at, close, volume, trades) => ['A', at * 1000, close, close + 1, close - 1, close, volume, trades];

let seconds = null;
/** A series loaded from history, and a function that applies second bars from the stream to it. */
function seriesWithStream(step, history) {
  const bars = new BarSeries(step);
  bars.load(history, step);
  seconds = new SecondBars();
  return [bars, (...received) => bars.applyUpdates(seconds, seconds.update('A', received))];
}

/** The relative imports of every source, types included, as paths below src without their extension. */
function importsOfSources() {
  const src = join(root, 'src');
  const sources = readdirSync(src, { recursive: true }).filter((path) => path.endsWith('.ts'));
  return new Map(
    sources.map((path) => {
      const text = readFileSync(join(src, path), 'utf8');
      const imports = [...text.matchAll(/(?:from |import\()'(\.[^']*)'/g)].map(([, name]) =>
        relative(src, join(src, dirname(path), name)),
      );
      return [path.replace(/\.ts$/, ''), imports];
    }),
  );
}

const tests = {
  'a repeated second replaces its volume'() {
    const [bars, live] = seriesWithStream(60, [bar(60, 5, 100)]);
    live(second(100, 6, 10, 1));
    assert.equal(bars.last.volume, 100, 'the first seconds may be in the history already');
    live(second(101, 7, 10, 1));
    live(second(101, 7, 25, 3));
    live(second(102, 4, 5, 1));
    assert.deepEqual(bars.last, { time: 60, open: 5, high: 8, low: 3, close: 4, volume: 130, trades: 5 });
  },
  'a bar whose seconds are all known is rebuilt from them, whatever the history has'() {
    const [bars, live] = seriesWithStream(60, [bar(0, 1), bar(60, 5, 3)]);
    live(second(59, 1, 1, 1), second(61, 6, 10, 1), second(70, 7, 20, 2));
    assert.deepEqual(bars.last, { time: 60, open: 6, high: 8, low: 5, close: 7, volume: 30, trades: 3 });
    bars.replaceTail([bar(60, 5, 4)]);
    bars.catchUp(seconds);
    assert.equal(bars.last.volume, 30, 'also after an answer that is behind the stream');
  },
  'a new bar begins with the second that is in it'() {
    const [bars, live] = seriesWithStream(60, [bar(60, 5)]);
    live(second(121, 9, 3, 2));
    assert.equal(bars.list.length, 2);
    assert.deepEqual(bars.last, { time: 120, open: 9, high: 10, low: 8, close: 9, volume: 3, trades: 2 });
    live(second(61, 1, 1, 1));
    assert.equal(bars.list[0].close, 5, 'a late second waits for the next refresh');
  },
  'a reopened stream counts nothing twice'() {
    const [bars, live] = seriesWithStream(3600, [bar(0, 5, 100)]);
    live(second(10, 5, 1, 1));
    live(second(11, 5, 7, 1));
    seconds.reopen();
    live(second(10, 5, 1, 1), second(11, 5, 7, 1), second(12, 5, 9, 1));
    assert.equal(bars.last.volume, 107);
    live(second(12, 5, 10, 2));
    assert.equal(bars.last.volume, 108);
  },
  'another symbol starts from scratch'() {
    const [bars, live] = seriesWithStream(60, [bar(60, 5)]);
    live(second(60, 1, 1, 1));
    seconds.update('B', [['B', 61_000, 1, 1, 1, 1, 1, 1]]);
    assert.ok(!seconds.isCompleteFrom(60) && seconds.isCompleteFrom(61));
    assert.equal(bars.list.length, 1);
  },
  'an answer replaces the end and keeps the newer bars of the stream'() {
    const [bars, live] = seriesWithStream(1, [bar(1, 1), bar(2, 2), bar(3, 3)]);
    live(second(5, 5, 1, 1));
    bars.changedFrom = Infinity;
    bars.replaceTail([bar(2, 20), bar(3, 30), bar(4, 40)]);
    assert.deepEqual(
      bars.list.map((one) => [one.time, one.close]),
      [
        [1, 1],
        [2, 20],
        [3, 30],
        [4, 40],
        [5, 5],
      ],
    );
    assert.equal(bars.changedFrom, 1);
  },
  'bars are bounded'() {
    const [bars, live] = seriesWithStream(1, []);
    for (let at = 0; at < 10_000; at += 1) live(second(at, 1, 1, 1));
    assert.ok(bars.list.length <= 6000);
    assert.equal(bars.last.time, 9999);
  },
  'a mean waits for its window'() {
    const bars = [1, 2, 3, 4].map((close, at) => bar(at, close));
    assert.equal(meanClose(bars, 1, 3), null);
    assert.equal(meanClose(bars, 3, 3), 3);
  },
  'the URL restores every view'() {
    const view = {
      ...DEFAULTS,
      symbols: ['<script>', '../x', '🚀'.repeat(16), 'A&b=c', 'é +%'],
      range: 'custom',
      from: 1763733600000,
      to: 1763737200000,
      interval: '15m',
      show: ['ma5', 'signals'],
      zone: 'utc',
      theme: 'light',
      refresh: 'off',
      paused: true,
      tiles: 'loss',
      feed: 'rule',
      history: 'all',
    };
    const search = printView(view, '?token=x');
    assert.deepEqual(parseView(search), view);
    assert.ok(search.includes('token=x'), 'unknown parameters are kept');
    assert.equal(printView(DEFAULTS, ''), '');
    assert.deepEqual(parseView(''), DEFAULTS);
    assert.deepEqual(parseView('?range=99y&interval=3m&tz=mars&from=never'), DEFAULTS);
  },
  'wall clock times convert both ways, also around a change of the clocks'() {
    const zone = 'America/New_York';
    for (const text of [
      '2025-03-09T01:59:59',
      '2025-03-09T03:00:00',
      '2025-11-02T00:30:00',
      '2025-11-02T02:30:00',
      '2025-07-01T12:00:00',
    ]) {
      assert.equal(time.toWallClock(time.fromWallClock(text, zone), zone), text);
    }
    assert.equal(time.fromWallClock('2025-11-21T09:30', zone), Date.parse('2025-11-21T14:30:00Z'));
    assert.equal(time.fromWallClock('nonsense', zone), null);
    assert.equal(time.clockMicros(1763733600123.456, 'UTC'), '14:00:00.123456');
    assert.equal(time.clock(Date.parse('2025-11-21T18:15:00Z'), 'Asia/Kathmandu', false), '00:00');
    assert.equal(time.zoneName('exchange', 'Mars/Base'), 'UTC');
  },
  'intervals fit the range'() {
    assert.equal(time.intervalFor(5 * 60_000), '1s');
    assert.equal(time.intervalFor(3_600_000), '15s');
    assert.equal(time.intervalFor(86_400_000), '5m');
    assert.equal(time.intervalFor(400 * 86_400_000), '1d');
    assert.equal(time.parseDuration('15s'), 15_000);
  },
  'numbers read as they were quoted'() {
    assert.equal(price(187.3), '187.30');
    assert.equal(price(1.08345), '1.08345');
    assert.equal(price(null), '–');
    assert.equal(price(Number.NaN), '–');
    assert.equal(decimals(101.123456789), 2);
    assert.equal(percent(-1.234), '−1.23%');
    assert.equal(percent(0.5), '+0.50%');
    assert.equal(compact(9999), '9,999');
    assert.equal(compact(1_234_567), '1.23M');
    assert.equal(duration(0.02), '20 ms');
    assert.equal(duration(7200), '2.0 h');
  },
  'no sources import each other in a cycle'() {
    const imports = importsOfSources();
    assert.ok(imports.get('main').length > 20);
    const done = new Set();
    const visit = (name, path) => {
      assert.ok(!path.includes(name), `a cycle of imports: ${[...path, name].join(' -> ')}`);
      if (done.has(name)) return;
      for (const next of imports.get(name) ?? []) visit(next, [...path, name]);
      done.add(name);
    };
    for (const name of imports.keys()) visit(name, []);
  },
  'a name cannot change the text around it'() {
    assert.equal(printable('a\u202eb\u0007'), 'a\ufffdb\ufffd');
    assert.equal(printable('🚀<b>'), '🚀<b>');
  },
};

let wrong = 0;
for (const [title, act] of Object.entries(tests)) {
  try {
    act();
    console.log(`  ok    ${title}`);
  } catch (cause) {
    wrong += 1;
    console.log(`  FAIL  ${title}\n${cause.stack}`);
  }
}
rmSync(folder, { recursive: true });
process.exitCode = wrong === 0 ? 0 : 1;
