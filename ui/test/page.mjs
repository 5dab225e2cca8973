// Checks the page in Chromium: `node test/page.mjs [--base URL] [--out DIR] [--only NAME,..] [--seconds N]`. Without a
// URL it starts the simulated server. It writes screenshots and an accessibility snapshot to DIR and exits with 1 if a
// check fails.

import { parseArgs } from 'node:util';
import { start } from '../mock/server.mjs';
import { HOSTILE } from '../mock/market.mjs';
import { access, keyboard } from './access.mjs';
import { firstPaint, hostile, moves, paging, roundTrip } from './behaviour.mjs';
import { faults } from './faults.mjs';
import { tasks, weight } from './load.mjs';
import { screenshots } from './screenshots.mjs';
import { failed, folder, launch, section, someSymbols } from './support.mjs';

const { values } = parseArgs({
  options: {
    base: { type: 'string' },
    out: { type: 'string', default: 'shots' },
    only: { type: 'string' },
    seconds: { type: 'string', default: '12' },
  },
});
const server = values.base === undefined ? await start() : null;
const base = values.base?.replace(/\/$/, '') ?? server.url;
const out = folder(values.out, '.');
const symbols = server ? ['AAPL', 'MSFT', 'NVDA'] : await someSymbols(base);
const several = new URLSearchParams(symbols.map((symbol) => ['symbol', symbol])).toString();
const one = new URLSearchParams([['symbol', symbols[0]]]).toString();
const isLive = (await (await fetch(`${base}/api/meta`)).json()).mode === 'live';

const browser = await launch();
const checks = {
  'first-paint': () => firstPaint(browser, base, one),
  moves: () => (isLive ? moves(browser, base, one) : console.log('       a snapshot: skipped')),
  url: () => roundTrip(browser, base),
  paging: () => paging(browser, base, one),
  access: () => access(browser, base, out, one),
  keyboard: () => keyboard(browser, base, one),
  hostile: () =>
    server ? hostile(browser, base, HOSTILE) : console.log('       only for the simulated server: skipped'),
  faults: () => (server ? faults(browser, server) : console.log('       only for the simulated server: skipped')),
  weight: () => weight(browser, base),
  tasks: () => tasks(browser, base, several, Number(values.seconds)),
  looks: () => screenshots(browser, base, out, several),
};
const names = values.only?.split(',') ?? Object.keys(checks);
for (const name of names) {
  if (!checks[name]) throw new Error(`no check ${name}: one of ${Object.keys(checks).join(', ')}`);
  await section(name, checks[name]);
}
await browser.close();
await server?.close();
console.log(failed().length === 0 ? 'all checks hold' : `${failed().length} checks failed`);
process.exitCode = failed().length === 0 ? 0 : 1;
