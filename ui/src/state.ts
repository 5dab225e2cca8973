// What the user chose. All of it is in the URL, so that a link, a reload and the back button show the same page.
// Defaults are left out of the URL, and parameters that the page doesn't know are kept in it.

import { Emitter } from './lib/events';
import { INTERVALS, RANGES, type Interval, type Range, type ZoneChoice } from './lib/time';

export const INDICATORS = [
  'ma5',
  'ma10',
  'ma20',
  'sma9',
  'sma21',
  'volume',
  'crosses',
  'signals',
  'anomalies',
] as const;
export type Indicator = (typeof INDICATORS)[number];
export const REFRESHES = ['1s', '2s', '5s', '10s', '30s', '60s', 'off'] as const;
export type Refresh = (typeof REFRESHES)[number];
export const ZONES = ['exchange', 'utc', 'local'] as const;
export const THEMES = ['auto', 'dark', 'light'] as const;
export type Theme = (typeof THEMES)[number];
export const TILE_ORDERS = ['symbol', 'gain', 'loss', 'volume'] as const;
export type TileOrder = (typeof TILE_ORDERS)[number];
/** `alerts` is everything except signal states, which change with every other tick. */
export const EVENT_FILTERS = ['alerts', 'cross', 'anomaly', 'price_alert', 'rule', 'signal', 'all'] as const;
export type EventFilter = (typeof EVENT_FILTERS)[number];

const DEFAULT_INDICATORS: readonly Indicator[] = ['sma9', 'sma21', 'volume', 'crosses', 'anomalies'];

/** The kinds of events that a filter selects; null selects all of them. */
export function kindsOf(filter: EventFilter): string[] | null {
  return filter === 'all' ? null : filter === 'alerts' ? ['cross', 'anomaly', 'price_alert', 'rule'] : [filter];
}

export const EVENT_FILTER_TITLES: Record<EventFilter, string> = {
  alerts: 'Alerts',
  cross: 'Crosses',
  anomaly: 'Anomalies',
  price_alert: 'Price alerts',
  rule: 'Rules',
  signal: 'Signal states',
  all: 'Everything',
};

export interface View {
  /**
   * The chosen symbols. Panels of a single symbol show the first one. Empty means all symbols, with the first one in
   * focus.
   */
  symbols: string[];
  range: Range;
  /** Milliseconds; only the range `custom` has them. */
  from: number | null;
  to: number | null;
  interval: Interval | 'auto';
  show: Indicator[];
  zone: ZoneChoice;
  theme: Theme;
  refresh: Refresh;
  paused: boolean;
  tiles: TileOrder;
  feed: EventFilter;
  history: EventFilter;
}

export const DEFAULTS: View = {
  symbols: [],
  range: '1d',
  from: null,
  to: null,
  interval: 'auto',
  show: [...DEFAULT_INDICATORS],
  zone: 'exchange',
  theme: 'auto',
  refresh: '5s',
  paused: false,
  tiles: 'symbol',
  feed: 'alerts',
  history: 'alerts',
};

/** More symbols would make comparisons unreadable, and the stream carries the bars of 20 symbols at most. */
export const MAX_SYMBOLS = 20;

const PARAMETERS = [
  'symbol',
  'range',
  'from',
  'to',
  'interval',
  'show',
  'tz',
  'theme',
  'refresh',
  'paused',
  'tiles',
  'feed',
  'history',
];

function oneOf<T extends string>(text: string | null, among: readonly T[], fallback: T): T {
  return among.includes(text as T) ? (text as T) : fallback;
}

function parseInstant(text: string | null): number | null {
  if (text === null) return null;
  const ms = Date.parse(text);
  return Number.isFinite(ms) ? ms : null;
}

export function parseView(search: string): View {
  const query = new URLSearchParams(search);
  const from = parseInstant(query.get('from'));
  const to = parseInstant(query.get('to'));
  const show = query.get('show');
  return {
    symbols: [...new Set(query.getAll('symbol').filter((symbol) => symbol !== ''))].slice(0, MAX_SYMBOLS),
    range: from !== null || to !== null ? 'custom' : oneOf(query.get('range'), RANGES, '1d'),
    from,
    to,
    interval: oneOf(query.get('interval'), [...INTERVALS, 'auto'] as const, 'auto'),
    show: show === null ? [...DEFAULT_INDICATORS] : INDICATORS.filter((name) => show.split(',').includes(name)),
    zone: oneOf(query.get('tz'), ZONES, 'exchange'),
    theme: oneOf(query.get('theme'), THEMES, 'auto'),
    refresh: oneOf(query.get('refresh'), REFRESHES, '5s'),
    paused: query.get('paused') === '1',
    tiles: oneOf(query.get('tiles'), TILE_ORDERS, 'symbol'),
    feed: oneOf(query.get('feed'), EVENT_FILTERS, 'alerts'),
    history: oneOf(query.get('history'), EVENT_FILTERS, 'alerts'),
  };
}

/** The query string of a view. Parameters of `search` that don't belong to the view are kept. */
export function printView(view: View, search: string): string {
  const query = new URLSearchParams(search);
  for (const name of PARAMETERS) query.delete(name);
  for (const symbol of view.symbols) query.append('symbol', symbol);
  const setUnlessDefault = (name: string, value: string, fallback: string): void => {
    if (value !== fallback) query.set(name, value);
  };
  if (view.range === 'custom') {
    if (view.from !== null) query.set('from', new Date(view.from).toISOString());
    if (view.to !== null) query.set('to', new Date(view.to).toISOString());
  } else setUnlessDefault('range', view.range, DEFAULTS.range);
  setUnlessDefault('interval', view.interval, DEFAULTS.interval);
  setUnlessDefault(
    'show',
    INDICATORS.filter((name) => view.show.includes(name)).join(','),
    INDICATORS.filter((name) => DEFAULT_INDICATORS.includes(name)).join(','),
  );
  setUnlessDefault('tz', view.zone, DEFAULTS.zone);
  setUnlessDefault('theme', view.theme, DEFAULTS.theme);
  setUnlessDefault('refresh', view.refresh, DEFAULTS.refresh);
  setUnlessDefault('paused', view.paused ? '1' : '', '');
  setUnlessDefault('tiles', view.tiles, DEFAULTS.tiles);
  setUnlessDefault('feed', view.feed, DEFAULTS.feed);
  setUnlessDefault('history', view.history, DEFAULTS.history);
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
}

export interface ViewChange {
  before: View;
  view: View;
}

/** Holds the view, keeps the URL in step with it and emits its changes. */
export class ViewState extends Emitter<{ change: ViewChange }> {
  view: View = parseView(location.search);

  constructor() {
    super();
    addEventListener('popstate', () => this.apply(parseView(location.search)));
  }

  /**
   * Changes of symbols, range and interval add an entry to the browser's history; all others replace the current entry.
   */
  set(part: Partial<View>): void {
    const view = { ...this.view, ...part };
    const url = location.pathname + printView(view, location.search) + location.hash;
    if (url === location.pathname + location.search + location.hash) return this.apply(view);
    if ('symbols' in part || 'range' in part || 'from' in part || 'interval' in part) history.pushState(null, '', url);
    else history.replaceState(null, '', url);
    this.apply(view);
  }

  private apply(view: View): void {
    const before = this.view;
    this.view = view;
    this.emit('change', { before, view });
  }
}
