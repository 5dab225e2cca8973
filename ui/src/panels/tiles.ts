// Price tiles of all symbols: close, change since the open of the session, signal and sparkline. They are one list box:
// only the tiles in view are elements, arrow keys move between tiles, Enter shows a symbol and Space adds it.

import type { App } from '../app';
import type { Answer, Query } from '../api';
import { getJson, isAbort, queryUrl } from '../api';
import { h, setAttribute, setText, toggleClass } from '../lib/dom';
import { arrow, printable, percent, price, tone } from '../lib/format';
import type { Quote } from '../market';
import { Panel } from '../panel';
import { scheduleDraw } from '../schedule';
import { TILE_ORDERS, type TileOrder } from '../state';
import { Sparkline } from './spark';
import { select } from '../controls/select';

const TILE_HEIGHT = 52;
const MIN_WIDTH = 148;
const OVERSCAN_ROWS = 2;
const REORDER_MS = 1500;
const MAX_SPARKS = 300;

const ORDER_TITLES: Record<TileOrder, string> = { symbol: 'A to Z', gain: 'Gainers', loss: 'Losers', volume: 'Volume' };

interface TileElements {
  el: HTMLElement;
  symbol: HTMLElement;
  price: HTMLElement;
  change: HTMLElement;
  spark: Sparkline;
  /** What the sparkline currently shows; it is redrawn only if that changes. */
  shown: string;
}

export class TilesPanel extends Panel {
  override paceMs = 250;
  protected override priority = 2;
  private readonly list = h('div', {
    class: 'tiles',
    role: 'listbox',
    tabindex: 0,
    'aria-label': 'Symbols',
    'aria-multiselectable': 'true',
  });
  private readonly space = h('div', { class: 'tiles-space', role: 'presentation' });
  private readonly pool: TileElements[] = [];
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
    this.list.addEventListener('scroll', () => this.layOut(), { passive: true });
    this.list.addEventListener('click', (event) => this.click(event));
    this.list.addEventListener('keydown', (event) => this.onKey(event));
    new ResizeObserver(([entry]) => {
      this.width = entry?.contentRect.width ?? 0;
      this.height = entry?.contentRect.height ?? 0;
      this.layOut();
    }).observe(this.list);
    app.live.on('tiles', () => {
      if (this.el.dataset['state'] !== 'ready') this.showState('ready', '');
      if (!this.app.view.paused) scheduleDraw(this);
    });
  }

  /** A snapshot has no stream, so its tiles show the newest day. */
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
    this.app.market.applyDailySummary(answer);
  }

  override onPricesShown(): void {
    void this.fetchSparks();
  }

  /** Loads the history of the sparklines once; the stream extends them. */
  private async fetchSparks(): Promise<void> {
    const from = new Date(Math.floor(this.app.newest / 60_000) * 60_000 - 40 * 60_000).toISOString();
    const symbols = this.app.market.symbols.length > MAX_SPARKS ? this.order.slice(0, 100) : [];
    const query: Query = { name: 'bars', symbols, from, interval: '1m', limit: 20_000, params: { candles: 'false' } };
    try {
      this.app.market.prependSparks(await getJson<Answer>(queryUrl(query), AbortSignal.timeout(15_000), 8));
      scheduleDraw(this, true);
    } catch (cause) {
      if (!isAbort(cause)) this.setNote('no history for the lines');
    }
  }

  private sort(): void {
    const { market, view } = this.app;
    const now = performance.now();
    const key = `${view.tiles} ${view.symbols.length} ${market.symbols.length}`;
    if (key === this.orderedFor && (view.tiles === 'symbol' || now - this.orderedAt < REORDER_MS)) return;
    this.orderedAt = now;
    this.orderedFor = key;
    this.order = [...market.symbols];
    if (view.tiles === 'symbol') return;
    const value = (symbol: string): number => {
      const quote = market.quotes.get(symbol);
      if (!quote) return -Infinity;
      const key =
        view.tiles === 'volume'
          ? market.value(quote, 'day_volume')
          : market.change(quote) * (view.tiles === 'loss' ? -1 : 1);
      return Number.isNaN(key) ? -Infinity : key;
    };
    const values = new Map(this.order.map((symbol) => [symbol, value(symbol)]));
    this.order.sort((a, b) => values.get(b)! - values.get(a)! || (a < b ? -1 : 1));
  }

  override draw(): void {
    this.sort();
    if (this.app.market.version === this.drawnVersion && this.pool.length > 0) return this.layOut();
    this.drawnVersion = this.app.market.version;
    this.layOut();
    this.describe();
  }

  override restyle(): void {
    this.drawnVersion = -1;
    super.restyle();
  }

  private get columns(): number {
    return Math.max(1, Math.floor(this.width / MIN_WIDTH));
  }

  private layOut(): void {
    if (this.width === 0 || this.order.length === 0) return;
    const columns = this.columns;
    const rows = Math.ceil(this.order.length / columns);
    this.space.style.height = `${rows * TILE_HEIGHT}px`;
    const firstRow = Math.max(0, Math.floor(this.list.scrollTop / TILE_HEIGHT) - OVERSCAN_ROWS);
    const lastRow = Math.min(rows, Math.ceil((this.list.scrollTop + this.height) / TILE_HEIGHT) + OVERSCAN_ROWS);
    const first = firstRow * columns;
    const shown = Math.min(this.order.length, lastRow * columns) - first;
    while (this.pool.length < shown) this.addPoolTile();
    const width = this.width / columns;
    this.pool.forEach((tile, at) => {
      const symbol = at < shown ? this.order[first + at] : undefined;
      tile.el.hidden = symbol === undefined;
      if (symbol === undefined) return;
      const index = first + at;
      tile.el.style.left = `${(index % columns) * width}px`;
      tile.el.style.top = `${Math.floor(index / columns) * TILE_HEIGHT}px`;
      tile.el.style.width = `${width}px`;
      this.fill(tile, symbol, index);
    });
  }

  private fill(tile: TileElements, symbol: string, index: number): void {
    const { market, view } = this.app;
    const quote: Quote | undefined = market.quotes.get(symbol);
    tile.el.dataset['index'] = String(index);
    setAttribute(tile.el, 'aria-posinset', String(index + 1));
    setAttribute(tile.el, 'aria-setsize', String(this.order.length));
    setAttribute(tile.el, 'aria-selected', String(view.symbols.includes(symbol)));
    toggleClass(tile.el, 'focus', symbol === this.app.focus);
    toggleClass(tile.el, 'active', index === this.active);
    setText(tile.symbol, printable(symbol));
    const change = quote ? market.change(quote) : Number.NaN;
    setText(tile.price, quote ? price(market.value(quote, 'close')) : '–');
    const direction = `price ${quote && quote.direction > 0 ? 'up' : quote && quote.direction < 0 ? 'down' : 'flat'}`;
    if (tile.price.className !== direction) tile.price.className = direction;
    setText(tile.change, Number.isNaN(change) ? '' : `${arrow(change)} ${percent(change)}`);
    if (tile.change.className !== `change ${tone(change)}`) tile.change.className = `change ${tone(change)}`;
    const shown = `${symbol} ${quote?.lastSparkTs ?? 0} ${quote?.spark.length ?? 0} ${tone(change)}`;
    if (shown !== tile.shown) {
      tile.shown = shown;
      tile.spark.draw(quote?.spark ?? [], tone(change));
    }
  }

  private addPoolTile(): void {
    const [symbol, price, change] = [
      h('b', { class: 'symbol' }),
      h('span', { class: 'price' }),
      h('span', { class: 'change' }),
    ];
    const spark = new Sparkline('spark');
    const inner = h('div', { class: 'tile-inner' }, symbol, price, change, spark.el);
    const el = h('div', { class: 'tile', role: 'option', id: `tile-${this.pool.length}` }, inner);
    this.space.append(el);
    this.pool.push({ el, symbol, price, change, spark, shown: '' });
  }

  private click(event: MouseEvent): void {
    const tile = (event.target as Element).closest<HTMLElement>('.tile');
    const index = Number(tile?.dataset['index'] ?? -1);
    const symbol = this.order[index];
    if (symbol === undefined) return;
    this.active = index;
    this.app.chooseSymbol(symbol, event.ctrlKey || event.metaKey || event.shiftKey);
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
      const top = Math.floor(this.active / this.columns) * TILE_HEIGHT;
      if (top < this.list.scrollTop) this.list.scrollTop = top;
      else if (top + TILE_HEIGHT > this.list.scrollTop + this.height)
        this.list.scrollTop = top + TILE_HEIGHT - this.height;
      this.layOut();
      const tile = this.pool.find(({ el }) => !el.hidden && el.dataset['index'] === String(this.active));
      if (tile) this.list.setAttribute('aria-activedescendant', tile.el.id);
    } else if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      const symbol = this.order[this.active];
      if (symbol !== undefined) this.app.chooseSymbol(symbol, event.key === ' ');
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
    this.setNote(`${market.symbols.length}`);
    this.summarize(`${market.symbols.length} symbols; since the open ${up} rose and ${down} fell.`);
  }
}
