// Live price tiles of all symbols: close, change since the open of the session, signal, spark line. One list box: only
// the tiles in view are elements, arrow keys go from tile to tile, Enter shows a symbol, space adds it.

import type { App } from '../app';
import type { Answer, Query } from '../api';
import { getJson, isAbort, queryUrl } from '../api';
import { h, setAttribute, setText, toggle } from '../lib/dom';
import { arrow, name, percent, price, tone } from '../lib/format';
import type { Quote } from '../market';
import { Panel } from '../panel';
import { mark } from '../schedule';
import { TILE_ORDERS, type TileOrder } from '../state';
import { Spark } from './spark';
import { select } from '../controls/select';

const HEIGHT = 52;
const LEAST_WIDTH = 148;
const SPARE = 2;
const ORDER_EVERY_MS = 1500;
const MOST_SPARKS = 300;

const ORDER_TITLES: Record<TileOrder, string> = { symbol: 'A to Z', gain: 'Gainers', loss: 'Losers', volume: 'Volume' };

interface Tile {
  el: HTMLElement;
  symbol: HTMLElement;
  price: HTMLElement;
  change: HTMLElement;
  spark: Spark;
  /** What the line shows: a symbol and how far its closes went. */
  shown: string;
}

export class TilesPanel extends Panel {
  override pace = 250;
  protected override priority = 2;
  private readonly list = h('div', {
    class: 'tiles',
    role: 'listbox',
    tabindex: 0,
    'aria-label': 'Symbols',
    'aria-multiselectable': 'true',
  });
  private readonly space = h('div', { class: 'tiles-space', role: 'presentation' });
  private readonly pool: Tile[] = [];
  private order: string[] = [];
  private orderedAt = -Infinity;
  private orderedFor = '';
  private active = -1;
  private width = 0;
  private height = 0;
  private drawnVersion = -1;

  constructor(app: App) {
    super(app, { id: 'tiles', title: 'Symbols', area: 'area-tiles' });
    this.tools.append(
      select(
        'Order of the tiles',
        TILE_ORDERS,
        ORDER_TITLES,
        () => app.view.tiles,
        (tiles) => app.state.set({ tiles }),
        app.state,
      ),
    );
    this.list.append(this.space);
    this.body.append(this.list);
    this.list.addEventListener('scroll', () => this.place(), { passive: true });
    this.list.addEventListener('click', (event) => this.click(event));
    this.list.addEventListener('keydown', (event) => this.onKey(event));
    new ResizeObserver(([entry]) => {
      this.width = entry?.contentRect.width ?? 0;
      this.height = entry?.contentRect.height ?? 0;
      this.place();
    }).observe(this.list);
    app.live.on('tiles', () => {
      if (this.el.dataset['state'] !== 'ready') this.show('ready', '');
      if (!this.app.view.paused) mark(this);
    });
  }

  /** Where nothing is live, the newest day stands in. */
  override query(): Query | null {
    const { meta, isLive } = this.app;
    if (!meta || isLive || !meta.last_date) return null;
    return { name: 'daily_summary', from: meta.last_date, limit: meta.row_limit };
  }

  override menuQuery(): Query | null {
    const { meta } = this.app;
    return meta?.last_date ? { name: 'daily_summary', from: meta.last_date, limit: meta.row_limit } : null;
  }

  override accept(answer: Answer): void {
    super.accept(answer);
    this.app.market.day(answer);
  }

  override begin(): void {
    void this.fetchSparks();
  }

  /** Once: the stream goes on from there. */
  private async fetchSparks(): Promise<void> {
    const from = new Date(Math.floor(this.app.newest / 60_000) * 60_000 - 40 * 60_000).toISOString();
    const symbols = this.app.market.symbols.length > MOST_SPARKS ? this.order.slice(0, 100) : [];
    const query: Query = { name: 'bars', symbols, from, interval: '1m', limit: 20_000, params: { candles: 'false' } };
    try {
      this.app.market.history(await getJson<Answer>(queryUrl(query), AbortSignal.timeout(15_000), 8));
      mark(this, true);
    } catch (cause) {
      if (!isAbort(cause)) this.say('no history for the lines');
    }
  }

  private sort(): void {
    const { market, view } = this.app;
    const now = performance.now();
    const key = `${view.tiles} ${view.symbols.length} ${market.symbols.length}`;
    if (key === this.orderedFor && (view.tiles === 'symbol' || now - this.orderedAt < ORDER_EVERY_MS)) return;
    this.orderedAt = now;
    this.orderedFor = key;
    this.order = [...market.symbols];
    if (view.tiles === 'symbol') return;
    const value = (symbol: string): number => {
      const quote = market.quotes.get(symbol);
      if (!quote) return -Infinity;
      const of =
        view.tiles === 'volume'
          ? market.value(quote, 'day_volume')
          : market.change(quote) * (view.tiles === 'loss' ? -1 : 1);
      return Number.isNaN(of) ? -Infinity : of;
    };
    const values = new Map(this.order.map((symbol) => [symbol, value(symbol)]));
    this.order.sort((a, b) => values.get(b)! - values.get(a)! || (a < b ? -1 : 1));
  }

  override draw(): void {
    this.sort();
    if (this.app.market.version === this.drawnVersion && this.pool.length > 0) return this.place();
    this.drawnVersion = this.app.market.version;
    this.place();
    this.describe();
  }

  override restyle(): void {
    this.drawnVersion = -1;
    super.restyle();
  }

  private get columns(): number {
    return Math.max(1, Math.floor(this.width / LEAST_WIDTH));
  }

  private place(): void {
    if (this.width === 0 || this.order.length === 0) return;
    const columns = this.columns;
    const rows = Math.ceil(this.order.length / columns);
    this.space.style.height = `${rows * HEIGHT}px`;
    const firstRow = Math.max(0, Math.floor(this.list.scrollTop / HEIGHT) - SPARE);
    const lastRow = Math.min(rows, Math.ceil((this.list.scrollTop + this.height) / HEIGHT) + SPARE);
    const first = firstRow * columns;
    const shown = Math.min(this.order.length, lastRow * columns) - first;
    while (this.pool.length < shown) this.grow();
    const width = this.width / columns;
    this.pool.forEach((tile, at) => {
      const symbol = at < shown ? this.order[first + at] : undefined;
      tile.el.hidden = symbol === undefined;
      if (symbol === undefined) return;
      const place = first + at;
      tile.el.style.left = `${(place % columns) * width}px`;
      tile.el.style.top = `${Math.floor(place / columns) * HEIGHT}px`;
      tile.el.style.width = `${width}px`;
      this.fill(tile, symbol, place);
    });
  }

  private fill(tile: Tile, symbol: string, place: number): void {
    const { market, view } = this.app;
    const quote: Quote | undefined = market.quotes.get(symbol);
    tile.el.dataset['place'] = String(place);
    setAttribute(tile.el, 'aria-posinset', String(place + 1));
    setAttribute(tile.el, 'aria-setsize', String(this.order.length));
    setAttribute(tile.el, 'aria-selected', String(view.symbols.includes(symbol)));
    toggle(tile.el, 'focus', symbol === this.app.focus);
    toggle(tile.el, 'active', place === this.active);
    setText(tile.symbol, name(symbol));
    const change = quote ? market.change(quote) : Number.NaN;
    setText(tile.price, quote ? price(market.value(quote, 'close')) : '–');
    const direction = `price ${quote && quote.tick > 0 ? 'up' : quote && quote.tick < 0 ? 'down' : 'flat'}`;
    if (tile.price.className !== direction) tile.price.className = direction;
    setText(tile.change, Number.isNaN(change) ? '' : `${arrow(change)} ${percent(change)}`);
    if (tile.change.className !== `change ${tone(change)}`) tile.change.className = `change ${tone(change)}`;
    const shown = `${symbol} ${quote?.sparkAt ?? 0} ${quote?.spark.length ?? 0} ${tone(change)}`;
    if (shown !== tile.shown) {
      tile.shown = shown;
      tile.spark.draw(quote?.spark ?? [], tone(change));
    }
  }

  private grow(): void {
    const [symbol, price, change] = [
      h('b', { class: 'symbol' }),
      h('span', { class: 'price' }),
      h('span', { class: 'change' }),
    ];
    const spark = new Spark('spark');
    const inner = h('div', { class: 'tile-inner' }, symbol, price, change, spark.el);
    const el = h('div', { class: 'tile', role: 'option', id: `tile-${this.pool.length}` }, inner);
    this.space.append(el);
    this.pool.push({ el, symbol, price, change, spark, shown: '' });
  }

  private click(event: MouseEvent): void {
    const tile = (event.target as Element).closest<HTMLElement>('.tile');
    const place = Number(tile?.dataset['place'] ?? -1);
    const symbol = this.order[place];
    if (symbol === undefined) return;
    this.active = place;
    this.app.choose(symbol, event.ctrlKey || event.metaKey || event.shiftKey);
  }

  private onKey(event: KeyboardEvent): void {
    const steps: Record<string, number> = {
      ArrowRight: 1,
      ArrowLeft: -1,
      ArrowDown: this.columns,
      ArrowUp: -this.columns,
      Home: -Infinity,
      End: Infinity,
    };
    const step = steps[event.key];
    if (step !== undefined) {
      event.preventDefault();
      const begin = this.active < 0 ? Math.max(0, this.order.indexOf(this.app.focus ?? '')) : this.active + step;
      this.active = Math.min(this.order.length - 1, Math.max(0, begin));
      const top = Math.floor(this.active / this.columns) * HEIGHT;
      if (top < this.list.scrollTop) this.list.scrollTop = top;
      else if (top + HEIGHT > this.list.scrollTop + this.height) this.list.scrollTop = top + HEIGHT - this.height;
      this.place();
      const tile = this.pool.find(({ el }) => !el.hidden && el.dataset['place'] === String(this.active));
      if (tile) this.list.setAttribute('aria-activedescendant', tile.el.id);
    } else if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      const symbol = this.order[this.active];
      if (symbol !== undefined) this.app.choose(symbol, event.key === ' ');
    }
  }

  private describe(): void {
    const { market } = this.app;
    let [up, down] = [0, 0];
    for (const quote of market.quotes.values()) {
      const change = market.change(quote);
      if (change > 0) up += 1;
      else if (change < 0) down += 1;
    }
    this.say(`${market.symbols.length}`);
    this.summarize(`${market.symbols.length} symbols; since the open ${up} rose and ${down} fell.`);
  }
}
