// The bars of one symbol: loaded from history and kept up to date by second bars. This module has no side effects.

import { column, type Answer } from '../api';
import type { Bar } from './bar';
import type { SecondBars, SecondUpdate } from './seconds';

const MAX_BARS = 6000;

export function barsFromAnswer(answer: Answer): Bar[] {
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

export class BarSeries {
  list: Bar[] = [];
  /** The index of the first bar that changed since the last drawing; Infinity if none did. */
  changedFrom = Infinity;

  constructor(private step: number) {}

  get last(): Bar | undefined {
    return this.list[this.list.length - 1];
  }

  /** Replaces all bars; `step` is the interval in seconds. */
  load(bars: Bar[], step: number): void {
    this.step = step;
    this.list = bars;
    this.changedFrom = 0;
  }

  /** Replaces the newest bars by those of a refresh. */
  replaceTail(bars: Bar[]): void {
    const first = bars[0];
    if (!first) return;
    let at = this.list.length;
    while (at > 0 && this.list[at - 1]!.time >= first.time) at -= 1;
    // The stream may have added bars while the request was running.
    const ahead = this.list.slice(at).filter((bar) => bar.time > bars[bars.length - 1]!.time);
    this.list = [...this.list.slice(0, at), ...bars, ...ahead];
    this.changedFrom = Math.min(this.changedFrom, at);
    this.trim();
  }

  /** Applies second bars. A bar whose seconds are all known is rebuilt from them; any other bar is extended. */
  applyUpdates(seconds: SecondBars, updates: SecondUpdate[]): void {
    for (const { second, bar, volume, trades } of updates) {
      const time = Math.floor(second / this.step) * this.step;
      const last = this.last;
      if (last && time < last.time) continue;
      if (!last || time > last.time || seconds.isCompleteFrom(time)) {
        this.putBar(seconds, time);
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

  /** Applies the seconds known so far to bars from history, which may be behind the stream. */
  catchUp(seconds: SecondBars): void {
    const from = this.last?.time ?? -Infinity;
    for (const time of seconds.barStarts(this.step, from))
      if (time > from || seconds.isCompleteFrom(time)) this.putBar(seconds, time);
  }

  private putBar(seconds: SecondBars, time: number): void {
    const bar = seconds.barAt(time, this.step);
    if (!bar) return;
    if (this.last?.time === time) this.list[this.list.length - 1] = bar;
    else this.list.push(bar);
    this.changedFrom = Math.min(this.changedFrom, this.list.length - 1);
    this.trim();
  }

  private trim(): void {
    if (this.list.length <= MAX_BARS) return;
    this.list = this.list.slice(-Math.floor(MAX_BARS * 0.8));
    this.changedFrom = 0;
  }
}

/** The mean of the `n` closes that end at index `at`; null while there are fewer. */
export function meanClose(bars: Bar[], at: number, n: number): number | null {
  if (at + 1 < n) return null;
  let sum = 0;
  for (let i = at - n + 1; i <= at; i += 1) sum += bars[i]!.close;
  return sum / n;
}
