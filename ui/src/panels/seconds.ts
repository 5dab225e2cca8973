// Bars of one second of one symbol, as the stream tells them: whole each time, so one that comes again replaces itself.
// The first ones after the stream was opened are of the past: history may hold them already, or may not yet. Pure.

import type { SecondBar } from '../live';
import type { Bar } from './bars';

/** How much a second has grown since it was told before; nothing for those of the past. */
export interface Growth {
  second: number;
  bar: SecondBar;
  volume: number;
  trades: number;
}

const REMEMBERED = 600;

export class Seconds {
  private symbol: string | null = null;
  private readonly known = new Map<number, SecondBar>();
  private newest = -Infinity;
  /** All ticks from this second on are known. */
  private from = Infinity;
  private past = true;

  /** The stream was opened anew: what comes first is of the past. */
  reopen(): void {
    this.past = true;
  }

  take(symbol: string, bars: SecondBar[]): Growth[] {
    if (symbol !== this.symbol) this.forget(symbol);
    const mine = bars.filter((bar) => bar[0] === symbol).sort((a, b) => a[1] - b[1]);
    const [first] = mine;
    if (!first) return [];
    if (this.past && first[1] / 1000 > this.newest) this.from = Math.floor(first[1] / 1000);
    const growths = mine.map((bar): Growth => {
      const second = Math.floor(bar[1] / 1000);
      const before = this.known.get(second);
      this.known.set(second, bar);
      this.newest = Math.max(this.newest, second);
      return {
        second,
        bar,
        volume: this.past ? 0 : bar[6] - (before?.[6] ?? 0),
        trades: this.past ? 0 : bar[7] - (before?.[7] ?? 0),
      };
    });
    this.past = false;
    while (this.known.size > REMEMBERED) {
      const oldest = this.known.keys().next().value as number;
      this.known.delete(oldest);
      this.from = Math.max(this.from, oldest + 1);
    }
    return growths;
  }

  private forget(symbol: string): void {
    this.symbol = symbol;
    this.known.clear();
    this.newest = -Infinity;
    this.from = Infinity;
    this.past = true;
  }

  covers(time: number): boolean {
    return this.from <= time;
  }

  /** Beginnings of the bars that have any of the seconds, from one on, in order. */
  bars(step: number, from: number): number[] {
    const times = new Set<number>();
    for (const second of this.known.keys()) if (second >= from) times.add(Math.floor(second / step) * step);
    return [...times].sort((a, b) => a - b);
  }

  /** The bar of the seconds in it; null where there are none. */
  bar(time: number, step: number): Bar | null {
    let all: Bar | null = null;
    const end = Math.min(time + step, this.newest + 1);
    for (let second = Math.max(time, this.newest - 2 * REMEMBERED); second < end; second += 1) {
      const one = this.known.get(second);
      if (!one) continue;
      const [, , open, high, low, close, volume, trades] = one;
      if (all === null) all = { time, open, high, low, close, volume, trades };
      else {
        all.high = Math.max(all.high, high);
        all.low = Math.min(all.low, low);
        all.close = close;
        all.volume += volume;
        all.trades += trades;
      }
    }
    return all;
  }
}
