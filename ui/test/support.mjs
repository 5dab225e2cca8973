// What all browser checks share: launching the browser, opening a watched page, recording results.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export const launch = () =>
  chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });

const failures = [];

export function check(holds, text) {
  console.log(`${holds ? '  ok   ' : '  FAIL '} ${text}`);
  if (!holds) failures.push(text);
  return holds;
}

export const failed = () => failures;

export async function section(title, act) {
  console.log(title);
  try {
    await act();
  } catch (cause) {
    check(false, `${title}: ${cause.stack ?? cause}`);
  }
}

/**
 * Opens a page and records its console errors, uncaught errors and requests to other origins. `expected` matches the
 * console errors that a check provokes itself: a browser logs one for every failed request.
 */
export async function open(
  browser,
  base,
  search = '',
  { width = 1440, height = 900, expected = null, before = null, ...context } = {},
) {
  const own = await browser.newContext({ viewport: { width, height }, ...context });
  const page = await own.newPage();
  if (before) await page.addInitScript(before);
  const seen = { console: [], errors: [], foreign: [], bytes: 0 };
  page.on('console', (message) => {
    const text = message.text();
    if (['error', 'warning'].includes(message.type()) && !expected?.test(text)) seen.console.push(text);
  });
  page.on('pageerror', (error) => seen.errors.push(String(error.stack ?? error)));
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.protocol !== 'data:' && url.origin !== new URL(base).origin) seen.foreign.push(request.url());
  });
  await page.goto(base + search, { waitUntil: 'commit' });
  const close = async () => {
    check(seen.console.length === 0, `no console errors or warnings ${seen.console.slice(0, 3).join(' | ')}`);
    check(seen.errors.length === 0, `no uncaught errors ${seen.errors.slice(0, 3).join(' | ')}`);
    check(seen.foreign.length === 0, `no requests off the origin ${seen.foreign.slice(0, 3).join(' ')}`);
    await own.close();
  };
  return { page, close };
}

/** Three symbols of a server that may have just started and may have none yet. */
export async function someSymbols(base) {
  for (const until = Date.now() + 30_000; Date.now() < until;) {
    const { symbols } = await (await fetch(`${base}/api/symbols`)).json();
    if (symbols.length >= 3) return symbols.slice(0, 3);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`${base} has no three symbols after 30 s`);
}

export const ready = (page) => page.waitForSelector('html[data-ready="true"]', { timeout: 15_000 });

/** Waits until all panels have been on the screen, loaded and drawn. */
export async function settle(page) {
  await ready(page);
  const ids = await page.$$eval('.panel', (panels) => panels.map((panel) => panel.id));
  for (const id of ids) {
    await page.locator(`#${id}`).scrollIntoViewIfNeeded();
    await page.waitForFunction(
      (one) => ['ready', 'empty', 'error', undefined].includes(document.getElementById(one)?.dataset.state),
      id,
      { timeout: 20_000 },
    );
  }
  await page.evaluate(() => scrollTo(0, 0));
  await page.waitForTimeout(600);
  return ids;
}

export function folder(root, name) {
  const path = join(root, name);
  mkdirSync(path, { recursive: true });
  return path;
}
