// What the person chose, all of it in the URL: a link, a reload and the back button show the same page.
// Defaults are left out of the URL; parameters that the page doesn't know stay in it.

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
/** `alerts` is all but the changes of the state, which come with every other tick. */
export const FEEDS = ['alerts', 'cross', 'anomaly', 'price_alert', 'rule', 'signal', 'all'] as const;
export type Feed = (typeof FEEDS)[number];

const SHOWN: readonly Indicator[] = ['sma9', 'sma21', 'volume', 'crosses', 'anomalies'];

/** null is all of them. */
export function kindsOf(feed: Feed): string[] | null {
  return feed === 'all' ? null : feed === 'alerts' ? ['cross', 'anomaly', 'price_alert', 'rule'] : [feed];
}

export const FEED_TITLES: Record<Feed, string> = {
  alerts: 'Alerts',
  cross: 'Crosses',
  anomaly: 'Anomalies',
  price_alert: 'Price alerts',
  rule: 'Rules',
  signal: 'Signal states',
  all: 'Everything',
};

export interface View {
  /** Chosen symbols; the first is the one that panels of a single symbol show. Empty: all, and the first there is. */
  symbols: string[];
  range: Range;
  /** Milliseconds; of the range `custom` only. */
  from: number | null;
  to: number | null;
  interval: Interval | 'auto';
  show: Indicator[];
  zone: ZoneChoice;
  theme: Theme;
  refresh: Refresh;
  paused: boolean;
  tiles: TileOrder;
  feed: Feed;
  history: Feed;
}

export const DEFAULTS: View = {
  symbols: [],
  range: '1d',
  from: null,
  to: null,
  interval: 'auto',
  show: [...SHOWN],
  zone: 'exchange',
  theme: 'auto',
  refresh: '5s',
  paused: false,
  tiles: 'symbol',
  feed: 'alerts',
  history: 'alerts',
};

/** More would make the stream and the comparisons unreadable; the stream carries bars of 20 at most. */
export const MOST_SYMBOLS = 20;

const NAMES = [
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

function pick<T extends string>(text: string | null, among: readonly T[], otherwise: T): T {
  return among.includes(text as T) ? (text as T) : otherwise;
}

function instant(text: string | null): number | null {
  if (text === null) return null;
  const ms = Date.parse(text);
  return Number.isFinite(ms) ? ms : null;
}

export function parse(search: string): View {
  const query = new URLSearchParams(search);
  const from = instant(query.get('from'));
  const to = instant(query.get('to'));
  const show = query.get('show');
  return {
    symbols: [...new Set(query.getAll('symbol').filter((symbol) => symbol !== ''))].slice(0, MOST_SYMBOLS),
    range: from !== null || to !== null ? 'custom' : pick(query.get('range'), RANGES, '1d'),
    from,
    to,
    interval: pick(query.get('interval'), [...INTERVALS, 'auto'] as const, 'auto'),
    show: show === null ? [...SHOWN] : INDICATORS.filter((name) => show.split(',').includes(name)),
    zone: pick(query.get('tz'), ZONES, 'exchange'),
    theme: pick(query.get('theme'), THEMES, 'auto'),
    refresh: pick(query.get('refresh'), REFRESHES, '5s'),
    paused: query.get('paused') === '1',
    tiles: pick(query.get('tiles'), TILE_ORDERS, 'symbol'),
    feed: pick(query.get('feed'), FEEDS, 'alerts'),
    history: pick(query.get('history'), FEEDS, 'alerts'),
  };
}

/** The query of the URL, with what `search` holds beside the view. */
export function print(view: View, search: string): string {
  const query = new URLSearchParams(search);
  for (const name of NAMES) query.delete(name);
  for (const symbol of view.symbols) query.append('symbol', symbol);
  const set = (name: string, value: string, otherwise: string): void => {
    if (value !== otherwise) query.set(name, value);
  };
  if (view.range === 'custom') {
    if (view.from !== null) query.set('from', new Date(view.from).toISOString());
    if (view.to !== null) query.set('to', new Date(view.to).toISOString());
  } else set('range', view.range, DEFAULTS.range);
  set('interval', view.interval, DEFAULTS.interval);
  set(
    'show',
    INDICATORS.filter((name) => view.show.includes(name)).join(','),
    INDICATORS.filter((name) => SHOWN.includes(name)).join(','),
  );
  set('tz', view.zone, DEFAULTS.zone);
  set('theme', view.theme, DEFAULTS.theme);
  set('refresh', view.refresh, DEFAULTS.refresh);
  set('paused', view.paused ? '1' : '', '');
  set('tiles', view.tiles, DEFAULTS.tiles);
  set('feed', view.feed, DEFAULTS.feed);
  set('history', view.history, DEFAULTS.history);
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
}

export interface Change {
  before: View;
  view: View;
}

/** Holds the view, keeps the URL equal to it, and tells when either changed. */
export class State extends Emitter<{ change: Change }> {
  view: View = parse(location.search);

  constructor() {
    super();
    addEventListener('popstate', () => this.apply(parse(location.search)));
  }

  /** Symbols, range and interval make an entry in the history; the rest replaces the one that is there. */
  set(part: Partial<View>): void {
    const view = { ...this.view, ...part };
    const url = location.pathname + print(view, location.search) + location.hash;
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
