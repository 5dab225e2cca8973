// Checks what screen readers and keyboard users get: landmarks, names of controls, the order of the focus.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { check, open, settle } from './support.mjs';

const CONTROLS = new Set([
  'button',
  'checkbox',
  'combobox',
  'textbox',
  'listbox',
  'option',
  'link',
  'menuitem',
  'searchbox',
  'spinbutton',
  'Date',
  'InputTime',
  'DateTime',
]);

export async function access(browser, base, out, symbol) {
  const { page, close } = await open(browser, base, `/?${symbol}&from=2020-01-01T00:00:00.000Z`, {});
  const ids = await settle(page);
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send('Accessibility.getFullAXTree');
  const shown = nodes.filter((node) => !node.ignored);
  const nameless = shown.filter((node) => CONTROLS.has(node.role?.value) && !(node.name?.value ?? '').trim());
  check(
    nameless.length === 0,
    `${shown.filter((node) => CONTROLS.has(node.role?.value)).length} controls all have a name ${nameless
      .slice(0, 4)
      .map((node) => node.role.value)
      .join()}`,
  );
  const roles = (role) => shown.filter((node) => node.role?.value === role);
  for (const role of ['banner', 'main', 'contentinfo']) check(roles(role).length === 1, `one landmark ${role}`);
  const regions = roles('region').map((node) => node.name?.value);
  check(regions.length === ids.length && regions.every(Boolean), `${regions.length} panels are named regions`);
  const headings = await page.$$eval('h1, h2', (all) => all.map((one) => one.textContent));
  check(headings.length === ids.length + 1, 'every panel has a heading');
  const silent = await page.$$eval('.panel', (all) =>
    all
      .filter((one) => one.dataset.state !== 'error' && !one.querySelector('.hidden-text')?.textContent.trim())
      .map((one) => one.id),
  );
  check(silent.length === 0, `every panel is summarized in words ${silent.join()}`);
  const images = await page.$$eval(
    '.panel:not([data-state="error"]) [role="img"]',
    (all) => all.filter((one) => !one.getAttribute('aria-label')).length,
  );
  check(images === 0, 'every chart has a label');
  const tables = await page.$$eval('[role="table"]', (all) =>
    all.every(
      (one) => one.getAttribute('aria-label') && one.querySelector('[role="columnheader"]') && one.tabIndex === 0,
    ),
  );
  check(tables, 'tables have names and heads, and can be reached');
  writeFileSync(join(out, 'accessibility.yml'), await page.locator('body').ariaSnapshot());
  await close();
}

export async function keyboard(browser, base, symbol) {
  const { page, close } = await open(browser, base, `/?${symbol}`, {});
  await settle(page);
  await page.keyboard.press('Tab');
  check(
    (await page.evaluate(() => document.activeElement.textContent)) === 'Skip to the panels',
    'the first stop skips the head',
  );
  const stops = [];
  for (let at = 0; at < 80; at += 1) {
    await page.keyboard.press('Tab');
    const stop = await page.evaluate(() => {
      const one = document.activeElement;
      const style = getComputedStyle(one);
      return {
        what: `${one.tagName}.${one.className}`,
        ring: style.outlineStyle !== 'none',
        panel: one.closest('.panel')?.id ?? 'head',
      };
    });
    if (stop.what.startsWith('BODY')) break;
    stops.push(stop);
  }
  const without = stops.filter(({ ring }) => !ring);
  check(
    stops.length > 25 && without.length === 0,
    `${stops.length} stops, each with a visible ring ${without
      .slice(0, 3)
      .map(({ what }) => what)
      .join()}`,
  );
  check(new Set(stops.map(({ panel }) => panel)).size >= 14, 'the focus reaches every panel');

  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press('/');
  check(await page.evaluate(() => document.activeElement.getAttribute('role') === 'combobox'), '/ goes to the search');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  check((await page.locator('.chip:not(.none)').count()) >= 1, 'Enter takes a symbol');
  await page.keyboard.press('Escape');
  await page.evaluate(() => document.activeElement.blur());
  const before = await page.locator('.chip.first').textContent();
  await page.keyboard.press(']');
  check((await page.locator('.chip.first').textContent()) !== before, '] goes to the next symbol');
  await page.locator('#price').scrollIntoViewIfNeeded();
  const summaryHandle = await page.waitForFunction(() => {
    const symbol = document.querySelector('.chip.first .chip-name').textContent;
    const panel = document.getElementById('price');
    return (
      panel.querySelector('.legend b')?.textContent === symbol && [
        panel.querySelector('.hidden-text').textContent,
        ` of ${symbol}.`,
      ]
    );
  });
  const [summary, symbolNow] = await summaryHandle.jsonValue();
  check(summary.includes(symbolNow), `the words of the chart follow its symbol: ${summary}`);
  await page.keyboard.press('p');
  check((await page.locator('.badge').textContent()).startsWith('Paused'), 'p pauses');
  await page.keyboard.press('p');
  await page.keyboard.press('?');
  check(await page.locator('dialog[open]').isVisible(), '? lists the keys');
  await page.keyboard.press('Escape');
  await page.waitForSelector('dialog', { state: 'detached' });

  await page.waitForSelector('#price[data-state="ready"]');
  await page.locator('#price .chart').focus();
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('ArrowLeft');
  const announcement = await page.locator('#price [aria-live]').textContent();
  check(/close .*volume/.test(announcement), `arrow keys on the chart announce the bar: ${announcement}`);

  const menu = page.locator('#price .panel-head .icon-button');
  await menu.focus();
  await page.keyboard.press('Enter');
  await page.keyboard.press('Enter');
  const sql = page.locator('dialog .sql');
  await page.waitForFunction(() => /select/i.test(document.querySelector('dialog .sql')?.textContent ?? ''));
  check(/select/i.test(await sql.textContent()), 'the menu shows the SQL');
  await page.keyboard.press('Escape');
  await menu.focus();
  await page.keyboard.press('Enter');
  const links = await page.$$eval('#price .popup a', (all) => all.map((one) => one.getAttribute('href')));
  check(
    links.length === 2 && links[0].includes('format=csv') && links[1].includes('format=parquet'),
    'the menu has both downloads',
  );
  await page.keyboard.press('Escape');
  check(await page.locator('#price .popup').isHidden(), 'Escape closes the menu');
  await close();
}
