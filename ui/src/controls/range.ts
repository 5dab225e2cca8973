// The control of the time range: a duration that counts back from the newest tick, or two times in the page's zone.

import type { App } from '../app';
import { h, setText } from '../lib/dom';
import { RANGES, fromWallClock, toWallClock, type Range } from '../lib/time';
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
  const error = h('span', { class: 'control-error', role: 'alert' });
  const box = h('div', { class: 'custom-range' }, from, h('span', { 'aria-hidden': 'true' }, '–'), to, error);
  const read = (element: HTMLInputElement): number | null =>
    element.value === '' ? null : fromWallClock(element.value, app.zone);
  const applyTyped = (): void => {
    const [begin, end] = [read(from), read(to)];
    if (begin === null && end === null) return;
    state.set({ range: 'custom', from: begin, to: end });
  };
  from.addEventListener('change', applyTyped);
  to.addEventListener('change', applyTyped);
  const showView = (): void => {
    const { view } = app;
    box.hidden = view.range !== 'custom';
    const wall = (ms: number | null): string => (ms === null ? '' : toWallClock(ms, app.zone));
    if (document.activeElement !== from) from.value = wall(view.from);
    if (document.activeElement !== to) to.value = wall(view.to);
    setText(error, app.rangeError ?? '');
    for (const element of [from, to]) element.setAttribute('aria-invalid', String(app.rangeError !== null));
  };
  state.on('change', showView);
  // The metadata brings the market's zone, in which the inputs show their times.
  app.on('meta', showView);
  showView();
  return h('div', { class: 'range' }, chooser, box);
}
