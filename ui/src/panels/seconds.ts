// The second bars of one symbol, as the stream delivers them. Each message has the complete bar, so a repeated second
// replaces its predecessor. The first message after the stream opened replays past seconds, which history may or may
// not contain already. This module has no side effects.

import type { SecondBar } from '../live';
import type { Bar } from './bar';

/** How much a second has grown since its previous message; zero for replayed seconds. */
export interface SecondUpdate {
  second: number;
  bar: SecondBar;
  volume: number;
  trades: number;
}

const KEPT_SECONDS = 600;

export class SecondBars {
  private symbol: string | null = null;
  private readonly bySecond = new Map<number, SecondBar>();
  private newest = -Infinity;
  /** From this second on, no tick is missing. */
  private completeFrom = Infinity;
  private replaying = true;

  /** Call this when the stream was reopened: its first message replays past seconds. */
  reopen(): void {
    this.replaying = true;
  }

  update(symbol: string, bars: SecondBar[]): SecondUpdate[] {
    if (symbol !== this.symbol) this.reset(symbol);
    const own = bars.filter((bar) => bar[0] === symbol).sort((a, b) => a[1] - b[1]);
    const [first] = own;
    if (!first) return [];
    if (this.replaying && first[1] / 1000 > this.newest) this.completeFrom = Math.floor(first[1] / 1000);
    const updates = own.map((bar): SecondUpdate => {
      const second = Math.floor(bar[1] / 1000);
      const before = this.bySecond.get(second);
      this.bySecond.set(second, bar);
      this.newest = Math.max(this.newest, second);
      return {
        second,
        bar,
        volume: this.replaying ? 0 : bar[6] - (before?.[6] ?? 0),
        trades: this.replaying ? 0 : bar[7] - (before?.[7] ?? 0),
      };
    });
    this.replaying = false;
    while (this.bySecond.size > KEPT_SECONDS) {
      const oldest = this.bySecond.keys().next().value as number;
      this.bySecond.delete(oldest);
      this.completeFrom = Math.max(this.completeFrom, oldest + 1);
    }
    return updates;
  }

  private reset(symbol: string): void {
    this.symbol = symbol;
    this.bySecond.clear();
    this.newest = -Infinity;
    this.completeFrom = Infinity;
    this.replaying = true;
  }

  isCompleteFrom(time: number): boolean {
    return this.completeFrom <= time;
  }

  /** The start times of the bars, from `from` on, that contain any known second, in order. */
  barStarts(step: number, from: number): number[] {
    const times = new Set<number>();
    for (const second of this.bySecond.keys()) if (second >= from) times.add(Math.floor(second / step) * step);
    return [...times].sort((a, b) => a - b);
  }

  /** Builds a bar from its seconds; null where none of them is known. */
  barAt(time: number, step: number): Bar | null {
    let all: Bar | null = null;
    const end = Math.min(time + step, this.newest + 1);
    for (let second = Math.max(time, this.newest - 2 * KEPT_SECONDS); second < end; second += 1) {
      const one = this.bySecond.get(second);
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
