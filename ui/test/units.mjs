// Checks of the pure parts, without a browser: bars, the URL, times, numbers. `node test/units.mjs`.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
const { Bars, mean } = await load('panels-bars');
const { Seconds } = await load('panels-seconds');
const { DEFAULTS, parse, print } = await load('state');
const time = await load('lib-time');
const { compact, decimals, duration, name, percent, price } = await load('lib-format');

const bar = (at, close, volume = 10) => ({ time: at, open: close, high: close, low: close, close, volume, trades: 1 });
const second = (at, close, volume, trades) => ['A', at * 1000, close, close + 1, close - 1, close, volume, trades];

let seconds = null;
/** Bars with a history, and the stream that moves them on. */
function both(step, history) {
  const bars = new Bars(step);
  bars.load(history, step);
  seconds = new Seconds();
  return [bars, (...told) => bars.grow(seconds, seconds.take('A', told))];
}

const tests = {
  'a second that comes again replaces its volume'() {
    const [bars, live] = both(60, [bar(60, 5, 100)]);
    live(second(100, 6, 10, 1));
    assert.equal(bars.last.volume, 100, 'what came first may be in the history already');
    live(second(101, 7, 10, 1));
    live(second(101, 7, 25, 3));
    live(second(102, 4, 5, 1));
    assert.deepEqual(bars.last, { time: 60, open: 5, high: 8, low: 3, close: 4, volume: 130, trades: 5 });
  },
  'a bar whose seconds are all known is made of them, whatever the history has'() {
    const [bars, live] = both(60, [bar(0, 1), bar(60, 5, 3)]);
    live(second(59, 1, 1, 1), second(61, 6, 10, 1), second(70, 7, 20, 2));
    assert.deepEqual(bars.last, { time: 60, open: 6, high: 8, low: 5, close: 7, volume: 30, trades: 3 });
    bars.patch([bar(60, 5, 4)]);
    bars.catchUp(seconds);
    assert.equal(bars.last.volume, 30, 'also after an answer that is behind');
  },
  'a new bar begins with the second that is in it'() {
    const [bars, live] = both(60, [bar(60, 5)]);
    live(second(121, 9, 3, 2));
    assert.equal(bars.list.length, 2);
    assert.deepEqual(bars.last, { time: 120, open: 9, high: 10, low: 8, close: 9, volume: 3, trades: 2 });
    live(second(61, 1, 1, 1));
    assert.equal(bars.list[0].close, 5, 'what is late waits for the next question');
  },
  'a stream that opens again counts nothing twice'() {
    const [bars, live] = both(3600, [bar(0, 5, 100)]);
    live(second(10, 5, 1, 1));
    live(second(11, 5, 7, 1));
    seconds.reopen();
    live(second(10, 5, 1, 1), second(11, 5, 7, 1), second(12, 5, 9, 1));
    assert.equal(bars.last.volume, 107);
    live(second(12, 5, 10, 2));
    assert.equal(bars.last.volume, 108);
  },
  'another symbol begins anew'() {
    const [bars, live] = both(60, [bar(60, 5)]);
    live(second(60, 1, 1, 1));
    seconds.take('B', [['B', 61_000, 1, 1, 1, 1, 1, 1]]);
    assert.ok(!seconds.covers(60) && seconds.covers(61));
    assert.equal(bars.list.length, 1);
  },
  'an answer replaces the end and keeps what the stream brought since'() {
    const [bars, live] = both(1, [bar(1, 1), bar(2, 2), bar(3, 3)]);
    live(second(5, 5, 1, 1));
    bars.changedFrom = Infinity;
    bars.patch([bar(2, 20), bar(3, 30), bar(4, 40)]);
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
    const [bars, live] = both(1, []);
    for (let at = 0; at < 10_000; at += 1) live(second(at, 1, 1, 1));
    assert.ok(bars.list.length <= 6000);
    assert.equal(bars.last.time, 9999);
  },
  'a mean waits for its window'() {
    const bars = [1, 2, 3, 4].map((close, at) => bar(at, close));
    assert.equal(mean(bars, 1, 3), null);
    assert.equal(mean(bars, 3, 3), 3);
  },
  'the URL gives back every view'() {
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
    const search = print(view, '?token=x');
    assert.deepEqual(parse(search), view);
    assert.ok(search.includes('token=x'), 'what the page does not know stays');
    assert.equal(print(DEFAULTS, ''), '');
    assert.deepEqual(parse(''), DEFAULTS);
    assert.deepEqual(parse('?range=99y&interval=3m&tz=mars&from=never'), DEFAULTS);
  },
  'wall clocks go both ways, also around a change of the clocks'() {
    const zone = 'America/New_York';
    for (const text of [
      '2025-03-09T01:59:59',
      '2025-03-09T03:00:00',
      '2025-11-02T00:30:00',
      '2025-11-02T02:30:00',
      '2025-07-01T12:00:00',
    ]) {
      assert.equal(time.toWall(time.fromWall(text, zone), zone), text);
    }
    assert.equal(time.fromWall('2025-11-21T09:30', zone), Date.parse('2025-11-21T14:30:00Z'));
    assert.equal(time.fromWall('nonsense', zone), null);
    assert.equal(time.clockMicros(1763733600123.456, 'UTC'), '14:00:00.123456');
    assert.equal(time.clock(Date.parse('2025-11-21T18:15:00Z'), 'Asia/Kathmandu', false), '00:00');
    assert.equal(time.zoneName('exchange', 'Mars/Base'), 'UTC');
  },
  'intervals fit the range'() {
    assert.equal(time.intervalFor(5 * 60_000), '1s');
    assert.equal(time.intervalFor(3_600_000), '15s');
    assert.equal(time.intervalFor(86_400_000), '5m');
    assert.equal(time.intervalFor(400 * 86_400_000), '1d');
    assert.equal(time.length('15s'), 15_000);
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
  'a name can not turn the text around it'() {
    assert.equal(name('a\u202eb\u0007'), 'a\ufffdb\ufffd');
    assert.equal(name('🚀<b>'), '🚀<b>');
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
