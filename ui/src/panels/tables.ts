// Tables of history: the daily summary and the tumbling windows of the chosen symbols.

import type { App } from '../app';
import type { Answer, Query } from '../api';
import { arrow, compact, count, fixed, name, percent, price, tone } from '../lib/format';
import * as time from '../lib/time';
import { Panel } from '../panel';
import { VirtualTable } from '../table';
import { Rows, type Row } from './answer-rows';

const change = (x: number | null): string => `${arrow(x)} ${percent(x)}`;

export class DailyPanel extends Panel {
  protected override heavy = true;
  private readonly rows = new Rows();
  private readonly table: VirtualTable<Row>;

  constructor(app: App) {
    super(app, { id: 'daily', title: 'Daily summary', area: 'area-half' });
    const { rows } = this;
    this.table = new VirtualTable<Row>('Daily summary', [
      {
        name: 'trade_date',
        title: 'Trade date',
        width: '88px',
        text: (row) => rows.text('trade_date', row),
        key: (row) => rows.text('trade_date', row),
      },
      {
        name: 'symbol',
        title: 'Symbol',
        width: 'minmax(64px, 1fr)',
        text: (row) => name(rows.text('symbol', row)),
        key: (row) => rows.text('symbol', row),
        tone: () => 'strong',
      },
      rows.numeric('open', 'Open', '76px', price),
      rows.numeric('high', 'High', '76px', price),
      rows.numeric('low', 'Low', '76px', price),
      rows.numeric('close', 'Close', '76px', price),
      rows.numeric('change_pct', 'Change', '84px', change, tone),
      rows.numeric('avg_close', 'Mean', '76px', (x) => price(x, 2)),
      rows.numeric('vwap', 'VWAP', '76px', (x) => price(x, 2)),
      rows.numeric('volatility', 'Volatility', '76px', (x) => fixed(x, 3)),
      rows.numeric('volume', 'Volume', '72px', compact),
      rows.numeric('trades', 'Ticks', '68px', compact),
    ]);
    this.body.append(this.table.el);
  }

  override query(): Query | null {
    const { app } = this;
    if (!app.meta) return null;
    return {
      name: 'daily_summary',
      symbols: app.view.symbols,
      ...this.dates(),
      limit: app.meta.row_limit,
      newest: true,
    };
  }

  /** Whole trade dates: a summary of a part of a day would not be that of the day. */
  private dates(): Pick<Query, 'from' | 'to'> {
    const { from, to } = this.app.span;
    const zone = time.zoneName('exchange', this.app.meta?.market_zone);
    const dates: Pick<Query, 'from' | 'to'> = {};
    if (from !== null) dates.from = time.date(from, zone);
    if (to !== null) dates.to = time.date(to + 86_400_000 - 1, zone);
    return dates;
  }

  override accept(answer: Answer): void {
    super.accept(answer);
    this.rows.load(answer);
  }

  override draw(): void {
    this.table.set(this.rows.all().reverse());
    this.say(this.answer?.truncated ? `newest ${count(this.answer.rows)} rows` : `${count(this.rows.length)} rows`);
    const last = this.rows.length - 1;
    this.summarize(
      last < 0
        ? 'No rows.'
        : `${this.rows.length} rows. Last: ${name(this.rows.text('symbol', last))} on ${this.rows.text('trade_date', last)}, close ${price(this.rows.number('close', last))}, ${percent(this.rows.number('change_pct', last))}.`,
    );
  }
}

const WINDOW_ROWS = 2000;

export class WindowsPanel extends Panel {
  private readonly rows = new Rows();
  private readonly table: VirtualTable<Row>;

  constructor(app: App) {
    super(app, { id: 'windows', title: 'Tumbling windows', area: 'area-half' });
    const { rows } = this;
    const start = (row: Row): number => rows.number('bar_start', row) ?? 0;
    this.table = new VirtualTable<Row>('Tumbling windows, newest first', [
      {
        name: 'bar_start',
        title: 'Start',
        width: '112px',
        text: (row) => time.dateTime(start(row), app.zone),
        key: start,
      },
      {
        name: 'bar_end',
        title: 'End',
        width: '64px',
        text: (row) => time.clock(rows.number('bar_end', row) ?? 0, app.zone),
        tone: () => 'muted',
      },
      {
        name: 'symbol',
        title: 'Symbol',
        width: 'minmax(64px, 1fr)',
        text: (row) => name(rows.text('symbol', row)),
        key: (row) => rows.text('symbol', row),
        tone: () => 'strong',
      },
      rows.numeric('avg_close', 'Mean', '76px', (x) => price(x, 3)),
      rows.numeric('volatility', 'Volatility', '76px', (x) => fixed(x, 4)),
      rows.numeric('change_pct', 'Change', '84px', change, tone),
      rows.numeric('vwap', 'VWAP', '76px', (x) => price(x, 3)),
      rows.numeric('low', 'Low', '76px', price),
      rows.numeric('high', 'High', '76px', price),
      rows.numeric('close', 'Close', '76px', price),
      rows.numeric('volume', 'Volume', '72px', compact),
      rows.numeric('trades', 'Ticks', '56px', count),
    ]);
    this.body.append(this.table.el);
  }

  override query(): Query | null {
    const { app } = this;
    if (!app.meta || app.focus === null) return null;
    const interval = app.interval;
    const bounds = app.newestBounds(interval, WINDOW_ROWS);
    return { name: 'bars', symbols: app.chosenOrFocus, ...bounds, interval, limit: WINDOW_ROWS, newest: true };
  }

  override accept(answer: Answer): void {
    super.accept(answer);
    this.rows.load(answer);
  }

  override draw(): void {
    const start = (row: Row): number => this.rows.number('bar_start', row) ?? 0;
    this.table.set(this.rows.all().sort((a, b) => start(b) - start(a) || a - b));
    this.say(`${this.app.interval}, ${this.answer?.truncated ? 'newest ' : ''}${count(this.rows.length)} windows`);
    const [first] = this.table.top(1);
    this.summarize(
      first === undefined
        ? 'No windows.'
        : `${this.rows.length} windows of ${this.app.interval}. Newest: ${name(this.rows.text('symbol', first))}, mean ${price(this.rows.number('avg_close', first), 3)}, ${percent(this.rows.number('change_pct', first))}.`,
    );
  }
}
