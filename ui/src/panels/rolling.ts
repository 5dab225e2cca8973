// The newest rolling values of all symbols, from the stream.

import type { App } from '../app';
import type { Query } from '../api';
import { compact, count, fixed, printable, percent, price, tone } from '../lib/format';
import { clock } from '../lib/time';
import { VALUE_TITLES, type Quote } from '../market';
import { Panel } from '../panel';
import { scheduleDraw } from '../schedule';
import { VirtualTable, type TableColumn } from '../table';

const VOLUMES = new Set(['volume', 'prev_volume', 'volume_avg_5', 'volume_avg_10', 'day_volume']);

function text(value: string, x: number): string {
  if (VOLUMES.has(value)) return compact(x);
  if (value === 'change_pct') return percent(x);
  if (value === 'zscore') return fixed(x, 2);
  if (value === 'volatility') return fixed(x, 4);
  if (/^(close|prev_close|day_)/.test(value)) return price(x);
  return price(x, Math.abs(x) >= 1 ? 2 : 5);
}

export class RollingPanel extends Panel {
  override paceMs = 500;
  private table: VirtualTable<Quote> | null = null;
  private columns = '';

  constructor(app: App) {
    super(app, { id: 'rolling', title: 'Rolling values', area: 'area-half' });
    app.live.on('tiles', () => {
      if (this.el.dataset['state'] !== 'ready') this.showState('ready', '');
      if (!app.view.paused) scheduleDraw(this);
    });
    app.live.on('hello', ({ mode }) => {
      if (mode === 'snapshot')
        this.showState(
          'empty',
          'Rolling values are there while ticks arrive: give brokers.',
          'tickhouse dashboard --brokers HOST:PORT',
        );
    });
  }

  override menuQuery(): Query | null {
    return {
      name: 'moving_averages',
      symbols: this.app.chosenOrFocus,
      ...this.app.bounds(),
      limit: 1000,
      newest: true,
    };
  }

  private build(): VirtualTable<Quote> {
    const { app } = this;
    const { market } = app;
    const numeric = (value: string): TableColumn<Quote> => ({
      name: value,
      title: VALUE_TITLES[value] ?? value,
      width: '80px',
      alignEnd: true,
      text: (quote) => text(value, market.value(quote, value)),
      sortKey: (quote) => market.value(quote, value),
      ...(value === 'change_pct' ? { tone: (quote: Quote) => tone(market.value(quote, value)) } : {}),
      ...(value === 'zscore'
        ? { tone: (quote: Quote) => (Math.abs(market.value(quote, value)) > 2 ? 'warn' : '') }
        : {}),
    });
    return new VirtualTable<Quote>('Rolling values of all symbols', [
      {
        name: 'symbol',
        title: 'Symbol',
        width: 'minmax(72px, 1fr)',
        text: (quote) => printable(quote.symbol),
        sortKey: (quote) => quote.symbol,
        tone: () => 'strong',
      },
      {
        name: 'signal',
        title: 'Signal',
        width: '64px',
        text: (quote) => quote.signal,
        sortKey: (quote) => quote.signal,
        tone: (quote) => (quote.signal === 'Buy' ? 'up' : quote.signal === 'Sell' ? 'down' : 'muted'),
      },
      ...market.columns.map(numeric),
      {
        name: 'ts',
        title: 'Time',
        width: '72px',
        text: (quote) => clock(quote.ts, app.zone),
        sortKey: (quote) => quote.ts,
      },
    ]);
  }

  override draw(): void {
    const { market, view } = this.app;
    if (!this.table || this.columns !== market.columns.join()) {
      this.columns = market.columns.join();
      this.table = this.build();
      this.body.replaceChildren(this.table.el);
    }
    const of = view.symbols.length > 0 ? view.symbols : market.symbols;
    const quotes = of.map((symbol) => market.quotes.get(symbol)).filter((quote): quote is Quote => quote !== undefined);
    this.table.setRows(quotes);
    this.setNote(`${count(quotes.length)} symbols`);
    const [first] = quotes;
    if (first) {
      const close = price(market.value(first, 'close'));
      const fast = price(market.value(first, 'sma_fast'), 2);
      const slow = price(market.value(first, 'sma_slow'), 2);
      this.summarize(
        `Rolling values of ${quotes.length} symbols. ` +
          `${printable(first.symbol)}: close ${close}, SMA 9 ${fast}, SMA 21 ${slow}.`,
      );
    }
  }
}
