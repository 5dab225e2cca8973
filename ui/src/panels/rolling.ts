// The newest rolling values of all symbols, as the stream has them.

import type { App } from '../app';
import type { Query } from '../api';
import { compact, count, fixed, name, percent, price, tone } from '../lib/format';
import { clock } from '../lib/time';
import { VALUE_TITLES, type Quote } from '../market';
import { Panel } from '../panel';
import { mark } from '../schedule';
import { VirtualTable, type Column } from '../table';

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
  override pace = 500;
  private table: VirtualTable<Quote> | null = null;
  private columns = '';

  constructor(app: App) {
    super(app, { id: 'rolling', title: 'Rolling values', area: 'area-half' });
    app.live.on('tiles', () => {
      if (this.el.dataset['state'] !== 'ready') this.show('ready', '');
      if (!app.view.paused) mark(this);
    });
    app.live.on('hello', ({ mode }) => {
      if (mode === 'snapshot')
        this.show(
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
    const numeric = (value: string): Column<Quote> => ({
      name: value,
      title: VALUE_TITLES[value] ?? value,
      width: '80px',
      end: true,
      text: (quote) => text(value, market.value(quote, value)),
      key: (quote) => market.value(quote, value),
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
        text: (quote) => name(quote.symbol),
        key: (quote) => quote.symbol,
        tone: () => 'strong',
      },
      {
        name: 'signal',
        title: 'Signal',
        width: '64px',
        text: (quote) => quote.signal,
        key: (quote) => quote.signal,
        tone: (quote) => (quote.signal === 'Buy' ? 'up' : quote.signal === 'Sell' ? 'down' : 'muted'),
      },
      ...market.columns.map(numeric),
      {
        name: 'ts',
        title: 'Time',
        width: '72px',
        text: (quote) => clock(quote.ts, app.zone),
        key: (quote) => quote.ts,
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
    this.table.set(quotes);
    this.say(`${count(quotes.length)} symbols`);
    const [first] = quotes;
    if (first) {
      this.summarize(
        `Rolling values of ${quotes.length} symbols. ${name(first.symbol)}: close ${price(market.value(first, 'close'))}, SMA 9 ${price(market.value(first, 'sma_fast'), 2)}, SMA 21 ${price(market.value(first, 'sma_slow'), 2)}.`,
      );
    }
  }
}
