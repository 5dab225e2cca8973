// Tables of history: the daily summary and the tumbling windows of the chosen symbols.

import type { App } from '../app';
import type { Answer, Query } from '../api';
import { arrow, compact, count, fixed, printable, percent, price, tone } from '../lib/format';
import * as time from '../lib/time';
import { Panel } from '../panel';
import { VirtualTable } from '../table';
import { AnswerRows, type RowIndex } from './answer-rows';

const change = (x: number | null): string => `${arrow(x)} ${percent(x)}`;

export class DailyPanel extends Panel {
  protected override scansTable = true;
  private readonly rows = new AnswerRows();
  private readonly table: VirtualTable<RowIndex>;

  constructor(app: App) {
    super(app, { id: 'daily', title: 'Daily summary', area: 'area-half' });
    const { rows } = this;
    this.table = new VirtualTable<RowIndex>('Daily summary', [
      {
        name: 'trade_date',
        title: 'Trade date',
        width: '88px',
        text: (row) => rows.text('trade_date', row),
        sortKey: (row) => rows.text('trade_date', row),
      },
      {
        name: 'symbol',
        title: 'Symbol',
        width: 'minmax(64px, 1fr)',
        text: (row) => printable(rows.text('symbol', row)),
        sortKey: (row) => rows.text('symbol', row),
        tone: () => 'strong',
      },
      rows.numeric('open', 'Open', '76px', price),
      rows.numeric('high', 'High', '76px', price),
      rows.numeric('low', 'Low', '76px', price),
      rows.numeric('close', 'Close', '76px', price),
      rows.numeric('change_pct', 'ViewChange', '84px', change, tone),
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

  /** The range is extended to complete trade dates: a summary over a part of a day would be wrong for that day. */
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
    this.table.setRows(this.rows.all().reverse());
    this.setNote(this.answer?.truncated ? `newest ${count(this.answer.rows)} rows` : `${count(this.rows.length)} rows`);
    const last = this.rows.length - 1;
    if (last < 0) return this.summarize('No rows.');
    const symbol = printable(this.rows.text('symbol', last));
    const close = price(this.rows.number('close', last));
    this.summarize(
      `${this.rows.length} rows. Last: ${symbol} on ${this.rows.text('trade_date', last)}, ` +
        `close ${close}, ${percent(this.rows.number('change_pct', last))}.`,
    );
  }
}

const WINDOW_ROWS = 2000;

export class WindowsPanel extends Panel {
  private readonly rows = new AnswerRows();
  private readonly table: VirtualTable<RowIndex>;

  constructor(app: App) {
    super(app, { id: 'windows', title: 'Tumbling windows', area: 'area-half' });
    const { rows } = this;
    const start = (row: RowIndex): number => rows.number('bar_start', row) ?? 0;
    this.table = new VirtualTable<RowIndex>('Tumbling windows, newest first', [
      {
        name: 'bar_start',
        title: 'Start',
        width: '112px',
        text: (row) => time.dateTime(start(row), app.zone),
        sortKey: start,
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
        text: (row) => printable(rows.text('symbol', row)),
        sortKey: (row) => rows.text('symbol', row),
        tone: () => 'strong',
      },
      rows.numeric('avg_close', 'Mean', '76px', (x) => price(x, 3)),
      rows.numeric('volatility', 'Volatility', '76px', (x) => fixed(x, 4)),
      rows.numeric('change_pct', 'ViewChange', '84px', change, tone),
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
    const start = (row: RowIndex): number => this.rows.number('bar_start', row) ?? 0;
    this.table.setRows(this.rows.all().sort((a, b) => start(b) - start(a) || a - b));
    this.setNote(`${this.app.interval}, ${this.answer?.truncated ? 'newest ' : ''}${count(this.rows.length)} windows`);
    const [first] = this.table.firstRows(1);
    if (first === undefined) return this.summarize('No windows.');
    const symbol = printable(this.rows.text('symbol', first));
    const mean = price(this.rows.number('avg_close', first), 3);
    this.summarize(
      `${this.rows.length} windows of ${this.app.interval}. Newest: ${symbol}, ` +
        `mean ${mean}, ${percent(this.rows.number('change_pct', first))}.`,
    );
  }
}
