// Measures what the page costs: its size over the wire, and main-thread tasks and memory while 120 symbols tick.

import { check, open, settle } from './support.mjs';

const MAX_BYTES = 400_000;
const P95_MS = 16;

export async function weight(browser, base) {
  const { page, close } = await open(browser, base, '/', {});
  const session = await page.context().newCDPSession(page);
  await session.send('Network.enable');
  await session.send('Network.setCacheDisabled', { cacheDisabled: true });
  const assets = new Map();
  const urls = new Map();
  session.on('Network.responseReceived', ({ requestId, response }) => urls.set(requestId, response.url));
  session.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    const url = urls.get(requestId) ?? '';
    if (!url.includes('/api/')) assets.set(url, encodedDataLength);
  });
  await page.reload();
  await settle(page);
  const bytes = [...assets.values()].reduce((sum, one) => sum + one, 0);
  check(
    bytes > 10_000 && bytes < MAX_BYTES,
    `the page weighs ${Math.round(bytes / 1000)} kB over the wire, in ${assets.size} files`,
  );
  await close();
}

export async function tasks(browser, base, symbol, seconds) {
  const { page, close } = await open(browser, base, `/?${symbol}`, {});
  const ids = await settle(page);
  await page.waitForTimeout(1000);
  const session = await page.context().newCDPSession(page);
  const heap = async () => {
    await session.send('HeapProfiler.collectGarbage');
    return (await page.evaluate(() => performance.memory.usedJSHeapSize)) / 1e6;
  };
  const before = await heap();
  await page.evaluate(() => {
    window.longTasks = [];
    new PerformanceObserver((list) => window.longTasks.push(...list.getEntries().map((one) => one.duration))).observe({
      type: 'longtask',
    });
  });
  const events = [];
  session.on('Tracing.dataCollected', ({ value }) => events.push(...value));
  await session.send('Tracing.start', {
    transferMode: 'ReportEvents',
    traceConfig: {
      includedCategories: ['toplevel', 'disabled-by-default-devtools.timeline', 'devtools.timeline', '__metadata'],
    },
  });
  const stops = ['price', ids[Math.floor(ids.length / 2)], ids.at(-1), 'price'];
  for (const stop of stops) {
    await page.evaluate((id) => document.getElementById(id).scrollIntoView(), stop);
    await page.waitForTimeout((seconds * 1000) / stops.length);
  }
  const complete = new Promise((resolve) => session.once('Tracing.tracingComplete', resolve));
  await session.send('Tracing.end');
  await complete;
  const main = new Set(
    events
      .filter((event) => event.name === 'thread_name' && event.args?.name === 'CrRendererMain')
      .map((event) => `${event.pid}/${event.tid}`),
  );
  const own = events.filter(
    (event) => event.ph === 'X' && event.name === 'RunTask' && main.has(`${event.pid}/${event.tid}`),
  );
  const long = await page.evaluate(() => window.longTasks);
  const sorted = (of) => own.map((event) => (event[of] ?? 0) / 1000).sort((a, b) => a - b);
  const at = (list, part) => list[Math.min(list.length - 1, Math.floor(list.length * part))] ?? 0;
  const percentiles = (list) => [0.5, 0.95, 0.99, 1].map((part) => at(list, part).toFixed(1)).join(', ');
  const [wall, cpu] = [sorted('dur'), sorted('tdur')];
  const worked = [wall, cpu].map((list) => list.filter((one) => one >= 1));
  console.log(
    `       ${own.length} tasks in ${seconds} s, ${long.length} over 50 ms; ` +
      `ms at p50, p95, p99 and longest: ${percentiles(wall)}; of CPU ${percentiles(cpu)}`,
  );
  console.log(
    `       the ${worked[0].length} tasks over 1 ms: ${percentiles(worked[0])}; of CPU ${percentiles(worked[1])}`,
  );
  check(own.length > 100 && at(wall, 0.95) < P95_MS, `p95 of all tasks is ${at(wall, 0.95).toFixed(1)} ms`);
  console.log(`       main thread ${(cpu.reduce((sum, one) => sum + one, 0) / (seconds * 10)).toFixed(1)} % busy`);
  const after = await heap();
  check(after < before * 1.5 + 5, `memory stays: ${before.toFixed(1)} MB, then ${after.toFixed(1)} MB`);
  await close();
}
