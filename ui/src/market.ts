// The newest values of every symbol, with a short history of closes for its sparkline. They come from the stream, or
// for a snapshot from the newest day's summary. Updates continue while drawing is paused.

import type { Answer } from './api';
import { column } from './api';

const SPARK_POINTS = 48;
/** Points of a sparkline are at least this far apart. */
const SPARK_STEP_MS = 1000;

export interface Quote {
  symbol: string;
  ts: number;
  signal: string;
  values: Float64Array;
  spark: number[];
  lastSparkTs: number;
  /** Direction of the last change of the close: 1, -1 or 0. */
  direction: number;
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

export class MarketData {
  columns: string[] = Object.keys(VALUE_TITLES);
  readonly quotes = new Map<string, Quote>();
  /** Symbols in alphabetical order; a new one is inserted in order. */
  symbols: string[] = [];
  /** Incremented by every change, so that panels can skip drawing when nothing changed. */
  version = 0;
  private columnIndexes = new Map<string, number>();

  constructor() {
    this.indexColumns();
  }

  private indexColumns(): void {
    this.columnIndexes = new Map(this.columns.map((name, at) => [name, at]));
  }

  setColumns(columns: string[]): void {
    if (columns.join() === this.columns.join()) return;
    this.columns = columns;
    this.quotes.clear();
    this.indexColumns();
  }

  setSymbols(symbols: string[]): void {
    this.symbols = symbols;
    this.version += 1;
  }

  private quoteOf(symbol: string): Quote {
    let quote = this.quotes.get(symbol);
    if (quote) return quote;
    const values = new Float64Array(this.columns.length).fill(Number.NaN);
    quote = { symbol, ts: 0, signal: '', values, spark: [], lastSparkTs: 0, direction: 0 };
    this.quotes.set(symbol, quote);
    if (!this.hasSymbol(symbol)) {
      this.symbols = [...this.symbols, symbol].sort();
    }
    return quote;
  }

  private indexedSymbols: string[] = [];
  private symbolSet = new Set<string>();
  hasSymbol(symbol: string): boolean {
    if (this.indexedSymbols !== this.symbols) {
      this.indexedSymbols = this.symbols;
      this.symbolSet = new Set(this.symbols);
    }
    return this.symbolSet.has(symbol);
  }

  applyTiles(tiles: { symbol: string[]; ts: number[]; signal: string[]; values: (number | null)[][] }): void {
    const close = this.columnIndexes.get('close') ?? 0;
    tiles.symbol.forEach((symbol, row) => {
      const quote = this.quoteOf(symbol);
      const before = quote.values[close]!;
      quote.ts = tiles.ts[row] ?? 0;
      quote.signal = tiles.signal[row] ?? '';
      for (let at = 0; at < this.columns.length; at += 1) quote.values[at] = tiles.values[at]?.[row] ?? Number.NaN;
      const now = quote.values[close]!;
      quote.direction = now > before ? 1 : now < before ? -1 : 0;
      this.extendSpark(quote, now);
    });
    this.version += 1;
  }

  private extendSpark(quote: Quote, close: number): void {
    if (!Number.isFinite(close)) return;
    if (quote.spark.length > 0 && quote.ts - quote.lastSparkTs < SPARK_STEP_MS) {
      quote.spark[quote.spark.length - 1] = close;
      return;
    }
    quote.spark.push(close);
    quote.lastSparkTs = quote.ts;
    if (quote.spark.length > SPARK_POINTS) quote.spark.shift();
  }

  /** Prepends closes from history to the closes that the stream has delivered so far. */
  prependSparks(answer: Answer): void {
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

  /** Fills the quotes from rows of `daily_summary`, for a snapshot, where no tiles are streamed. */
  applyDailySummary(answer: Answer): void {
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
      const quote = this.quoteOf(symbol);
      for (const [value, from] of Object.entries(columns)) {
        const at = this.columnIndexes.get(value);
        if (at !== undefined) quote.values[at] = get(from)[row] ?? Number.NaN;
      }
    });
    this.version += 1;
  }

  /** A value of a quote by its column name; NaN where it is unknown. */
  value(quote: Quote, name: string): number {
    const at = this.columnIndexes.get(name);
    return at === undefined ? Number.NaN : quote.values[at]!;
  }

  /** The change since the open of the session, in percent. */
  change(quote: Quote): number {
    const open = this.value(quote, 'day_open');
    return open > 0 ? ((this.value(quote, 'close') - open) / open) * 100 : Number.NaN;
  }
}
