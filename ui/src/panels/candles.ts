// The price panel: bars of one symbol from history, updated by the stream. A refresh reloads only the last two bars.

import type { App } from '../app';
import { getJson, queryUrl, type Answer, type Query } from '../api';
import { h, setText } from '../lib/dom';
import { arrow, compact, count, printable, percent, price, tone } from '../lib/format';
import { parseDuration } from '../lib/time';
import type { LiveEvent, SecondBar } from '../live';
import { Panel } from '../panel';
import { scheduleDraw } from '../schedule';
import { colors } from '../theme';
import type { Bar } from './bar';
import { BarSeries, barsFromAnswer, meanClose } from './bars';
import { MarkKey } from './mark-key';
import { fetchMarks, markersOf, type ChartMark } from './markers';
import { SecondBars } from './seconds';
import { AVERAGES, PriceChart } from './price-chart';

const MAX_BARS = 5000;
/** A query reads at most this many intervals; a longer range is cut. */
const MAX_STEPS = 20_000;
const MARKS_EVERY_MS = 15_000;
const MARKS_PACE_MS = 1000;
const SUMMARY_PACE_MS = 2000;

export class CandlesPanel extends Panel {
  override paceMs = 100;
  protected override priority = 1;
  private readonly box = h('div', { class: 'chart', tabindex: 0, role: 'group' });
  private readonly legend = h('div', { class: 'legend' });
  private readonly markKey = new MarkKey();
  private readonly announcement = h('p', { class: 'hidden-text', 'aria-live': 'polite' });
  private readonly bars = new BarSeries(60);
  private readonly seconds = new SecondBars();
  /** The symbol of the loaded bars. */
  private loadedSymbol: string | null = null;
  private chart: PriceChart | null = null;
  private isTailRequest = false;
  private fitPending = false;
  private marks: ChartMark[] = [];
  private marksDirty = false;
  private marksRequestedAt = -Infinity;
  private marksController: AbortController | null = null;
  private marksDrawnAt = -Infinity;
  private crosshair: number | null = null;
  private summarizedAt = -Infinity;

  constructor(app: App) {
    super(app, { id: 'price', title: 'Price', area: 'area-price' });
    this.body.append(this.legend, this.box, this.markKey.el, this.announcement);
    this.box.addEventListener('keydown', (event) => this.onKey(event));
    app.state.on('change', ({ before, view }) => before.show.join() !== view.show.join() && this.reloadMarks());
    app.live.on('hello', () => this.seconds.reopen());
    app.live.on('bars', (bars) => this.applySecondBars(bars));
    app.live.on('events', (events) => this.applyEvents(events));
  }

  private get step(): number {
    return parseDuration(this.app.interval) / 1000;
  }

  override query(): Query | null {
    const symbol = this.app.focus;
    if (symbol === null || !this.app.meta) return null;
    const interval = this.app.interval;
    const bounds = this.app.newestBounds(interval, MAX_STEPS);
    return {
      name: 'bars',
      symbols: [symbol],
      ...bounds,
      interval,
      params: { candles: 'false' },
      limit: MAX_BARS,
      newest: true,
    };
  }

  protected override fetchAnswer(query: Query, signal: AbortSignal, changed: boolean): Promise<Answer> {
    const last = this.bars.last;
    this.isTailRequest = !changed && last !== undefined;
    if (!this.isTailRequest) return this.fetchRange(query, signal);
    const from = new Date((last!.time - this.step) * 1000).toISOString();
    return getJson<Answer>(queryUrl({ ...query, from }), signal, this.priority);
  }

  /** Loads the range, and loads it once more if `auto` turns out to need shorter bars for the time that has ticks. */
  private async fetchRange(query: Query, signal: AbortSignal): Promise<Answer> {
    const answer = await super.fetchAnswer(query, signal, true);
    const finer = this.measureSpan(barsFromAnswer(answer)) ? this.query() : null;
    if (!finer) return answer;
    this.setRequestKey(finer);
    return super.fetchAnswer(finer, signal, true);
  }

  override accept(answer: Answer): void {
    const bars = barsFromAnswer(answer);
    this.loadedSymbol = this.app.focus;
    if (this.isTailRequest) this.bars.replaceTail(bars);
    else {
      super.accept(answer);
      this.bars.load(bars, this.step);
      this.fitPending = true;
      this.summarizedAt = -Infinity;
      this.marks = [];
      this.marksDirty = true;
      this.marksRequestedAt = -Infinity;
    }
    if (this.app.view.to === null) this.bars.catchUp(this.seconds);
    void this.refreshMarks();
  }

  private measureSpan(bars: Bar[]): boolean {
    const [first, last] = [bars[0], bars[bars.length - 1]];
    return first !== undefined && this.app.measureSpan((last!.time - first.time + this.step) * 1000);
  }

  protected override emptyState(): { text: string } | null {
    if (this.bars.list.length > 0) return null;
    return { text: `No ticks of ${printable(this.app.focus ?? '')} in this range.` };
  }

  private async refreshMarks(): Promise<void> {
    const symbol = this.app.focus;
    if (symbol === null || performance.now() - this.marksRequestedAt < MARKS_EVERY_MS) return;
    this.marksRequestedAt = performance.now();
    this.marksController?.abort();
    const controller = new AbortController();
    this.marksController = controller;
    try {
      const first = this.bars.list[0];
      const bounds = this.query();
      const from = first ? new Date(first.time * 1000).toISOString() : bounds?.from;
      const { params } = this.app.kindParams(this.app.view.show.includes('signals') ? 'all' : 'alerts');
      const marks = await fetchMarks(
        symbol,
        { ...(from ? { from } : {}), ...(bounds?.to ? { to: bounds.to } : {}), ...(params ? { params } : {}) },
        controller.signal,
      );
      if (controller !== this.marksController) return;
      const ids = new Set(marks.map((one) => one.id));
      const newest = marks.reduce((most, one) => Math.max(most, one.ts), 0);
      this.marks = [...marks, ...this.marks.filter((one) => one.ts >= newest && !ids.has(one.id))];
      this.marksDirty = true;
      this.marksDrawnAt = -Infinity;
      if (!this.app.view.paused || newest === 0 || this.fitPending) scheduleDraw(this, true);
    } catch {
      // The chart is right without marks, and the signal history shows the error.
    }
  }

  private applySecondBars(bars: SecondBar[]): void {
    const symbol = this.app.focus;
    const updates = symbol === null ? [] : this.seconds.update(symbol, bars);
    if (this.loadedSymbol !== symbol || this.app.view.to !== null) return;
    const before = this.bars.last?.time;
    this.bars.applyUpdates(this.seconds, updates);
    if (this.bars.changedFrom === Infinity) return;
    if (before === undefined) this.showState('ready', '');
    if (this.bars.last!.time !== before && this.measureSpan(this.bars.list)) return void this.refresh();
    if (!this.app.view.paused) scheduleDraw(this);
  }

  private applyEvents(events: LiveEvent[]): void {
    const own = events.filter((event) => event.symbol === this.app.focus);
    if (own.length === 0) return;
    this.marks = [...this.marks, ...own].slice(-MAX_BARS);
    this.marksDirty = true;
    if (!this.app.view.paused) scheduleDraw(this);
  }

  /** Call this when other marks are shown: they may have to be loaded. */
  reloadMarks(): void {
    this.marksRequestedAt = -Infinity;
    this.marksDrawnAt = -Infinity;
    this.marksDirty = true;
    if (this.bars.list.length > 0) void this.refreshMarks();
  }

  override restyle(): void {
    this.chart?.restyle(this.app.zone, this.step);
    this.bars.changedFrom = 0;
    this.marksDirty = true;
    this.marksDrawnAt = -Infinity;
    super.restyle();
  }

  override draw(): void {
    const { show } = this.app.view;
    if (!this.chart) {
      this.chart = new PriceChart(this.box, this.app.zone, this.step);
      this.chart.onCrosshair = (at) => {
        this.crosshair = at;
        this.drawLegend();
      };
    }
    this.chart.showIndicators(show);
    if (this.bars.changedFrom !== Infinity) {
      if (this.bars.changedFrom === 0) this.chart.restyle(this.app.zone, this.step);
      this.chart.draw(this.bars.list, this.bars.changedFrom);
      this.bars.changedFrom = Infinity;
    }
    const fit = this.fitPending && this.bars.list.length > 0;
    if (fit) {
      this.chart.fit(this.box.clientWidth);
      this.fitPending = false;
    }
    if (this.marksDirty && (fit || performance.now() - this.marksDrawnAt > MARKS_PACE_MS)) {
      this.marksDrawnAt = performance.now();
      const { markers, counts } = markersOf(
        this.marks,
        show,
        this.bars.list.map((bar) => bar.time),
        this.step,
      );
      this.chart.setMarkers(markers);
      this.markKey.draw(counts);
      this.marksDirty = false;
    }
    this.drawLegend();
    this.describe();
  }

  private drawLegend(): void {
    const { list } = this.bars;
    const at = this.crosshair ?? list.length - 1;
    const bar = list[at];
    if (!bar) return this.legend.replaceChildren();
    const { series } = colors();
    const change = ((bar.close - bar.open) / bar.open) * 100;
    const value = (label: string, text: string): HTMLElement => h('span', {}, h('i', {}, label), text);
    const parts = [
      h('b', {}, printable(this.loadedSymbol ?? '')),
      h('span', { class: 'muted' }, this.app.interval + (this.app.view.interval === 'auto' ? ' auto' : '')),
      value('O', price(bar.open)),
      value('H', price(bar.high)),
      value('L', price(bar.low)),
      value('C', price(bar.close)),
      h('span', { class: tone(change) }, `${arrow(change)} ${percent(change)}`),
      value('Vol', compact(bar.volume)),
      value('Trades', count(bar.trades)),
    ];
    for (const average of AVERAGES) {
      if (!this.app.view.show.includes(average.name)) continue;
      const sign = h('i', {}, `${average.sign} ${average.title}`);
      sign.style.color = series[average.series - 1]!;
      parts.push(h('span', {}, sign, price(meanClose(list, at, average.n), Math.max(2, decimalsOf(bar)))));
    }
    this.legend.replaceChildren(...parts);
    this.setNote(this.crosshair === null ? '' : (this.chart?.label(bar.time * 1000) ?? ''));
  }

  private describe(): void {
    const now = performance.now();
    const { list } = this.bars;
    const [first, last] = [list[0], this.bars.last];
    if (!first || !last) return this.summarize('No ticks.');
    if (now - this.summarizedAt < SUMMARY_PACE_MS) return;
    this.summarizedAt = now;
    const low = list.reduce((least, bar) => Math.min(least, bar.low), Infinity);
    const high = list.reduce((most, bar) => Math.max(most, bar.high), -Infinity);
    const symbol = printable(this.loadedSymbol ?? '');
    const change = percent(((last.close - first.open) / first.open) * 100);
    this.summarize(
      `${list.length} bars of ${this.app.interval} of ${symbol}. Last close ${price(last.close)}, ` +
        `${change} over the range, low ${price(low)}, high ${price(high)}.`,
    );
    this.box.setAttribute('aria-label', `Price chart of ${symbol}; arrow keys go from bar to bar`);
  }

  private onKey(event: KeyboardEvent): void {
    const chart = this.chart;
    if (!chart || event.ctrlKey || event.altKey || event.metaKey) return;
    const moves: Record<string, () => number | null | void> = {
      ArrowLeft: () => chart.moveCrosshair(-1),
      ArrowRight: () => chart.moveCrosshair(1),
      '+': () => chart.zoom(0.7),
      '-': () => chart.zoom(1.4),
      End: () => chart.toNewest(),
    };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    const at = move();
    const bar = typeof at === 'number' ? this.bars.list[at] : undefined;
    if (!bar) return;
    this.crosshair = at as number;
    this.drawLegend();
    setText(
      this.announcement,
      `${chart.label(bar.time * 1000)}: close ${price(bar.close)}, volume ${compact(bar.volume)}`,
    );
  }
}

function decimalsOf(bar: Bar): number {
  return price(bar.close).split('.')[1]?.length ?? 2;
}
