// Checks what the page does: it appears fast, follows the stream, keeps its state in the URL and explains errors.

import { check, open, ready, settle } from './support.mjs';

const FIRST_PAINT_MS = 1000;

export async function firstPaint(browser, base, symbol) {
  const times = [];
  for (let at = 0; at < 3; at += 1) {
    const { page, close } = await open(browser, base, `/?${symbol}`, { before: watchFirst });
    await page.waitForFunction(() => window.pricesAt && window.tilesAt);
    times.push((await page.evaluate(() => [window.pricesAt, window.tilesAt])).map(Math.round));
    await close();
  }
  const best = Math.min(...times.map(([prices]) => prices));
  const all = times.map((pair) => pair.join(' and ')).join('; ');
  check(best < FIRST_PAINT_MS, `prices on the screen after ${best} ms, the best of three; prices and tiles: ${all} ms`);
}

/** Runs in the page before its own scripts: records when the first frame with prices, and with tiles, was painted. */
function watchFirst() {
  const painted = (name) => requestAnimationFrame(() => setTimeout(() => (window[name] ??= performance.now())));
  new MutationObserver(() => {
    if (!window.pricesAt && document.querySelector('#price .legend b')) painted('pricesAt');
    if (!window.tilesAt && /\d/.test(document.querySelector('#tiles .price')?.textContent ?? '')) painted('tilesAt');
  }).observe(document, { subtree: true, childList: true, characterData: true });
}

export async function moves(browser, base, symbol) {
  const { page, close } = await open(browser, base, `/?${symbol}&refresh=off`, {});
  await page.waitForSelector('#price[data-state="ready"]');
  const legend = () => page.locator('#price .legend').textContent();
  await page.waitForFunction(() => document.querySelector('#price .legend')?.textContent.includes('Vol'));
  const before = await legend();
  const began = Date.now();
  await page.waitForFunction((old) => document.querySelector('#price .legend').textContent !== old, before, {
    timeout: 3000,
  });
  check(true, `the last bar moved after ${Date.now() - began} ms, by the stream alone`);
  check((await page.locator('.badge').textContent()) === 'Live', 'it says that it is live');
  await page.locator('.controls .button', { hasText: 'Pause' }).click();
  await page.waitForTimeout(600);
  const frozen = [await legend(), await page.locator('#tiles').textContent()];
  await page.waitForTimeout(1500);
  check(
    frozen[0] === (await legend()) && frozen[1] === (await page.locator('#tiles').textContent()),
    'pause freezes it',
  );
  await page.locator('.controls .button', { hasText: 'Go on' }).click();
  await page.waitForFunction((old) => document.querySelector('#price .legend').textContent !== old, frozen[0], {
    timeout: 3000,
  });
  check(true, 'it goes on');
  await close();

  const fast = await open(browser, base, `/?${symbol}&refresh=1s&interval=1s&range=15m`, {});
  await fast.page.waitForSelector('#price[data-state="ready"]');
  await fast.page.waitForTimeout(7000);
  check(
    (await fast.page.locator('#price').getAttribute('data-state')) === 'ready',
    'second bars with gaps, refreshed each second',
  );
  await fast.close();
}

const controls = (page) =>
  page.evaluate(async () => {
    const values = [...document.querySelectorAll('select, .custom-range input')].map(
      (one) => `${one.getAttribute('aria-label')}=${one.value}`,
    );
    const chips = [...document.querySelectorAll('.chip-name')].map((one) => one.textContent);
    document.querySelector('.controls .popup-wrap .button').click();
    const boxes = [...document.querySelectorAll('.popup-form input')].map((one) => `${one.name}=${one.checked}`);
    document.querySelector('.controls .popup-wrap .button').click();
    return {
      values,
      chips,
      boxes,
      paused: document.querySelector('.badge').dataset.connection === 'paused',
      theme: document.documentElement.dataset.theme,
    };
  });

export async function roundTrip(browser, base) {
  const { page, close } = await open(browser, base, '/', {});
  await settle(page);
  const search = page.getByRole('combobox', { name: 'Search symbols' });
  await search.click();
  for (const at of [2, 5, 7]) await page.locator('.option').nth(at).click();
  await page.keyboard.press('Escape');
  const pick = (label, value) => page.getByRole('combobox', { name: label, exact: true }).selectOption(value);
  await pick('Interval of bars', '15m');
  await pick('Time zone', 'utc');
  await pick('Theme', 'light');
  await pick('Refresh of history', '10s');
  await pick('Order of the tiles', 'volume');
  await pick('Kinds of events', 'cross');
  await pick('Kinds of signals', 'anomaly');
  await page.locator('.controls .popup-wrap .button').click();
  await page.locator('.popup-form input[name="ma20"]').check();
  await page.locator('.popup-form input[name="sma9"]').uncheck();
  await page.keyboard.press('Escape');
  await pick('Range of time', 'custom');
  await page.locator('.custom-range input').nth(1).fill('2031-05-06T07:08:09');
  await page.locator('.custom-range input').nth(1).dispatchEvent('change');
  await page.locator('.controls .button', { hasText: 'Pause' }).click();
  const before = await controls(page);
  const url = page.url();
  await page.reload();
  await settle(page);
  const after = await controls(page);
  check(
    JSON.stringify(before) === JSON.stringify(after) && page.url() === url,
    `all controls are the same after a reload: ${new URL(url).search}`,
  );
  check(
    before.chips.length === 3 &&
      before.paused &&
      before.theme === 'light' &&
      before.boxes.includes('ma20=true') &&
      before.boxes.includes('sma9=false'),
    'and are what was set',
  );
  await page.goBack();
  await page.waitForTimeout(300);
  check(page.url() !== url, 'the back button goes to the view before');
  await close();

  const zoned = await open(browser, base, '/?from=2026-01-06T14:30:00.000Z', { timezoneId: 'Asia/Kolkata' });
  await ready(zoned.page);
  const market = (await (await fetch(`${base}/api/meta`)).json()).market_zone;
  const wall = new Intl.DateTimeFormat('sv', { timeZone: market, dateStyle: 'short', timeStyle: 'medium' })
    .format(new Date('2026-01-06T14:30:00Z'))
    .replace(' ', 'T');
  const typed = () => zoned.page.locator('.custom-range input').first().inputValue();
  check(`${await typed()}:00`.startsWith(wall.slice(0, 16)), `a range is shown in the zone of the market, ${market}`);
  await zoned.page.getByRole('combobox', { name: 'Time zone', exact: true }).selectOption('local');
  check((await typed()).startsWith('2026-01-06T20:00'), 'or in that of the browser');
  await zoned.close();

  const wrong = await open(browser, base, '/?from=2025-11-21T12:00:00.000Z&to=2025-11-20T12:00:00.000Z', {});
  await ready(wrong.page);
  await wrong.page.waitForSelector('#price[data-state="error"]');
  check(
    (await wrong.page.locator('#price .state-text').textContent()).includes('ends before it begins'),
    'a reversed range is reported',
  );
  check((await wrong.page.locator('.control-error').textContent()) !== '', 'also next to the control');
  await wrong.close();

  const link = await open(browser, base, '/#ticks', {});
  await ready(link.page);
  await link.page.waitForFunction(() => document.activeElement?.id === 'ticks');
  check(true, 'a link to a panel goes there');
  await link.close();
}

export async function paging(browser, base, symbol) {
  const { page, close } = await open(browser, base, `/?${symbol}&refresh=off#ticks`, {});
  await page.waitForSelector('#ticks[data-state="ready"]');
  const rows = () => page.$eval('#ticks .table', (table) => Number(table.getAttribute('aria-rowcount')) - 1);
  const first = await rows();
  for (let at = 0; at < 4; at += 1) {
    const held = await rows();
    await page.$eval('#ticks .table', (table) => (table.scrollTop = table.scrollHeight));
    await page
      .waitForFunction(
        (n) => Number(document.querySelector('#ticks .table').getAttribute('aria-rowcount')) - 1 > n,
        held,
        { timeout: 12_000 },
      )
      .catch(() => {}); // there may be no older ones
  }
  const elements = await page.locator('#ticks .table-row').count();
  check((await rows()) > first || first < 500, `scrolling loads older ticks: ${first}, then ${await rows()} rows`);
  check(elements < 60, `${elements} elements for them`);
  await close();
}

/** Hostile names, as bad feeds have them, must appear as plain text wherever symbols are shown. */
export async function hostile(browser, base, names) {
  for (const name of names) {
    const { page, close } = await open(browser, base, `/?symbol=${encodeURIComponent(name)}`, {});
    let alerted = false;
    page.on('dialog', () => (alerted = true));
    await settle(page);
    const shown = await page.evaluate((one) => {
      const texts = ['.chip-name', '#price .legend b', '#ticks .cell', '#windows .cell'].map((where) =>
        [...document.querySelectorAll(where)].some((node) => node.textContent === one),
      );
      return { texts, scripts: document.querySelectorAll('body script').length };
    }, name);
    check(shown.texts.every(Boolean) && shown.scripts === 0 && !alerted, `${name} is text everywhere ${shown.texts}`);
    check((await page.locator('#price').getAttribute('data-state')) === 'ready', 'and has bars');
    await close();
  }
}
