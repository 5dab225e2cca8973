// The signal history: rows of the table of signals for the chosen symbols; where there is no such table, the crosses
// that the SQL of sma_crossover finds.

import type { App } from '../app';
import { getJson, queryUrl, type Answer, type Query } from '../api';
import { compact, count, fixed, name, price } from '../lib/format';
import { dateTime } from '../lib/time';
import type { LiveEvent } from '../live';
import { select } from '../controls/select';
import { Panel } from '../panel';
import { FEEDS, FEED_TITLES, kindsOf } from '../state';
import { VirtualTable } from '../table';
import { sign, signTone } from './event-text';
import { crossesOf, eventsOf } from './markers';

const LIMIT = 2000;
const CROSSOVER_ROWS = 5000;

export class HistoryPanel extends Panel {
  protected override heavy = true;
  private readonly table: VirtualTable<LiveEvent>;
  private events: LiveEvent[] = [];
  private derived = false;

  constructor(app: App) {
    super(app, { id: 'signals', title: 'Signal history', area: 'area-two-thirds' });
    this.table = new VirtualTable<LiveEvent>('Signals of the chosen symbols, newest first', [
      { name: 'ts', title: 'Time', width: '120px', text: (row) => dateTime(row.ts, app.zone), key: (row) => row.ts },
      {
        name: 'symbol',
        title: 'Symbol',
        width: 'minmax(64px, 1fr)',
        text: (row) => name(row.symbol),
        key: (row) => row.symbol,
        tone: () => 'strong',
      },
      { name: 'kind', title: 'Kind', width: '84px', text: (row) => row.kind.replace('_', ' '), key: (row) => row.kind },
      {
        name: 'side',
        title: 'Side',
        width: '84px',
        text: (row) => `${sign(row)} ${row.side ?? ''}`,
        key: (row) => row.side,
        tone: signTone,
      },
      {
        name: 'confirmed',
        title: 'Volume',
        width: '84px',
        text: (row) => (row.confirmed === null ? '–' : row.confirmed ? 'confirms' : 'no'),
        key: (row) => String(row.confirmed),
      },
      {
        name: 'close',
        title: 'Close',
        width: '84px',
        end: true,
        text: (row) => price(row.close),
        key: (row) => row.close,
      },
      {
        name: 'volume',
        title: 'Tick vol',
        width: '80px',
        end: true,
        text: (row) => compact(row.volume),
        key: (row) => row.volume,
      },
      {
        name: 'value',
        title: 'Value',
        width: '72px',
        end: true,
        text: (row) => fixed(row.value, 3),
        key: (row) => row.value,
      },
      {
        name: 'name',
        title: 'Query or rule',
        width: 'minmax(110px, 1fr)',
        text: (row) => name(row.name),
        key: (row) => row.name,
        tone: () => 'muted',
      },
    ]);
    this.tools.append(
      select(
        'Kinds of signals',
        FEEDS,
        { ...FEED_TITLES, alerts: 'All but states' },
        () => app.view.history,
        (history) => app.state.set({ history }),
        app.state,
      ),
    );
    this.body.append(this.table.el);
  }

  override query(): Query | null {
    if (!this.app.meta || this.app.focus === null) return null;
    return {
      name: 'signals',
      symbols: this.app.view.symbols,
      ...this.app.bounds(),
      ...this.app.kinds(this.app.view.history),
      limit: LIMIT,
      newest: true,
    };
  }

  override menuQuery(): Query | null {
    return this.derived ? this.crossover() : this.query();
  }

  private crossover(): Query {
    return {
      name: 'sma_crossover',
      symbols: this.app.chosenOrFocus,
      ...this.app.bounds(),
      limit: CROSSOVER_ROWS,
      newest: true,
    };
  }

  protected override async ask(query: Query, signal: AbortSignal, other: boolean): Promise<Answer> {
    const signals = await super.ask(query, signal, other);
    this.derived = signals.rows === 0 && ['alerts', 'cross', 'all'].includes(this.app.view.history);
    return this.derived ? getJson<Answer>(queryUrl(this.crossover()), signal, this.priority) : signals;
  }

  override accept(answer: Answer): void {
    super.accept(answer);
    this.events = this.derived ? crossesOf(answer) : eventsOf(answer);
    this.events.sort((a, b) => b.ts - a.ts);
  }

  protected override emptiness(): { text: string; command?: string } | null {
    return this.shown().length > 0 ? null : { text: 'No signals of these symbols in this range.' };
  }

  private shown(): LiveEvent[] {
    const kinds = kindsOf(this.app.view.history);
    return kinds === null ? this.events : this.events.filter(({ kind }) => kinds.includes(kind));
  }

  override draw(): void {
    const events = this.shown();
    this.table.set(events);
    this.say(
      this.derived
        ? 'crosses by SQL'
        : this.answer?.truncated
          ? `newest ${count(events.length)}`
          : count(events.length),
    );
    const [first] = events;
    this.summarize(
      first
        ? `${events.length} signals. Newest: ${name(first.symbol)} ${first.kind} ${first.side ?? ''}.`
        : 'No signals.',
    );
  }
}
