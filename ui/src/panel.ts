// The base class of panels: the frame, the query (sent, superseded, refreshed; its state is shown) and the time of
// drawing. A panel that is off the screen neither queries nor draws. After an error the old data stays visible, greyed.

import type { App } from './app';
import { describeError, getJson, isAbort, queryUrl, type Answer, type Query } from './api';
import { h, setText, toggleClass } from './lib/dom';
import { clock } from './lib/time';
import { panelMenu } from './panel-menu';
import { scheduleDraw, type Drawable } from './schedule';

export interface PanelFrame {
  id: string;
  title: string;
  /** The class that places the panel in the grid. */
  area: string;
}

const SCAN_REFRESH_MS = 15_000;
/** An empty panel checks often, so that the first ticks show up at once. */
const EMPTY_REFRESH_MS = 1000;
/** A panel waits this many times as long as its last query took: it uses at most a tenth of the server's time. */
const MIN_IDLE_FACTOR = 10;

export abstract class Panel implements Drawable {
  readonly id: string;
  readonly title: string;
  readonly el: HTMLElement;
  readonly body = h('div', { class: 'body' });
  /** Controls of the panel itself, to the right of its title. */
  protected readonly tools = h('div', { class: 'tools' });
  private readonly note = h('span', { class: 'note' });
  private readonly summaryText = h('p', { class: 'hidden-text' });
  private readonly stateBox = h('div', { class: 'state' });
  visible = false;
  /** Resolves when the panel shows data, or the reason why it has none. */
  readonly settled: Promise<void>;
  private resolveSettled: () => void = () => {};
  paceMs = 500;
  /** Whether the query reads a large part of the table; such a panel is refreshed less often. */
  protected scansTable = false;
  protected priority = 5;
  protected answer: Answer | null = null;
  protected failed = false;
  private requestKey = '';
  private controller: AbortController | null = null;
  private requestedAt = -Infinity;
  private answerMs = 0;
  private requestedVersion: number | null = -1;

  constructor(
    protected readonly app: App,
    frame: PanelFrame,
  ) {
    this.id = frame.id;
    this.title = frame.title;
    const heading = h('h2', { id: `${frame.id}-title` }, frame.title);
    this.el = h(
      'section',
      { class: `panel ${frame.area}`, id: frame.id, 'aria-labelledby': `${frame.id}-title`, tabindex: -1 },
      h('header', { class: 'panel-head' }, heading, this.note, this.tools, panelMenu(app, this)),
      this.summaryText,
      this.body,
      this.stateBox,
    );
    this.stateBox.hidden = true;
    this.settled = new Promise((resolve) => (this.resolveSettled = resolve));
  }

  /** The query of the panel. Null means that it shows only streamed data, or that it can't query yet. */
  query(): Query | null {
    return null;
  }

  /** The query that "Show SQL" and the downloads use. */
  menuQuery(): Query | null {
    return this.query();
  }

  /** Takes an answer. The panel is drawn later, in an animation frame. */
  accept(answer: Answer): void | Promise<void> {
    this.answer = answer;
  }

  abstract draw(): void;

  /** Called once the first prices are on the screen: the time to load what is merely decorative. */
  onPricesShown(): void {}

  /** Called after a change of theme or time zone. */
  restyle(): void {
    scheduleDraw(this, true);
  }

  /**
   * The text, and possibly a command to run, that replaces an answer without rows; null where there is something to
   * show.
   */
  protected emptyState(answer: Answer): { text: string; command?: string } | null {
    return answer.rows === 0 ? { text: 'No ticks in this range.' } : null;
  }

  /** Sets the summary that screen readers announce. */
  protected summarize(text: string): void {
    setText(this.summaryText, text);
  }

  /** Sets the short note to the right of the title. */
  protected setNote(text: string): void {
    setText(this.note, text);
  }

  private requestKeyOf(query: Query): string {
    const { range, from, to } = this.app.view;
    const bounded = query.from !== undefined || query.to !== undefined;
    return JSON.stringify({ ...query, from: bounded ? `${range} ${from} ${to}` : null, to: null });
  }

  /** Records that the query was replaced while it ran, so that the replacement doesn't count as a new question. */
  protected setRequestKey(query: Query): void {
    this.requestKey = this.requestKeyOf(query);
  }

  private refreshDelay(): number {
    const { refresh } = this.app.view;
    // An empty panel polls even while refresh is off: the user switched off updates of data, not its first arrival.
    if (this.el.dataset['state'] === 'empty' && !this.scansTable) return EMPTY_REFRESH_MS;
    if (refresh === 'off') return Infinity;
    const light = Number.parseInt(refresh, 10) * 1000;
    return Math.max(light, this.scansTable ? SCAN_REFRESH_MS : 0, this.answerMs * MIN_IDLE_FACTOR);
  }

  /** Refreshes the panel when its refresh interval has passed and the pipeline has new data. */
  refreshIfDue(now: number): void {
    if (!this.visible || this.controller || now - this.requestedAt < this.refreshDelay()) return;
    const { pipeline } = this.app.live;
    const version = pipeline ? (this.app.isLive ? pipeline.ticks : pipeline.table_version) : null;
    if (version !== null && version === this.requestedVersion && !this.failed) return;
    void this.refresh(true);
  }

  /** Sends the query if it differs from the last one sent; `force` also repeats it, unless it is still running. */
  async refresh(force = false): Promise<void> {
    if (!this.visible) return;
    const rangeError = this.app.rangeError;
    const query = rangeError === null ? this.query() : null;
    if (query === null) {
      this.controller?.abort();
      this.controller = null;
      this.requestKey = '';
      if (rangeError !== null) this.showState('error', rangeError);
      return;
    }
    const requestKey = this.requestKeyOf(query);
    if (requestKey === this.requestKey && (!force || this.controller)) return;
    const changed = requestKey !== this.requestKey;
    this.requestKey = requestKey;
    this.controller?.abort();
    const controller = new AbortController();
    this.controller = controller;
    this.requestedAt = performance.now();
    const { pipeline } = this.app.live;
    this.requestedVersion = pipeline ? (this.app.isLive ? pipeline.ticks : pipeline.table_version) : null;
    if (changed) this.showState(this.answer ? 'refreshing' : 'loading', this.answer ? '' : 'Loading');
    try {
      const answer = await this.fetchAnswer(query, controller.signal, changed);
      if (controller !== this.controller) return;
      // The query was sent before the pause and not by the user: the frozen picture stays as it is.
      if (this.app.view.paused && !changed) return;
      this.answerMs = performance.now() - this.requestedAt;
      const accepted = this.accept(answer);
      if (accepted) await accepted;
      if (controller !== this.controller) return;
      this.failed = false;
      const empty = this.emptyState(answer);
      this.showState(empty ? 'empty' : 'ready', empty?.text ?? '', empty?.command);
      scheduleDraw(this, true);
    } catch (cause) {
      if (isAbort(cause) || controller !== this.controller) return;
      this.failed = true;
      const since = this.answer && !changed ? `Stale since ${clock(Date.now(), this.app.zone)}: ` : '';
      this.showState('error', since + describeError(cause));
    } finally {
      if (controller === this.controller) this.controller = null;
    }
  }

  protected fetchAnswer(query: Query, signal: AbortSignal, _changed: boolean): Promise<Answer> {
    return getJson<Answer>(queryUrl(query), signal, this.priority);
  }

  protected showState(
    state: 'loading' | 'refreshing' | 'ready' | 'empty' | 'error',
    text: string,
    command?: string,
  ): void {
    this.el.dataset['state'] = state;
    if (state === 'ready' || state === 'empty' || state === 'error') this.resolveSettled();
    this.el.setAttribute('aria-busy', String(state === 'loading' || state === 'refreshing'));
    toggleClass(this.el, 'greyed', state === 'error' || state === 'refreshing');
    this.stateBox.hidden = text === '';
    if (text === '') return;
    const box = h('div', { class: 'state-text' }, text);
    if (command !== undefined) box.append(h('code', {}, command));
    this.stateBox.replaceChildren(box);
  }
}
