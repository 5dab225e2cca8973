// What every panel looks at: the view, what the server said of itself, the live side; and what follows from them.

import type { Meta, Query } from './api';
import { Emitter } from './lib/events';
import type { Live } from './live';
import type { Market } from './market';
import { kindsOf, type Feed, type State, type View } from './state';
import { length, intervalFor, zoneName, type Interval } from './lib/time';

/** `auto` becomes another interval when the bars of the range are known. */
export class App extends Emitter<{ interval: Interval; meta: Meta }> {
  meta: Meta | null = null;
  private first: string | null = null;
  private measured: { key: string; interval: Interval } | null = null;

  constructor(
    readonly state: State,
    readonly live: Live,
    readonly market: Market,
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

  /** The symbol of panels that show a single one. */
  get focus(): string | null {
    // The first one there was: a new symbol earlier in the alphabet must not take its place.
    this.first ??= this.market.symbols[0] ?? null;
    return this.view.symbols[0] ?? this.first;
  }

  get isLive(): boolean {
    return (this.meta?.mode ?? 'live') === 'live';
  }

  /** The newest event time there is: ranges count back from it, so that a table of last year has a last hour, too. */
  get newest(): number {
    return Math.max(this.live.pipeline?.newest_ts ?? 0, this.meta?.newest_ts ?? 0) || Date.now();
  }

  /** Milliseconds; `to` is open for ranges that follow the newest tick. */
  get span(): { from: number | null; to: number | null } {
    const { range, from, to } = this.view;
    if (range === 'custom') return { from, to };
    if (range === 'all') return { from: null, to: null };
    return { from: this.newest - length(range), to: null };
  }

  /** Why no range can be asked; null where it can. */
  get rangeTrouble(): string | null {
    const { from, to } = this.view;
    if (this.view.range !== 'custom' || from === null || to === null || from < to) return null;
    return 'The range ends before it begins: swap from and to.';
  }

  get interval(): Interval {
    if (this.view.interval !== 'auto') return this.view.interval;
    if (this.measured?.key === this.measureKey) return this.measured.interval;
    const { from, to } = this.span;
    const first = this.meta?.first_ts ?? Date.parse(this.meta?.first_date ?? '');
    const begin = Math.max(from ?? -Infinity, Number.isFinite(first) ? first : -Infinity);
    return intervalFor(Number.isFinite(begin) ? Math.max(0, (to ?? this.newest) - begin) : 30 * 86_400_000);
  }

  private get measureKey(): string {
    const { range, from, to } = this.view;
    return `${range} ${from} ${to} ${this.focus}`;
  }

  /** Tells how long a time the bars of the range really span; `auto` follows. True where that changes the interval. */
  measure(span: number): boolean {
    if (this.view.interval !== 'auto') return false;
    const before = this.interval;
    const interval = intervalFor(span, 120);
    if (length(interval) >= length(before) && span / length(before) < 1500) return false;
    this.measured = { key: this.measureKey, interval };
    if (interval !== before) this.emit('interval', interval);
    return interval !== before;
  }

  /** Ranges without bars begin on a grid, so that tabs ask the same question and the server answers it once. */
  private get grid(): number {
    const { range } = this.view;
    return range === 'custom' || range === 'all' ? 1 : Math.min(60_000, Math.max(1000, length(range) / 60));
  }

  /** Bounds of the range for a query; the begin on a whole interval, so that the first bar is whole. */
  bounds(interval?: Interval): Pick<Query, 'from' | 'to'> {
    const { from, to } = this.span;
    const step = interval ? length(interval) : this.grid;
    const bounds: Pick<Query, 'from' | 'to'> = {};
    if (from !== null) bounds.from = new Date(Math.floor(from / step) * step).toISOString();
    if (to !== null) bounds.to = new Date(to).toISOString();
    return bounds;
  }

  /** The same, of the newest `steps` intervals at most: no question reads more than its picture can show. */
  newestBounds(interval: Interval, steps: number): Pick<Query, 'from' | 'to'> {
    const bounds = this.bounds(interval);
    if (interval === '1d') return bounds;
    const end = Math.min(this.newest, bounds.to === undefined ? Infinity : Date.parse(bounds.to));
    const earliest = end - steps * length(interval);
    if (bounds.from === undefined || Date.parse(bounds.from) < earliest) {
      bounds.from = new Date(earliest - (earliest % length(interval))).toISOString();
    }
    return bounds;
  }

  /** Kinds of events asked of `signals`, where the server can choose them. */
  kinds(feed: Feed): Pick<Query, 'params'> {
    const can = this.meta?.queries.some(
      ({ name, params }) => name === 'signals' && params.some((param) => param.name === 'kind'),
    );
    const kinds = kindsOf(feed);
    return can && kinds !== null ? { params: { kind: kinds.join(',') } } : {};
  }

  /** Chosen symbols, or the one that is shown where none is chosen. */
  get chosenOrFocus(): string[] {
    if (this.view.symbols.length > 0) return this.view.symbols;
    return this.focus === null ? [] : [this.focus];
  }

  /** Shows one symbol, or with `add` puts it to the chosen ones or takes it out. */
  choose(symbol: string, add: boolean): void {
    const { symbols } = this.view;
    if (!add) this.state.set({ symbols: [symbol] });
    else if (symbols.includes(symbol)) this.state.set({ symbols: symbols.filter((other) => other !== symbol) });
    else this.state.set({ symbols: [...symbols, symbol].slice(-20) });
  }
}
