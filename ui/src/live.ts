// The stream of this tab: newest values per symbol, bars of one second, events, the state of the pipeline.
// One EventSource; it is closed while the tab is hidden, because a browser has six connections to an origin and a
// hidden tab needs none.

import { Emitter } from './lib/events';
import { describe, getJson } from './api';

export interface LiveEvent {
  id: string;
  kind: 'signal' | 'cross' | 'anomaly' | 'price_alert' | 'rule';
  name: string;
  symbol: string;
  ts: number;
  side: string | null;
  confirmed: boolean | null;
  severity: 'info' | 'warning' | 'critical';
  close: number | null;
  volume: number | null;
  value: number | null;
}

export interface Pipeline {
  rate: number | null;
  ticks: number | null;
  late: number | null;
  scattered: number | null;
  lag_messages: number | null;
  lag_seconds: number | null;
  newest_ts: number | null;
  last_commit: number | null;
  table_version: number | null;
  rows: number | null;
  dead_letters: number | null;
  files: number | null;
  events: number | null;
  tabs: number | null;
  trouble: string | null;
}

/** symbol, second in ms, open, high, low, close, volume, trades */
export type SecondBar = [string, number, number, number, number, number, number, number];

export type Link = 'connecting' | 'live' | 'troubled' | 'snapshot' | 'reconnecting' | 'stale' | 'failed';

interface Events extends Record<string, unknown> {
  hello: { columns: string[]; mode: 'live' | 'snapshot'; server_time: number };
  tiles: { t: number; full: boolean; symbol: string[]; ts: number[]; signal: string[]; values: (number | null)[][] };
  bars: SecondBar[];
  events: LiveEvent[];
  pipeline: Pipeline;
  resync: null;
  link: Link;
}

/** `pipeline` comes once a second: this many without any word mean that what is shown is old. */
const STALE_AFTER_MS = 5_000;
const HIDDEN_FOR_MS = 15_000;
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 10_000;

export class Live extends Emitter<Events> {
  link: Link = 'connecting';
  /** Why the link failed; for people. */
  cause: string | null = null;
  /** When the last word came; by this machine's clock. */
  heard = Date.now();
  private opened = Date.now();
  pipeline: Pipeline | null = null;
  private mode: 'live' | 'snapshot' = 'live';
  private source: EventSource | null = null;
  private symbols: string[] = [];
  private retry = FIRST_RETRY_MS;
  private timer = 0;
  private hidden = 0;

  start(): void {
    setInterval(() => this.watch(), 1000);
    document.addEventListener('visibilitychange', () => {
      clearTimeout(this.hidden);
      if (document.hidden) this.hidden = window.setTimeout(() => this.close(), HIDDEN_FOR_MS);
      else if (!this.source) this.open(true);
    });
    addEventListener('pagehide', () => this.close());
    addEventListener('pageshow', (event) => event.persisted && this.open(true));
  }

  /** Bars come for these; the stream is opened anew when they differ. */
  subscribe(symbols: string[]): void {
    if (this.source && symbols.join('\n') === this.symbols.join('\n')) return;
    this.symbols = symbols;
    if (!document.hidden || !this.source) this.open(false);
  }

  private close(): void {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }

  private open(missed: boolean): void {
    this.close();
    const query = new URLSearchParams(this.symbols.map((symbol) => ['symbol', symbol]));
    const source = new EventSource(`/api/stream?${query}`);
    this.source = source;
    this.opened = Date.now();
    let first = true;
    const listen = <K extends keyof Events & string>(name: K, act?: (value: Events[K]) => void): void => {
      source.addEventListener(name, (event) => {
        if (source !== this.source) return;
        const value = JSON.parse((event as MessageEvent<string>).data) as Events[K];
        this.heard = Date.now();
        act?.(value);
        this.emit(name, value);
        this.tell(this.mode === 'live' && this.pipeline?.trouble ? 'troubled' : this.mode);
      });
    };
    listen('hello', (hello) => {
      this.mode = hello.mode;
      this.retry = FIRST_RETRY_MS;
      this.cause = null;
      if (missed || !first) this.emit('resync', null);
      first = false;
    });
    listen('tiles');
    listen('bars');
    listen('events');
    listen('pipeline', (pipeline) => (this.pipeline = pipeline));
    listen('resync');
    source.onerror = () => {
      if (source !== this.source) return;
      this.tell('reconnecting');
      if (source.readyState === EventSource.CLOSED) void this.explain();
    };
  }

  /** An EventSource hides the status of a refusal: ask once more in a way that shows it, then try again. */
  private async explain(): Promise<void> {
    this.close();
    try {
      await getJson('/api/meta', AbortSignal.timeout(5000), 0);
      this.cause = null;
    } catch (cause) {
      this.cause = describe(cause);
      this.tell('failed');
    }
    this.timer = window.setTimeout(() => this.open(true), this.retry);
    this.retry = Math.min(this.retry * 2, LONGEST_RETRY_MS);
  }

  private watch(): void {
    if (
      this.source &&
      (this.link === 'live' || this.link === 'troubled' || this.link === 'snapshot') &&
      Date.now() - Math.max(this.heard, this.opened) > STALE_AFTER_MS
    ) {
      this.tell('stale');
    }
  }

  private tell(link: Link): void {
    if (link === this.link) return;
    this.link = link;
    this.emit('link', link);
  }
}
