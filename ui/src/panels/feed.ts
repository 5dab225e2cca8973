// The alert feed: events of all symbols as they happen, newest first, after those of the table. Bounded; a burst of
// thousands a second costs one drawing.

import type { App } from '../app';
import type { Answer, Query } from '../api';
import { clock, date, dateTime } from '../lib/time';
import { name, price } from '../lib/format';
import type { LiveEvent } from '../live';
import { Panel } from '../panel';
import { mark } from '../schedule';
import { FEEDS, FEED_TITLES, kindsOf } from '../state';
import { select } from '../controls/select';
import { VirtualTable } from '../table';
import { sign, signTone, words } from './event-text';
import { eventsOf } from './markers';

const KEPT = 1000;
const FIRST = 300;

/** The date only where it isn't that of the newest tick. */
function shortTime(ts: number, { zone, newest }: App): string {
  return date(ts, zone) === date(newest, zone) ? clock(ts, zone) : dateTime(ts, zone, false);
}

export class FeedPanel extends Panel {
  override pace = 500;
  protected override priority = 4;
  private readonly table: VirtualTable<LiveEvent>;
  /** Newest first, by what is kept of each kind: a flood of signal states must not push out the alerts. */
  private readonly kept = new Map<string, LiveEvent[]>();
  private fresh = 0;

  constructor(app: App) {
    super(app, { id: 'alerts', title: 'Alerts', area: 'area-third' });
    this.tools.append(
      select(
        'Kinds of events',
        FEEDS,
        FEED_TITLES,
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
        text: (event) => name(event.symbol),
        tone: () => 'strong',
      },
      { name: 'what', title: 'What', width: 'minmax(176px, 3fr)', text: (event) => name(words(event)) },
      { name: 'close', title: 'Close', width: '60px', end: true, text: (event) => price(event.close) },
    ]);
    this.body.append(this.table.el);
    app.live.on('events', (events) => {
      this.add(events);
      if (!app.view.paused) mark(this);
    });
    app.state.on('change', ({ before, view }) => {
      if (before.feed !== view.feed) {
        this.table.toTop();
        mark(this, true);
      }
    });
  }

  override query(): Query | null {
    return this.app.meta
      ? { name: 'signals', ...this.app.kinds(this.app.view.feed), limit: FIRST, newest: true }
      : null;
  }

  override tick(): void {
    // The stream brings what is new.
  }

  override accept(answer: Answer): void {
    super.accept(answer);
    this.add(eventsOf(answer).reverse());
  }

  protected override emptiness(): { text: string; command?: string } | null {
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
      const before = this.kept.get(kind) ?? [];
      const newest = added.slice(-KEPT).reverse();
      const ids = new Set(newest.map((event) => event.id));
      const all = [...newest, ...before.filter((event) => !ids.has(event.id))];
      if (all[1] && all.some((event, at) => at > 0 && event.ts > all[at - 1]!.ts)) all.sort((a, b) => b.ts - a.ts);
      this.kept.set(kind, all.slice(0, KEPT));
    }
    this.fresh += events.length;
  }

  private shown(): LiveEvent[] {
    const kinds = kindsOf(this.app.view.feed) ?? [...this.kept.keys()];
    const all = kinds.flatMap((kind) => this.kept.get(kind) ?? []);
    return kinds.length > 1 ? all.sort((a, b) => b.ts - a.ts).slice(0, KEPT) : all;
  }

  override draw(): void {
    const shown = this.shown();
    if (this.fresh > 0 && shown.length > 0 && this.el.dataset['state'] === 'empty') this.show('ready', '');
    this.fresh = 0;
    this.table.set(shown);
    const [first] = shown;
    this.summarize(first ? `${shown.length} events. Newest: ${name(first.symbol)}, ${words(first)}.` : 'No events.');
  }
}
