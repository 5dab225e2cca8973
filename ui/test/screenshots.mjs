// Takes screenshots of the page and of each panel, and checks that text is readable: contrast, width, overflow.

import { join } from 'node:path';
import { check, folder, open, settle } from './support.mjs';

const VARIANTS = [
  { name: 'dark', search: '&theme=dark', size: { width: 1440, height: 900 } },
  { name: 'light', search: '&theme=light', size: { width: 1440, height: 900 } },
  { name: 'narrow', search: '&theme=dark', size: { width: 360, height: 740, hasTouch: true } },
];
const MIN_CONTRAST = 4.5;

export async function screenshots(browser, base, out, symbol) {
  for (const { name, search, size } of VARIANTS) {
    const { page, close } = await open(browser, base, `/?${symbol}${search}`, size);
    const ids = await settle(page);
    const path = folder(out, name);
    await page.screenshot({ path: join(path, 'first-screen.png') });
    for (const id of ids) {
      const panel = page.locator(`#${id}`);
      await panel.scrollIntoViewIfNeeded();
      await page.waitForTimeout(250);
      await panel.screenshot({ path: join(path, `${id}.png`) });
    }
    const height = await page.evaluate(() => document.documentElement.scrollHeight);
    await page.setViewportSize({ width: size.width, height });
    await page.waitForTimeout(2500);
    await page.screenshot({ path: join(path, 'page.png') });
    const poor = await page.evaluate(contrasts, MIN_CONTRAST);
    check(
      poor.checked > 200 && poor.low.length === 0,
      `${name}: text contrast of ${poor.checked} texts is ${MIN_CONTRAST} at least ${poor.low.slice(0, 5).join(' | ')}`,
    );
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    check(wide <= 0, `${name}: nothing sticks out sideways (${wide} px)`);
    console.log(`       ${ids.length} panels in ${path}`);
    await close();
  }
}

/** Runs in the page: computes the contrast of every visible text with the backgrounds beneath it. */
function contrasts(least) {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const cache = new Map();
  const rgba = (color) => {
    if (!cache.has(color)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = color;
      canvas.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
      cache.set(color, [r, g, b, a / 255]);
    }
    return cache.get(color);
  };
  const over = ([r, g, b, a], [x, y, z]) => [r * a + x * (1 - a), g * a + y * (1 - a), b * a + z * (1 - a), 1];
  const luminance = (color) => {
    const [r, g, b] = color
      .slice(0, 3)
      .map((part) => (part / 255 <= 0.03928 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const low = [];
  let checked = 0;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (
      node.textContent.trim() === '' ||
      !element.checkVisibility() ||
      element.closest('.hidden-text, .skip, noscript, option')
    )
      continue;
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.unshift(rgba(getComputedStyle(at).backgroundColor));
    const background = layers.reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
    const text = over(rgba(getComputedStyle(element).color), background);
    const [a, b] = [luminance(text), luminance(background)].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    checked += 1;
    if (contrast < least)
      low.push(`${contrast.toFixed(2)} "${node.textContent.trim().slice(0, 20)}" in .${element.className}`);
  }
  return { checked, low };
}
