// The alert feed: events of all symbols as they happen, newest first, followed by those from the table. Its size is
// bounded, and a burst of thousands of events costs one drawing.

import type { App } from '../app';
import type { Answer, Query } from '../api';
import { clock, date, dateTime } from '../lib/time';
import { printable, price } from '../lib/format';
import type { LiveEvent } from '../live';
import { Panel } from '../panel';
import { scheduleDraw } from '../schedule';
import { EVENT_FILTERS, EVENT_FILTER_TITLES, kindsOf } from '../state';
import { select } from '../controls/select';
import { VirtualTable } from '../table';
import { sign, signTone, words } from './event-text';
import { eventsOf } from './markers';

const MAX_PER_KIND = 1000;
const FIRST_ROWS = 300;

/** The time of an event, with the date only if that isn't the date of the newest tick. */
function shortTime(ts: number, { zone, newest }: App): string {
  return date(ts, zone) === date(newest, zone) ? clock(ts, zone) : dateTime(ts, zone, false);
}

export class FeedPanel extends Panel {
  override paceMs = 500;
  protected override priority = 4;
  private readonly table: VirtualTable<LiveEvent>;
  /**
   * Each kind is bounded on its own, so that a flood of signal states can't push out the alerts. The newest come first.
   */
  private readonly eventsByKind = new Map<string, LiveEvent[]>();
  private addedSinceDraw = 0;

  constructor(app: App) {
    super(app, { id: 'alerts', title: 'Alerts', area: 'area-third' });
    this.tools.append(
      select(
        'Kinds of events',
        EVENT_FILTERS,
        EVENT_FILTER_TITLES,
        () => app.view.feed,
        (feed) => app.state.set({ feed }),
        app.state,
      ),
    );
    this.table = new VirtualTable<LiveEvent>('Alerts, newest first', [
      { name: 'ts', title: 'Time', width: '78px', text: (event) => shortTime(event.ts, app), tone: () => 'muted' },
      {
        name: 'sign',
        title: '',
        width: '18px',
        text: sign,
        tone: (event) => (event.severity === 'critical' ? 'critical' : signTone(event)),
      },
      {
        name: 'symbol',
        title: 'Symbol',
        width: 'minmax(52px, 1fr)',
        text: (event) => printable(event.symbol),
        tone: () => 'strong',
      },
      { name: 'what', title: 'What', width: 'minmax(176px, 3fr)', text: (event) => printable(words(event)) },
      { name: 'close', title: 'Close', width: '60px', alignEnd: true, text: (event) => price(event.close) },
    ]);
    this.body.append(this.table.el);
    app.live.on('events', (events) => {
      this.add(events);
      if (!app.view.paused) scheduleDraw(this);
    });
    app.state.on('change', ({ before, view }) => {
      if (before.feed !== view.feed) {
        this.table.scrollToTop();
        scheduleDraw(this, true);
      }
    });
  }

  override query(): Query | null {
    return this.app.meta
      ? { name: 'signals', ...this.app.kindParams(this.app.view.feed), limit: FIRST_ROWS, newest: true }
      : null;
  }

  override refreshIfDue(): void {
    // Nothing is refreshed: the stream delivers new events.
  }

  override accept(answer: Answer): void {
    super.accept(answer);
    this.add(eventsOf(answer).reverse());
  }

  protected override emptyState(): { text: string; command?: string } | null {
    if (this.shown().length > 0) return null;
    if (this.app.isLive) return { text: 'Nothing yet: alerts show up here as they happen.' };
    return { text: 'This table holds no signals. Alerts are found while ticks arrive:', command: 'tickhouse live' };
  }

  private add(events: LiveEvent[]): void {
    const byKind = new Map<string, LiveEvent[]>();
    for (const event of events) {
      const list = byKind.get(event.kind);
      if (list) list.push(event);
      else byKind.set(event.kind, [event]);
    }
    for (const [kind, added] of byKind) {
      const before = this.eventsByKind.get(kind) ?? [];
      const newest = added.slice(-MAX_PER_KIND).reverse();
      const ids = new Set(newest.map((event) => event.id));
      const all = [...newest, ...before.filter((event) => !ids.has(event.id))];
      if (all[1] && all.some((event, at) => at > 0 && event.ts > all[at - 1]!.ts)) all.sort((a, b) => b.ts - a.ts);
      this.eventsByKind.set(kind, all.slice(0, MAX_PER_KIND));
    }
    this.addedSinceDraw += events.length;
  }

  private shown(): LiveEvent[] {
    const kinds = kindsOf(this.app.view.feed) ?? [...this.eventsByKind.keys()];
    const all = kinds.flatMap((kind) => this.eventsByKind.get(kind) ?? []);
    return kinds.length > 1 ? all.sort((a, b) => b.ts - a.ts).slice(0, MAX_PER_KIND) : all;
  }

  override draw(): void {
    const shown = this.shown();
    if (this.addedSinceDraw > 0 && shown.length > 0 && this.el.dataset['state'] === 'empty')
      this.showState('ready', '');
    this.addedSinceDraw = 0;
    this.table.setRows(shown);
    const [first] = shown;
    this.summarize(
      first ? `${shown.length} events. Newest: ${printable(first.symbol)}, ${words(first)}.` : 'No events.',
    );
  }
}
