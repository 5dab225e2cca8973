// Raw ticks, newest first. Older pages are loaded as the end of the table comes near. The next page starts within the
// microsecond of the last tick, so that no tick of the same instant is lost between two pages; duplicates are dropped.

import type { App } from '../app';
import { column, describeError, getJson, isAbort, queryUrl, type Answer, type Query } from '../api';
import { button } from '../lib/dom';
import { count, printable, price, compact, UNKNOWN } from '../lib/format';
import { clockMicros, dayMonth } from '../lib/time';
import { Panel } from '../panel';
import { scheduleDraw } from '../schedule';
import { VirtualTable } from '../table';

const PAGE_ROWS = 500;
const MAX_TICKS = 50_000;
const MICROSECOND = 0.001;

interface Tick {
  symbol: string;
  ts: number;
  open: number | null;
  high: number | null;
  low: number | null;
  close: number | null;
  volume: number | null;
  trade: string;
  source: string;
  partition: number | null;
  offset: number | null;
}

function ticksOf(answer: Answer): Tick[] {
  const get = <T>(name: string): T[] => column(answer, name) as T[];
  const [symbol, ts] = [get<string>('symbol'), get<number>('ts')];
  const [open, high, low, close, volume] = ['open', 'high', 'low', 'close', 'volume'].map((one) =>
    get<number | null>(one),
  );
  const [trade, source] = [get<string | null>('trade_id'), get<string | null>('source')];
  const [partition, offset] = [get<number | null>('kafka_partition'), get<number | null>('kafka_offset')];
  return symbol.map((one, row) => ({
    symbol: one,
    ts: ts[row] ?? 0,
    open: open?.[row] ?? null,
    high: high?.[row] ?? null,
    low: low?.[row] ?? null,
    close: close?.[row] ?? null,
    volume: volume?.[row] ?? null,
    trade: String(trade[row] ?? ''),
    source: String(source[row] ?? ''),
    partition: partition[row] ?? null,
    offset: offset[row] ?? null,
  }));
}

const keyOf = (tick: Tick): string =>
  `${tick.partition}/${tick.offset}/${tick.symbol}/${tick.trade}/${tick.close}/${tick.volume}`;

export class TicksPanel extends Panel {
  private readonly table: VirtualTable<Tick>;
  private ticks: Tick[] = [];
  private reachedEnd = false;
  private paging: AbortController | null = null;
  private readonly toNewest: HTMLButtonElement;

  constructor(app: App) {
    super(app, { id: 'ticks', title: 'Raw ticks', area: 'area-half' });
    const text = (x: number | null): string => price(x);
    this.table = new VirtualTable<Tick>('Raw ticks, newest first', [
      {
        name: 'ts',
        title: 'Time',
        width: '156px',
        text: (tick) => `${dayMonth(tick.ts, app.zone)} ${clockMicros(tick.ts, app.zone)}`,
      },
      {
        name: 'symbol',
        title: 'Symbol',
        width: 'minmax(64px, 1fr)',
        text: (tick) => printable(tick.symbol),
        tone: () => 'strong',
      },
      { name: 'close', title: 'Close', width: '76px', alignEnd: true, text: (tick) => text(tick.close) },
      { name: 'volume', title: 'Volume', width: '68px', alignEnd: true, text: (tick) => compact(tick.volume) },
      { name: 'open', title: 'Open', width: '76px', alignEnd: true, text: (tick) => text(tick.open) },
      { name: 'high', title: 'High', width: '76px', alignEnd: true, text: (tick) => text(tick.high) },
      { name: 'low', title: 'Low', width: '76px', alignEnd: true, text: (tick) => text(tick.low) },
      {
        name: 'trade_id',
        title: 'Trade',
        width: '92px',
        alignEnd: true,
        text: (tick) => (tick.trade === '' ? UNKNOWN : printable(tick.trade)),
      },
      {
        name: 'source',
        title: 'Source',
        width: '84px',
        text: (tick) => (tick.source === '' ? UNKNOWN : printable(tick.source)),
        tone: () => 'muted',
      },
      {
        name: 'position',
        title: 'Partition:offset',
        width: '120px',
        alignEnd: true,
        text: (tick) => `${tick.partition ?? UNKNOWN}:${tick.offset ?? UNKNOWN}`,
        tone: () => 'muted',
      },
    ]);
    this.table.onNearEnd = () => void this.loadOlder();
    this.toNewest = button(
      { class: 'button small' },
      () => {
        this.table.scrollToTop();
        void this.refresh(true);
      },
      'Newest',
    );
    this.tools.append(
      this.toNewest,
      button({ class: 'button small' }, () => void this.loadOlder(true), 'Older'),
    );
    this.body.append(this.table.el);
  }

  override query(): Query | null {
    const { app } = this;
    if (!app.meta || app.focus === null) return null;
    return { name: 'ticks', symbols: app.chosenOrFocus, ...app.bounds(), limit: PAGE_ROWS };
  }

  /** The rows must not move while the user reads further down. */
  override refreshIfDue(now: number): void {
    if (this.table.atTop) super.refreshIfDue(now);
  }

  override accept(answer: Answer): void {
    super.accept(answer);
    this.paging?.abort();
    this.paging = null;
    this.ticks = ticksOf(answer);
    this.reachedEnd = answer.rows < PAGE_ROWS;
  }

  private async loadOlder(scroll = false): Promise<void> {
    const last = this.ticks[this.ticks.length - 1];
    const query = this.query();
    if (this.paging || !last || !query) return;
    if (scroll) this.table.el.scrollBy({ top: this.table.el.clientHeight });
    if (this.reachedEnd || this.ticks.length >= MAX_TICKS) return;
    const controller = new AbortController();
    this.paging = controller;
    try {
      const ask = async (before: number): Promise<Tick[]> =>
        ticksOf(
          await getJson<Answer>(queryUrl({ ...query, params: { before: before.toFixed(3) } }), controller.signal, 3),
        );
      let page = await ask(last.ts + MICROSECOND);
      const full = page.length >= PAGE_ROWS;
      const held = new Set(this.ticks.slice(-2 * PAGE_ROWS).map(keyOf));
      let fresh = page.filter((tick) => !held.has(keyOf(tick)));
      if (fresh.length === 0 && full) {
        page = await ask(last.ts);
        fresh = page;
      }
      this.reachedEnd = page.length < PAGE_ROWS;
      this.ticks = [...this.ticks, ...fresh];
      scheduleDraw(this, true);
    } catch (cause) {
      if (!isAbort(cause)) this.setNote(describeError(cause));
    } finally {
      if (this.paging === controller) this.paging = null;
    }
  }

  override draw(): void {
    this.table.setRows(this.ticks);
    this.setNote(`${count(this.ticks.length)}${this.reachedEnd ? '' : '+'} rows`);
    const [first] = this.ticks;
    if (!first) return this.summarize('No ticks.');
    this.summarize(
      `${this.ticks.length} ticks loaded. Newest: ${printable(first.symbol)}, ` +
        `close ${price(first.close)}, volume ${compact(first.volume)}.`,
    );
  }
}
