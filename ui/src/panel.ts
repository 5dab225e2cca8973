// A panel: its frame, its history (asked, superseded, refetched, shown as loading, empty or failed) and when it is
// drawn. A panel that is off the screen is neither asked nor drawn. Old data stays visible, greyed, under an error.

import type { App } from './app';
import { describe, getJson, isAbort, queryUrl, type Answer, type Query } from './api';
import { h, setText, toggle } from './lib/dom';
import { clock } from './lib/time';
import { panelMenu } from './panel-menu';
import { mark, type Drawable } from './schedule';

export interface Frame {
  id: string;
  title: string;
  /** Class that gives its place in the grid. */
  area: string;
}

const HEAVY_EVERY_MS = 15_000;
/** The first ticks should not have to wait. */
const EMPTY_EVERY_MS = 1000;
/** A query may take a tenth of the server's time, no more. */
const REST = 10;

export abstract class Panel implements Drawable {
  readonly id: string;
  readonly title: string;
  readonly el: HTMLElement;
  readonly body = h('div', { class: 'body' });
  /** Controls of the panel itself, right of the title. */
  protected readonly tools = h('div', { class: 'tools' });
  private readonly note = h('span', { class: 'note' });
  private readonly summaryText = h('p', { class: 'hidden-text' });
  private readonly stateBox = h('div', { class: 'state' });
  visible = false;
  /** There is something to see: data, or why there are none. */
  readonly settled: Promise<void>;
  private tellSettled: () => void = () => {};
  pace = 500;
  /** Reads the whole table. */
  protected heavy = false;
  protected priority = 5;
  protected answer: Answer | null = null;
  protected failed = false;
  private key = '';
  private controller: AbortController | null = null;
  private asked = -Infinity;
  private took = 0;
  private ticksAsked: number | null = -1;

  constructor(
    protected readonly app: App,
    frame: Frame,
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
    this.settled = new Promise((resolve) => (this.tellSettled = resolve));
  }

  /** What the panel asks; null where it lives by the stream alone. Its text says what is missing where it can't ask. */
  query(): Query | null {
    return null;
  }

  /** What "Show SQL" and the downloads are about. */
  menuQuery(): Query | null {
    return this.query();
  }

  /** Takes an answer; drawing comes later. */
  accept(answer: Answer): void | Promise<void> {
    this.answer = answer;
  }

  abstract draw(): void;

  /** The first prices are on the screen: time for what only adorns. */
  begin(): void {}

  /** Of another theme or size. */
  restyle(): void {
    mark(this, true);
  }

  /** Whether an answer holds nothing to show, and what to say and to run then. */
  protected emptiness(answer: Answer): { text: string; command?: string } | null {
    return answer.rows === 0 ? { text: 'No ticks in this range.' } : null;
  }

  /** What a person who can't see the panel is told. */
  protected summarize(text: string): void {
    setText(this.summaryText, text);
  }

  /** A few words right of the title. */
  protected say(text: string): void {
    setText(this.note, text);
  }

  private keyOf(query: Query): string {
    const { range, from, to } = this.app.view;
    const bounded = query.from !== undefined || query.to !== undefined;
    return JSON.stringify({ ...query, from: bounded ? `${range} ${from} ${to}` : null, to: null });
  }

  /** The question became another one while it was asked. */
  protected rekey(query: Query): void {
    this.key = this.keyOf(query);
  }

  private every(): number {
    const { refresh } = this.app.view;
    // Without a refresh, too: what is off is asking again for what is there.
    if (this.el.dataset['state'] === 'empty' && !this.heavy) return EMPTY_EVERY_MS;
    if (refresh === 'off') return Infinity;
    const light = Number.parseInt(refresh, 10) * 1000;
    return Math.max(light, this.heavy ? HEAVY_EVERY_MS : 0, this.took * REST);
  }

  /** Asks again when it is time to and something is new. */
  tick(now: number): void {
    if (!this.visible || this.controller || now - this.asked < this.every()) return;
    const { pipeline } = this.app.live;
    const mark = pipeline ? (this.app.isLive ? pipeline.ticks : pipeline.table_version) : null;
    if (mark !== null && mark === this.ticksAsked && !this.failed) return;
    void this.refresh(true);
  }

  /** Asks when it never did, or another question; with `again` in any case. */
  async refresh(again = false): Promise<void> {
    if (!this.visible) return;
    const trouble = this.app.rangeTrouble;
    const query = trouble === null ? this.query() : null;
    if (query === null) {
      this.controller?.abort();
      this.controller = null;
      this.key = '';
      if (trouble !== null) this.show('error', trouble);
      return;
    }
    const key = this.keyOf(query);
    if (key === this.key && (!again || this.controller)) return;
    const other = key !== this.key;
    this.key = key;
    this.controller?.abort();
    const controller = new AbortController();
    this.controller = controller;
    this.asked = performance.now();
    const { pipeline } = this.app.live;
    this.ticksAsked = pipeline ? (this.app.isLive ? pipeline.ticks : pipeline.table_version) : null;
    if (other) this.show(this.answer ? 'refreshing' : 'loading', this.answer ? '' : 'Loading');
    try {
      const answer = await this.ask(query, controller.signal, other);
      if (controller !== this.controller) return;
      // Asked before the pause, answered in it, by no wish of the person: what is on the screen stays.
      if (this.app.view.paused && !other) return;
      this.took = performance.now() - this.asked;
      const accepted = this.accept(answer);
      if (accepted) await accepted;
      if (controller !== this.controller) return;
      this.failed = false;
      const empty = this.emptiness(answer);
      this.show(empty ? 'empty' : 'ready', empty?.text ?? '', empty?.command);
      mark(this, true);
    } catch (cause) {
      if (isAbort(cause) || controller !== this.controller) return;
      this.failed = true;
      const since = this.answer && !other ? `Stale since ${clock(Date.now(), this.app.zone)}: ` : '';
      this.show('error', since + describe(cause));
    } finally {
      if (controller === this.controller) this.controller = null;
    }
  }

  protected ask(query: Query, signal: AbortSignal, _other: boolean): Promise<Answer> {
    return getJson<Answer>(queryUrl(query), signal, this.priority);
  }

  protected show(state: 'loading' | 'refreshing' | 'ready' | 'empty' | 'error', text: string, command?: string): void {
    this.el.dataset['state'] = state;
    if (state === 'ready' || state === 'empty' || state === 'error') this.tellSettled();
    this.el.setAttribute('aria-busy', String(state === 'loading' || state === 'refreshing'));
    toggle(this.el, 'greyed', state === 'error' || state === 'refreshing');
    this.stateBox.hidden = text === '';
    if (text === '') return;
    const box = h('div', { class: 'state-text' }, text);
    if (command !== undefined) box.append(h('code', {}, command));
    this.stateBox.replaceChildren(box);
  }
}
