// The state that all panels share: the view, the server's metadata, the stream and the market data, and what is derived
// from them: zone, range, interval and the symbol in focus.

import type { Meta, Query } from './api';
import { Emitter } from './lib/events';
import type { LiveStream } from './live';
import type { MarketData } from './market';
import { kindsOf, type EventFilter, type ViewState, type View } from './state';
import { parseDuration, intervalFor, zoneName, type Interval } from './lib/time';

/** `interval` is emitted when `auto` picks another interval after the bars of the range are known. */
export class App extends Emitter<{ interval: Interval; meta: Meta }> {
  meta: Meta | null = null;
  private firstSymbol: string | null = null;
  private measuredInterval: { key: string; interval: Interval } | null = null;

  constructor(
    readonly state: ViewState,
    readonly live: LiveStream,
    readonly market: MarketData,
  ) {
    super();
  }

  setMeta(meta: Meta): void {
    this.meta = meta;
    this.emit('meta', meta);
  }

  get view(): View {
    return this.state.view;
  }

  get zone(): string {
    return zoneName(this.view.zone, this.meta?.market_zone);
  }

  /** The symbol that panels of a single symbol show. */
  get focus(): string | null {
    // The first symbol is remembered: a new one that sorts before it must not replace it on the screen.
    this.firstSymbol ??= this.market.symbols[0] ?? null;
    return this.view.symbols[0] ?? this.firstSymbol;
  }

  get isLive(): boolean {
    return (this.meta?.mode ?? 'live') === 'live';
  }

  /** The newest event time known. Ranges count back from it, so that a table of last year still has a last hour. */
  get newest(): number {
    return Math.max(this.live.pipeline?.newest_ts ?? 0, this.meta?.newest_ts ?? 0) || Date.now();
  }

  /** The range in milliseconds; `to` is null for ranges that follow the newest tick. */
  get span(): { from: number | null; to: number | null } {
    const { range, from, to } = this.view;
    if (range === 'custom') return { from, to };
    if (range === 'all') return { from: null, to: null };
    return { from: this.newest - parseDuration(range), to: null };
  }

  /** Why the range can't be queried; null where it can. */
  get rangeError(): string | null {
    const { from, to } = this.view;
    if (this.view.range !== 'custom' || from === null || to === null || from < to) return null;
    return 'The range ends before it begins: swap from and to.';
  }

  get interval(): Interval {
    if (this.view.interval !== 'auto') return this.view.interval;
    if (this.measuredInterval?.key === this.measuredRange) return this.measuredInterval.interval;
    const { from, to } = this.span;
    const first = this.meta?.first_ts ?? Date.parse(this.meta?.first_date ?? '');
    const begin = Math.max(from ?? -Infinity, Number.isFinite(first) ? first : -Infinity);
    return intervalFor(Number.isFinite(begin) ? Math.max(0, (to ?? this.newest) - begin) : 30 * 86_400_000);
  }

  private get measuredRange(): string {
    const { range, from, to } = this.view;
    return `${range} ${from} ${to} ${this.focus}`;
  }

  /**
   * Takes the time that the bars of the range really span, which `auto` then follows. Returns whether the interval
   * changed.
   */
  measureSpan(span: number): boolean {
    if (this.view.interval !== 'auto') return false;
    const before = this.interval;
    const interval = intervalFor(span, 120);
    if (parseDuration(interval) >= parseDuration(before) && span / parseDuration(before) < 1500) return false;
    this.measuredInterval = { key: this.measuredRange, interval };
    if (interval !== before) this.emit('interval', interval);
    return interval !== before;
  }

  /**
   * Ranges of queries without an interval start on a grid, so that several tabs send the same query and the server's
   * cache answers it once.
   */
  private get gridMs(): number {
    const { range } = this.view;
    return range === 'custom' || range === 'all' ? 1 : Math.min(60_000, Math.max(1000, parseDuration(range) / 60));
  }

  /** Bounds of the range for a query. They start at the start of an interval, so that the first bar is complete. */
  bounds(interval?: Interval): Pick<Query, 'from' | 'to'> {
    const { from, to } = this.span;
    const step = interval ? parseDuration(interval) : this.gridMs;
    const bounds: Pick<Query, 'from' | 'to'> = {};
    if (from !== null) bounds.from = new Date(Math.floor(from / step) * step).toISOString();
    if (to !== null) bounds.to = new Date(to).toISOString();
    return bounds;
  }

  /**
   * The bounds of the range, cut to its newest `steps` intervals: a query should not read more than a chart can show.
   */
  newestBounds(interval: Interval, steps: number): Pick<Query, 'from' | 'to'> {
    const bounds = this.bounds(interval);
    if (interval === '1d') return bounds;
    const end = Math.min(this.newest, bounds.to === undefined ? Infinity : Date.parse(bounds.to));
    const earliest = end - steps * parseDuration(interval);
    if (bounds.from === undefined || Date.parse(bounds.from) < earliest) {
      bounds.from = new Date(earliest - (earliest % parseDuration(interval))).toISOString();
    }
    return bounds;
  }

  /** The parameter of `signals` that selects kinds of events; empty where the server's query doesn't have it. */
  kindParams(filter: EventFilter): Pick<Query, 'params'> {
    const can = this.meta?.queries.some(
      ({ name, params }) => name === 'signals' && params.some((param) => param.name === 'kind'),
    );
    const kinds = kindsOf(filter);
    return can && kinds !== null ? { params: { kind: kinds.join(',') } } : {};
  }

  /** The chosen symbols, or the symbol in focus where none is chosen. */
  get chosenOrFocus(): string[] {
    if (this.view.symbols.length > 0) return this.view.symbols;
    return this.focus === null ? [] : [this.focus];
  }

  /** Shows one symbol alone; with `add` it adds the symbol to the chosen ones, or removes it from them. */
  chooseSymbol(symbol: string, add: boolean): void {
    const { symbols } = this.view;
    if (!add) this.state.set({ symbols: [symbol] });
    else if (symbols.includes(symbol)) this.state.set({ symbols: symbols.filter((other) => other !== symbol) });
    else this.state.set({ symbols: [...symbols, symbol].slice(-20) });
  }
}
