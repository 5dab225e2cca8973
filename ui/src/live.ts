// The stream of this tab: the newest values of each symbol, bars of one second, events and the state of the pipeline.
// It is closed while the tab is hidden, because a browser has six connections per origin and a hidden tab needs none.

import { Emitter } from './lib/events';
import { describeError, getJson } from './api';

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

export interface PipelineState {
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
  /** What is wrong with the pipeline, if anything; the API calls the field `trouble`. */
  trouble: string | null;
}

/** Symbol, second in milliseconds, open, high, low, close, volume, trades. */
export type SecondBar = [string, number, number, number, number, number, number, number];

export type ConnectionState = 'connecting' | 'live' | 'degraded' | 'snapshot' | 'reconnecting' | 'stale' | 'failed';

interface StreamEvents extends Record<string, unknown> {
  hello: { columns: string[]; mode: 'live' | 'snapshot'; server_time: number };
  tiles: { t: number; full: boolean; symbol: string[]; ts: number[]; signal: string[]; values: (number | null)[][] };
  bars: SecondBar[];
  events: LiveEvent[];
  pipeline: PipelineState;
  resync: null;
  connection: ConnectionState;
}

/** `pipeline` arrives once a second: after this long without any message, what the page shows is stale. */
const STALE_AFTER_MS = 5_000;
const CLOSE_WHEN_HIDDEN_MS = 15_000;
const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 10_000;

export class LiveStream extends Emitter<StreamEvents> {
  connection: ConnectionState = 'connecting';
  /** Why the connection failed, in words for the user. */
  cause: string | null = null;
  /** When the last message arrived, by the browser's clock. */
  lastMessageAt = Date.now();
  private openedAt = Date.now();
  pipeline: PipelineState | null = null;
  private mode: 'live' | 'snapshot' = 'live';
  private source: EventSource | null = null;
  private symbols: string[] = [];
  private retryDelay = FIRST_RETRY_MS;
  private retryTimer = 0;
  private hiddenTimer = 0;

  start(): void {
    setInterval(() => this.checkStale(), 1000);
    document.addEventListener('visibilitychange', () => {
      clearTimeout(this.hiddenTimer);
      if (document.hidden) this.hiddenTimer = window.setTimeout(() => this.close(), CLOSE_WHEN_HIDDEN_MS);
      else if (!this.source) this.open(true);
    });
    addEventListener('pagehide', () => this.close());
    addEventListener('pageshow', (event) => event.persisted && this.open(true));
  }

  /** Subscribes to the second bars of these symbols. The stream is reopened when they differ from the current ones. */
  subscribe(symbols: string[]): void {
    if (this.source && symbols.join('\n') === this.symbols.join('\n')) return;
    this.symbols = symbols;
    if (!document.hidden || !this.source) this.open(false);
  }

  private close(): void {
    clearTimeout(this.retryTimer);
    this.source?.close();
    this.source = null;
  }

  private open(resync: boolean): void {
    this.close();
    const query = new URLSearchParams(this.symbols.map((symbol) => ['symbol', symbol]));
    const source = new EventSource(`/api/stream?${query}`);
    this.source = source;
    this.openedAt = Date.now();
    let first = true;
    const listen = <K extends keyof StreamEvents & string>(
      name: K,
      handle?: (value: StreamEvents[K]) => void,
    ): void => {
      source.addEventListener(name, (event) => {
        if (source !== this.source) return;
        const value = JSON.parse((event as MessageEvent<string>).data) as StreamEvents[K];
        this.lastMessageAt = Date.now();
        handle?.(value);
        this.emit(name, value);
        this.setConnection(this.mode === 'live' && this.pipeline?.trouble ? 'degraded' : this.mode);
      });
    };
    listen('hello', (hello) => {
      this.mode = hello.mode;
      this.retryDelay = FIRST_RETRY_MS;
      this.cause = null;
      if (resync || !first) this.emit('resync', null);
      first = false;
    });
    listen('tiles');
    listen('bars');
    listen('events');
    listen('pipeline', (pipeline) => (this.pipeline = pipeline));
    listen('resync');
    source.onerror = () => {
      if (source !== this.source) return;
      this.setConnection('reconnecting');
      if (source.readyState === EventSource.CLOSED) void this.findRefusal();
    };
  }

  /**
   * An EventSource hides the status of a refused request: a plain request finds the reason, then the stream is retried.
   */
  private async findRefusal(): Promise<void> {
    this.close();
    try {
      await getJson('/api/meta', AbortSignal.timeout(5000), 0);
      this.cause = null;
    } catch (cause) {
      this.cause = describeError(cause);
      this.setConnection('failed');
    }
    this.retryTimer = window.setTimeout(() => this.open(true), this.retryDelay);
    this.retryDelay = Math.min(this.retryDelay * 2, MAX_RETRY_MS);
  }

  private checkStale(): void {
    if (
      this.source &&
      (this.connection === 'live' || this.connection === 'degraded' || this.connection === 'snapshot') &&
      Date.now() - Math.max(this.lastMessageAt, this.openedAt) > STALE_AFTER_MS
    ) {
      this.setConnection('stale');
    }
  }

  private setConnection(connection: ConnectionState): void {
    if (connection === this.connection) return;
    this.connection = connection;
    this.emit('connection', connection);
  }
}
