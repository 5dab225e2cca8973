// Dialogs (the SQL of a panel, the keyboard shortcuts, a text to copy by hand) and short notices.

import { describeError, get, isAbort, sqlUrl, type Query } from './api';
import { button, h, icon, setText } from './lib/dom';

const notices = h('div', { class: 'notices', role: 'status', 'aria-live': 'polite' });
let noticeTimer = 0;

export function notice(text: string): void {
  if (!notices.isConnected) document.body.append(notices);
  setText(notices, text);
  clearTimeout(noticeTimer);
  noticeTimer = window.setTimeout(() => setText(notices, ''), 3000);
}

function dialog(title: string, ...content: Node[]): HTMLDialogElement {
  const closeButton = button({ class: 'icon-button', 'aria-label': 'Close' }, () => box.close(), icon('close'));
  const box = h(
    'dialog',
    { 'aria-label': title },
    h('header', { class: 'panel-head' }, h('h2', {}, title), closeButton),
    ...content,
  );
  box.addEventListener('close', () => box.remove());
  box.addEventListener('click', (event) => event.target === box && box.close());
  document.body.append(box);
  box.showModal();
  return box;
}

/** Browsers offer the clipboard on https and localhost only; elsewhere a dialog shows the text, already selected. */
export async function copy(text: string, what: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    notice(`${what} copied`);
  } catch {
    const input = h('input', { class: 'copy-text', readonly: true, 'aria-label': what, value: text });
    dialog(`${what}: press Ctrl+C`, h('div', { class: 'dialog-body' }, input));
    input.select();
  }
}

export async function showSql(title: string, query: Query): Promise<void> {
  const code = h('pre', { class: 'sql', tabindex: 0, 'aria-label': 'SQL' }, 'Loading');
  const copyButton = button({ class: 'button' }, () => void copy(code.textContent ?? '', 'SQL'), icon('copy'), 'Copy');
  const controller = new AbortController();
  const box = dialog(
    `SQL of ${title}`,
    h(
      'div',
      { class: 'dialog-body' },
      h('p', { class: 'muted' }, `Query ${query.name}, with its parameters in it.`),
      code,
      copyButton,
    ),
  );
  box.addEventListener('close', () => controller.abort());
  try {
    setText(code, await (await get(sqlUrl(query), controller.signal, 0)).text());
  } catch (cause) {
    if (!isAbort(cause)) setText(code, describeError(cause));
  }
}

export const KEYS: [string, string][] = [
  ['/', 'Search symbols'],
  ['p', 'Pause or go on'],
  ['[ and ]', 'Symbol before, symbol after'],
  ['← and →', 'On the price chart: bar by bar'],
  ['+ and −', 'On the price chart: nearer, farther'],
  ['End', 'On the price chart: newest bar'],
  ['?', 'This list'],
];

const KEYS_OFF_ITEM = 'tickhouse.keys-off';

/** Single-key shortcuts can get in the way of speech input, so they can be switched off. */
export function keysAreOn(): boolean {
  try {
    return localStorage.getItem(KEYS_OFF_ITEM) === null;
  } catch {
    return true;
  }
}

export function showKeys(): void {
  const list = h('dl', { class: 'keys' });
  for (const [key, what] of KEYS) list.append(h('dt', {}, h('kbd', {}, key)), h('dd', {}, what));
  const box = h('input', { type: 'checkbox', checked: keysAreOn() });
  box.addEventListener('change', () => {
    try {
      if (box.checked) localStorage.removeItem(KEYS_OFF_ITEM);
      else localStorage.setItem(KEYS_OFF_ITEM, '1');
    } catch {
      notice('This browser keeps no settings: keys stay on');
    }
  });
  const label = h('label', { class: 'check' }, box, 'Single keys do these things');
  dialog('Keyboard', h('div', { class: 'dialog-body' }, list, label));
}
