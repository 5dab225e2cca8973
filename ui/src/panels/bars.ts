// Bars of one symbol: history, kept up to date by bars of one second. Pure.

import { column, type Answer } from '../api';
import type { Growth, Seconds } from './seconds';

export interface Bar {
  /** Seconds since the epoch, UTC; the first instant of the bar. */
  time: number;
  open: number;
  high: number;
  low: number;
  close: number;
  volume: number;
  trades: number;
}

const MOST_BARS = 6000;

export function barsOf(answer: Answer): Bar[] {
  const get = (name: string): (number | null)[] => column(answer, name) as (number | null)[];
  const [time, open, high, low, close, volume, trades] = [
    'bar_start',
    'open',
    'high',
    'low',
    'close',
    'volume',
    'trades',
  ].map(get) as [
    (number | null)[],
    (number | null)[],
    (number | null)[],
    (number | null)[],
    (number | null)[],
    (number | null)[],
    (number | null)[],
  ];
  const bars: Bar[] = [];
  for (let row = 0; row < answer.rows; row += 1) {
    const [o, hi, lo, c, t] = [open[row], high[row], low[row], close[row], time[row]];
    if (t == null || o == null || hi == null || lo == null || c == null) continue;
    bars.push({
      time: Math.round(t / 1000),
      open: o,
      high: hi,
      low: lo,
      close: c,
      volume: volume[row] ?? 0,
      trades: trades[row] ?? 0,
    });
  }
  return bars;
}

export class Bars {
  list: Bar[] = [];
  /** Place of the first bar that changed since it was drawn; Infinity where none did. */
  changedFrom = Infinity;

  constructor(private step: number) {}

  get last(): Bar | undefined {
    return this.list[this.list.length - 1];
  }

  /** Begins anew; the interval in seconds. */
  load(bars: Bar[], step: number): void {
    this.step = step;
    this.list = bars;
    this.changedFrom = 0;
  }

  /** Replaces the end by bars that were asked again. */
  patch(bars: Bar[]): void {
    const first = bars[0];
    if (!first) return;
    let at = this.list.length;
    while (at > 0 && this.list[at - 1]!.time >= first.time) at -= 1;
    // The stream may have gone on while the question was answered.
    const ahead = this.list.slice(at).filter((bar) => bar.time > bars[bars.length - 1]!.time);
    this.list = [...this.list.slice(0, at), ...bars, ...ahead];
    this.changedFrom = Math.min(this.changedFrom, at);
    this.trim();
  }

  /** Goes on with what the stream told. A bar whose seconds are all known is made of them; another one grows. */
  grow(seconds: Seconds, growths: Growth[]): void {
    for (const { second, bar, volume, trades } of growths) {
      const time = Math.floor(second / this.step) * this.step;
      const last = this.last;
      if (last && time < last.time) continue;
      if (!last || time > last.time || seconds.covers(time)) {
        this.take(seconds, time);
        continue;
      }
      const [, , , high, low, close] = bar;
      last.high = Math.max(last.high, high);
      last.low = Math.min(last.low, low);
      last.close = close;
      last.volume += volume;
      last.trades += trades;
      this.changedFrom = Math.min(this.changedFrom, this.list.length - 1);
    }
  }

  /** After history came: it may be behind the stream. */
  catchUp(seconds: Seconds): void {
    const from = this.last?.time ?? -Infinity;
    for (const time of seconds.bars(this.step, from)) if (time > from || seconds.covers(time)) this.take(seconds, time);
  }

  private take(seconds: Seconds, time: number): void {
    const bar = seconds.bar(time, this.step);
    if (!bar) return;
    if (this.last?.time === time) this.list[this.list.length - 1] = bar;
    else this.list.push(bar);
    this.changedFrom = Math.min(this.changedFrom, this.list.length - 1);
    this.trim();
  }

  private trim(): void {
    if (this.list.length <= MOST_BARS) return;
    this.list = this.list.slice(-Math.floor(MOST_BARS * 0.8));
    this.changedFrom = 0;
  }
}

/** Mean of the last n closes at a place; null until there are n. */
export function mean(bars: Bar[], at: number, n: number): number | null {
  if (at + 1 < n) return null;
  let sum = 0;
  for (let i = at - n + 1; i <= at; i += 1) sum += bars[i]!.close;
  return sum / n;
}
