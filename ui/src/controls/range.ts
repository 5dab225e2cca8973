// The range of time: a length that counts back from the newest tick, or two times typed in the zone of the page.

import type { App } from '../app';
import { h, setText } from '../lib/dom';
import { RANGES, fromWall, toWall, type Range } from '../lib/time';
import { select } from './select';

const TITLES: Record<Range, string> = {
  '5m': 'Last 5 min',
  '15m': 'Last 15 min',
  '1h': 'Last hour',
  '4h': 'Last 4 hours',
  '1d': 'Last day',
  '2d': 'Last 2 days',
  '7d': 'Last 7 days',
  '30d': 'Last 30 days',
  all: 'All',
  custom: 'From … to …',
};

export function rangeControl(app: App): HTMLElement {
  const { state } = app;
  const chooser = select(
    'Range of time',
    [...RANGES, 'custom'] as Range[],
    TITLES,
    () => app.view.range,
    (range) => {
      if (range !== 'custom') return state.set({ range, from: null, to: null });
      const { from, to } = app.span;
      state.set({ range, from: from ?? app.newest - 86_400_000, to });
    },
    state,
  );
  const input = (label: string): HTMLInputElement =>
    h('input', { type: 'datetime-local', step: 1, 'aria-label': label, title: label });
  const [from, to] = [input('From'), input('To, exclusive; empty is open')];
  const trouble = h('span', { class: 'control-trouble', role: 'alert' });
  const box = h('div', { class: 'custom-range' }, from, h('span', { 'aria-hidden': 'true' }, '–'), to, trouble);
  const read = (element: HTMLInputElement): number | null =>
    element.value === '' ? null : fromWall(element.value, app.zone);
  const take = (): void => {
    const [begin, end] = [read(from), read(to)];
    if (begin === null && end === null) return;
    state.set({ range: 'custom', from: begin, to: end });
  };
  from.addEventListener('change', take);
  to.addEventListener('change', take);
  const follow = (): void => {
    const { view } = app;
    box.hidden = view.range !== 'custom';
    const wall = (ms: number | null): string => (ms === null ? '' : toWall(ms, app.zone));
    if (document.activeElement !== from) from.value = wall(view.from);
    if (document.activeElement !== to) to.value = wall(view.to);
    setText(trouble, app.rangeTrouble ?? '');
    for (const element of [from, to]) element.setAttribute('aria-invalid', String(app.rangeTrouble !== null));
  };
  state.on('change', follow);
  // The zone of the market is known from then on.
  app.on('meta', follow);
  follow();
  return h('div', { class: 'range' }, chooser, box);
}
