// Measures the memory of the server and of an open page over time: `node test/soak.mjs --pid PID --base URL [--minutes
// 30] [--out FILE]`. One tab scrolls through all panels; every 30 s this records the resident memory of the process,
// and the page's heap and nodes after a collection. It exits with 1 if the last third exceeds the second third by more
// than a tenth and 8 MiB.

import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { launch } from './support.mjs';

const EVERY_MS = 30_000;
const MIB = 1 << 20;
const { values } = parseArgs({
  options: {
    pid: { type: 'string' },
    base: { type: 'string' },
    minutes: { type: 'string', default: '30' },
    out: { type: 'string' },
  },
});
const base = values.base.replace(/\/$/, '');

const resident = () => Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${values.pid}/status`, 'utf8'))[1]) * 1024;

const browser = await launch();
const page = await (await browser.newContext({ viewport: { width: 1440, height: 900 } })).newPage();
const problems = [];
page.on('pageerror', (error) => problems.push(String(error)));
const { symbols } = await (await fetch(`${base}/api/symbols`)).json();
await page.goto(`${base}/?${new URLSearchParams(symbols.slice(0, 3).map((symbol) => ['symbol', symbol]))}`);
const session = await page.context().newCDPSession(page);
await session.send('Performance.enable');

const lines = ['minute,server_mib,page_heap_mib,page_nodes'];
const samples = [];
const ends = Date.now() + Number(values.minutes) * 60_000;
for (let turn = 0; Date.now() < ends; turn += 1) {
  // Charts are drawn only while they are on the screen.
  await page.evaluate((turn) => window.scrollTo(0, (turn % 4) * window.innerHeight), turn);
  await page.waitForTimeout(EVERY_MS);
  await session.send('HeapProfiler.collectGarbage');
  const metrics = new Map(
    (await session.send('Performance.getMetrics')).metrics.map(({ name, value }) => [name, value]),
  );
  const sample = { server: resident(), heap: metrics.get('JSHeapUsedSize'), nodes: metrics.get('Nodes') };
  samples.push(sample);
  lines.push(
    [((turn + 1) / 2).toFixed(1), (sample.server / MIB).toFixed(1), (sample.heap / MIB).toFixed(1), sample.nodes].join(
      ',',
    ),
  );
  if (values.out) writeFileSync(values.out, `${lines.join('\n')}\n`);
}
await browser.close();
console.log(lines.join('\n'));

const median = (numbers) => numbers.sort((one, other) => one - other)[Math.floor(numbers.length / 2)];
const third = Math.floor(samples.length / 3);
let failed = false;
for (const what of ['server', 'heap']) {
  const middle = median(samples.slice(third, 2 * third).map((sample) => sample[what]));
  const last = median(samples.slice(2 * third).map((sample) => sample[what]));
  const grows = last > middle * 1.1 && last > middle + 8 * MIB;
  failed ||= grows;
  console.log(
    `${what}: ${(middle / MIB).toFixed(1)} MiB, then ${(last / MIB).toFixed(1)} MiB: ${grows ? 'grows' : 'flat'}`,
  );
}
console.log(problems.length === 0 ? 'no errors on the page' : `${problems.length} errors on the page: ${problems[0]}`);
process.exitCode = failed || problems.length > 0 ? 1 : 0;
