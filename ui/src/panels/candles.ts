// The price panel: bars of one symbol from history, moved on by the stream between refetches of the last two bars.

import type { App } from '../app';
import { getJson, queryUrl, type Answer, type Query } from '../api';
import { h, setText } from '../lib/dom';
import { arrow, compact, count, name, percent, price, tone } from '../lib/format';
import { length } from '../lib/time';
import type { LiveEvent, SecondBar } from '../live';
import { Panel } from '../panel';
import { mark } from '../schedule';
import { colors } from '../theme';
import { Bars, barsOf, mean, type Bar } from './bars';
import { MarkKey } from './mark-key';
import { fetchMarks, markersOf, type Mark } from './markers';
import { Seconds } from './seconds';
import { AVERAGES, PriceChart } from './price-chart';

const MOST_BARS = 5000;
/** Bars whose ticks may be read for a picture; a longer range is cut. */
const MOST_STEPS = 20_000;
const MARKS_EVERY_MS = 15_000;
const MARKS_PACE_MS = 1000;
const SUMMARY_PACE_MS = 2000;

export class CandlesPanel extends Panel {
  override pace = 100;
  protected override priority = 1;
  private readonly box = h('div', { class: 'chart', tabindex: 0, role: 'group' });
  private readonly legend = h('div', { class: 'legend' });
  private readonly markKey = new MarkKey();
  private readonly spoken = h('p', { class: 'hidden-text', 'aria-live': 'polite' });
  private readonly bars = new Bars(60);
  private readonly seconds = new Seconds();
  /** Whose bars they are. */
  private loaded: string | null = null;
  private chart: PriceChart | null = null;
  private partial = false;
  private fit = false;
  private marks: Mark[] = [];
  private marksDirty = false;
  private marksAsked = -Infinity;
  private marksController: AbortController | null = null;
  private marksDrawn = -Infinity;
  private crosshair: number | null = null;
  private summarized = -Infinity;

  constructor(app: App) {
    super(app, { id: 'price', title: 'Price', area: 'area-price' });
    this.body.append(this.legend, this.box, this.markKey.el, this.spoken);
    this.box.addEventListener('keydown', (event) => this.onKey(event));
    app.state.on('change', ({ before, view }) => before.show.join() !== view.show.join() && this.remark());
    app.live.on('hello', () => this.seconds.reopen());
    app.live.on('bars', (bars) => this.live(bars));
    app.live.on('events', (events) => this.liveEvents(events));
  }

  private get step(): number {
    return length(this.app.interval) / 1000;
  }

  override query(): Query | null {
    const symbol = this.app.focus;
    if (symbol === null || !this.app.meta) return null;
    const interval = this.app.interval;
    const bounds = this.app.newestBounds(interval, MOST_STEPS);
    return {
      name: 'bars',
      symbols: [symbol],
      ...bounds,
      interval,
      params: { candles: 'false' },
      limit: MOST_BARS,
      newest: true,
    };
  }

  protected override ask(query: Query, signal: AbortSignal, other: boolean): Promise<Answer> {
    const last = this.bars.last;
    this.partial = !other && last !== undefined;
    if (!this.partial) return this.askWhole(query, signal);
    const from = new Date((last!.time - this.step) * 1000).toISOString();
    return getJson<Answer>(queryUrl({ ...query, from }), signal, this.priority);
  }

  /** Asks again where the bars of `auto` turn out to be too long for the time that there are ticks of. */
  private async askWhole(query: Query, signal: AbortSignal): Promise<Answer> {
    const answer = await super.ask(query, signal, true);
    const finer = this.measure(barsOf(answer)) ? this.query() : null;
    if (!finer) return answer;
    this.rekey(finer);
    return super.ask(finer, signal, true);
  }

  override accept(answer: Answer): void {
    const bars = barsOf(answer);
    this.loaded = this.app.focus;
    if (this.partial) this.bars.patch(bars);
    else {
      super.accept(answer);
      this.bars.load(bars, this.step);
      this.fit = true;
      this.summarized = -Infinity;
      this.marks = [];
      this.marksDirty = true;
      this.marksAsked = -Infinity;
    }
    if (this.app.view.to === null) this.bars.catchUp(this.seconds);
    void this.refreshMarks();
  }

  private measure(bars: Bar[]): boolean {
    const [first, last] = [bars[0], bars[bars.length - 1]];
    return first !== undefined && this.app.measure((last!.time - first.time + this.step) * 1000);
  }

  protected override emptiness(): { text: string } | null {
    if (this.bars.list.length > 0) return null;
    return { text: `No ticks of ${name(this.app.focus ?? '')} in this range.` };
  }

  private async refreshMarks(): Promise<void> {
    const symbol = this.app.focus;
    if (symbol === null || performance.now() - this.marksAsked < MARKS_EVERY_MS) return;
    this.marksAsked = performance.now();
    this.marksController?.abort();
    const controller = new AbortController();
    this.marksController = controller;
    try {
      const first = this.bars.list[0];
      const bounds = this.query();
      const from = first ? new Date(first.time * 1000).toISOString() : bounds?.from;
      const { params } = this.app.kinds(this.app.view.show.includes('signals') ? 'all' : 'alerts');
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
      this.marksDrawn = -Infinity;
      if (!this.app.view.paused || newest === 0 || this.fit) mark(this, true);
    } catch {
      // Without marks the chart is still right; the signal history shows the error.
    }
  }

  private live(bars: SecondBar[]): void {
    const symbol = this.app.focus;
    const growths = symbol === null ? [] : this.seconds.take(symbol, bars);
    if (this.loaded !== symbol || this.app.view.to !== null) return;
    const before = this.bars.last?.time;
    this.bars.grow(this.seconds, growths);
    if (this.bars.changedFrom === Infinity) return;
    if (before === undefined) this.show('ready', '');
    if (this.bars.last!.time !== before && this.measure(this.bars.list)) return void this.refresh();
    if (!this.app.view.paused) mark(this);
  }

  private liveEvents(events: LiveEvent[]): void {
    const mine = events.filter((event) => event.symbol === this.app.focus);
    if (mine.length === 0) return;
    this.marks = [...this.marks, ...mine].slice(-MOST_BARS);
    this.marksDirty = true;
    if (!this.app.view.paused) mark(this);
  }

  /** Other marks are shown: they may have to be asked, too. */
  remark(): void {
    this.marksAsked = -Infinity;
    this.marksDrawn = -Infinity;
    this.marksDirty = true;
    if (this.bars.list.length > 0) void this.refreshMarks();
  }

  override restyle(): void {
    this.chart?.restyle(this.app.zone, this.step);
    this.bars.changedFrom = 0;
    this.marksDirty = true;
    this.marksDrawn = -Infinity;
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
    this.chart.show(show);
    if (this.bars.changedFrom !== Infinity) {
      if (this.bars.changedFrom === 0) this.chart.restyle(this.app.zone, this.step);
      this.chart.draw(this.bars.list, this.bars.changedFrom);
      this.bars.changedFrom = Infinity;
    }
    const fit = this.fit && this.bars.list.length > 0;
    if (fit) {
      this.chart.fit(this.box.clientWidth);
      this.fit = false;
    }
    if (this.marksDirty && (fit || performance.now() - this.marksDrawn > MARKS_PACE_MS)) {
      this.marksDrawn = performance.now();
      const { markers, counts } = markersOf(
        this.marks,
        show,
        this.bars.list.map((bar) => bar.time),
        this.step,
      );
      this.chart.mark(markers);
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
      h('b', {}, name(this.loaded ?? '')),
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
      const sign = h('i', {}, `${average.mark} ${average.title}`);
      sign.style.color = series[average.series - 1]!;
      parts.push(h('span', {}, sign, price(mean(list, at, average.n), Math.max(2, decimalsOf(bar)))));
    }
    this.legend.replaceChildren(...parts);
    this.say(this.crosshair === null ? '' : (this.chart?.label(bar.time * 1000) ?? ''));
  }

  private describe(): void {
    const now = performance.now();
    const { list } = this.bars;
    const [first, last] = [list[0], this.bars.last];
    if (!first || !last) return this.summarize('No ticks.');
    if (now - this.summarized < SUMMARY_PACE_MS) return;
    this.summarized = now;
    const low = list.reduce((least, bar) => Math.min(least, bar.low), Infinity);
    const high = list.reduce((most, bar) => Math.max(most, bar.high), -Infinity);
    this.summarize(
      `${list.length} bars of ${this.app.interval} of ${name(this.loaded ?? '')}. Last close ${price(last.close)}, ` +
        `${percent(((last.close - first.open) / first.open) * 100)} over the range, low ${price(low)}, high ${price(high)}.`,
    );
    this.box.setAttribute('aria-label', `Price chart of ${name(this.loaded ?? '')}; arrow keys go from bar to bar`);
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
    setText(this.spoken, `${chart.label(bar.time * 1000)}: close ${price(bar.close)}, volume ${compact(bar.volume)}`);
  }
}

function decimalsOf(bar: Bar): number {
  return price(bar.close).split('.')[1]?.length ?? 2;
}
