// The newest values of every symbol, as the stream (or, of a snapshot, the last day's summary) has them, and a short
// line of closes. Kept also while drawing is paused; bounded by the number of symbols.

import type { Answer } from './api';
import { column } from './api';

const SPARK_POINTS = 48;
/** Points of a spark line are at least this far apart. */
const SPARK_STEP_MS = 1000;

export interface Quote {
  symbol: string;
  ts: number;
  signal: string;
  values: Float64Array;
  spark: number[];
  sparkAt: number;
  /** Of the last change of the close: 1, -1 or 0. */
  tick: number;
}

export const VALUE_TITLES: Record<string, string> = {
  close: 'Close',
  volume: 'Volume',
  prev_close: 'Prev close',
  prev_volume: 'Prev volume',
  change_pct: 'Tick chg %',
  ma_5: 'MA 5',
  sma_fast: 'SMA 9',
  ma_10: 'MA 10',
  ma_20: 'MA 20',
  sma_slow: 'SMA 21',
  volume_avg_5: 'Vol avg 5',
  volume_avg_10: 'Vol avg 10',
  volatility: 'Volatility',
  zscore: 'z-score',
  vwap: 'VWAP',
  day_open: 'Day open',
  day_high: 'Day high',
  day_low: 'Day low',
  day_volume: 'Day volume',
};

export class Market {
  columns: string[] = Object.keys(VALUE_TITLES);
  readonly quotes = new Map<string, Quote>();
  /** Symbols in alphabetical order; a new one is sorted in. */
  symbols: string[] = [];
  /** Counts changes, so that who draws can tell whether anything did. */
  version = 0;
  private places = new Map<string, number>();

  constructor() {
    this.index();
  }

  private index(): void {
    this.places = new Map(this.columns.map((name, at) => [name, at]));
  }

  hello(columns: string[]): void {
    if (columns.join() === this.columns.join()) return;
    this.columns = columns;
    this.quotes.clear();
    this.index();
  }

  setSymbols(symbols: string[]): void {
    this.symbols = symbols;
    this.version += 1;
  }

  private quote(symbol: string): Quote {
    let quote = this.quotes.get(symbol);
    if (quote) return quote;
    const values = new Float64Array(this.columns.length).fill(Number.NaN);
    quote = { symbol, ts: 0, signal: '', values, spark: [], sparkAt: 0, tick: 0 };
    this.quotes.set(symbol, quote);
    if (!this.known(symbol)) {
      this.symbols = [...this.symbols, symbol].sort();
    }
    return quote;
  }

  private knownFor: string[] = [];
  private knownSet = new Set<string>();
  known(symbol: string): boolean {
    if (this.knownFor !== this.symbols) {
      this.knownFor = this.symbols;
      this.knownSet = new Set(this.symbols);
    }
    return this.knownSet.has(symbol);
  }

  tiles(tiles: { symbol: string[]; ts: number[]; signal: string[]; values: (number | null)[][] }): void {
    const close = this.places.get('close') ?? 0;
    tiles.symbol.forEach((symbol, row) => {
      const quote = this.quote(symbol);
      const before = quote.values[close]!;
      quote.ts = tiles.ts[row] ?? 0;
      quote.signal = tiles.signal[row] ?? '';
      for (let at = 0; at < this.columns.length; at += 1) quote.values[at] = tiles.values[at]?.[row] ?? Number.NaN;
      const now = quote.values[close]!;
      quote.tick = now > before ? 1 : now < before ? -1 : 0;
      this.extend(quote, now);
    });
    this.version += 1;
  }

  private extend(quote: Quote, close: number): void {
    if (!Number.isFinite(close)) return;
    if (quote.spark.length > 0 && quote.ts - quote.sparkAt < SPARK_STEP_MS) {
      quote.spark[quote.spark.length - 1] = close;
      return;
    }
    quote.spark.push(close);
    quote.sparkAt = quote.ts;
    if (quote.spark.length > SPARK_POINTS) quote.spark.shift();
  }

  /** Closes of bars before those that the stream told. */
  history(answer: Answer): void {
    const symbols = column(answer, 'symbol') as string[];
    const closes = column(answer, 'close') as (number | null)[];
    const older = new Map<string, number[]>();
    symbols.forEach((symbol, row) => {
      const close = closes[row];
      if (close === null || close === undefined) return;
      const line = older.get(symbol);
      if (line) line.push(close);
      else older.set(symbol, [close]);
    });
    for (const [symbol, line] of older) {
      const quote = this.quotes.get(symbol);
      if (quote) quote.spark = [...line, ...quote.spark].slice(-SPARK_POINTS);
    }
    this.version += 1;
  }

  /** Rows of `daily_summary` of one day stand in for tiles where there is no live side. */
  day(answer: Answer): void {
    const get = (name: string): (number | null)[] => column(answer, name) as (number | null)[];
    const columns: Record<string, string> = {
      close: 'close',
      day_open: 'open',
      day_high: 'high',
      day_low: 'low',
      day_volume: 'volume',
      vwap: 'vwap',
      volatility: 'volatility',
    };
    (column(answer, 'symbol') as string[]).forEach((symbol, row) => {
      const quote = this.quote(symbol);
      for (const [value, from] of Object.entries(columns)) {
        const at = this.places.get(value);
        if (at !== undefined) quote.values[at] = get(from)[row] ?? Number.NaN;
      }
    });
    this.version += 1;
  }

  /** NaN where it is unknown. */
  value(quote: Quote, name: string): number {
    const at = this.places.get(name);
    return at === undefined ? Number.NaN : quote.values[at]!;
  }

  /** Percent since the open of the session. */
  change(quote: Quote): number {
    const open = this.value(quote, 'day_open');
    return open > 0 ? ((this.value(quote, 'close') - open) / open) * 100 : Number.NaN;
  }
}
