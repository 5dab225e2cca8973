// The signal history: rows of the signals table for the chosen symbols. Where that table has none, the panel shows the
// crosses that the query sma_crossover finds.

import type { App } from '../app';
import { getJson, queryUrl, type Answer, type Query } from '../api';
import { compact, count, fixed, printable, price } from '../lib/format';
import { dateTime } from '../lib/time';
import type { LiveEvent } from '../live';
import { select } from '../controls/select';
import { Panel } from '../panel';
import { EVENT_FILTERS, EVENT_FILTER_TITLES, kindsOf } from '../state';
import { VirtualTable } from '../table';
import { sign, signTone } from './event-text';
import { crossesOf, eventsOf } from './markers';

const SIGNAL_ROWS = 2000;
const CROSSOVER_ROWS = 5000;

export class HistoryPanel extends Panel {
  protected override scansTable = true;
  private readonly table: VirtualTable<LiveEvent>;
  private events: LiveEvent[] = [];
  private fromCrossover = false;

  constructor(app: App) {
    super(app, { id: 'signals', title: 'Signal history', area: 'area-two-thirds' });
    this.table = new VirtualTable<LiveEvent>('Signals of the chosen symbols, newest first', [
      {
        name: 'ts',
        title: 'Time',
        width: '120px',
        text: (row) => dateTime(row.ts, app.zone),
        sortKey: (row) => row.ts,
      },
      {
        name: 'symbol',
        title: 'Symbol',
        width: 'minmax(64px, 1fr)',
        text: (row) => printable(row.symbol),
        sortKey: (row) => row.symbol,
        tone: () => 'strong',
      },
      {
        name: 'kind',
        title: 'Kind',
        width: '84px',
        text: (row) => row.kind.replace('_', ' '),
        sortKey: (row) => row.kind,
      },
      {
        name: 'side',
        title: 'Side',
        width: '84px',
        text: (row) => `${sign(row)} ${row.side ?? ''}`,
        sortKey: (row) => row.side,
        tone: signTone,
      },
      {
        name: 'confirmed',
        title: 'Volume',
        width: '84px',
        text: (row) => (row.confirmed === null ? '–' : row.confirmed ? 'confirms' : 'no'),
        sortKey: (row) => String(row.confirmed),
      },
      {
        name: 'close',
        title: 'Close',
        width: '84px',
        alignEnd: true,
        text: (row) => price(row.close),
        sortKey: (row) => row.close,
      },
      {
        name: 'volume',
        title: 'Tick vol',
        width: '80px',
        alignEnd: true,
        text: (row) => compact(row.volume),
        sortKey: (row) => row.volume,
      },
      {
        name: 'value',
        title: 'Value',
        width: '72px',
        alignEnd: true,
        text: (row) => fixed(row.value, 3),
        sortKey: (row) => row.value,
      },
      {
        name: 'name',
        title: 'Query or rule',
        width: 'minmax(110px, 1fr)',
        text: (row) => printable(row.name),
        sortKey: (row) => row.name,
        tone: () => 'muted',
      },
    ]);
    this.tools.append(
      select(
        'Kinds of signals',
        EVENT_FILTERS,
        { ...EVENT_FILTER_TITLES, alerts: 'All but states' },
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
      ...this.app.kindParams(this.app.view.history),
      limit: SIGNAL_ROWS,
      newest: true,
    };
  }

  override menuQuery(): Query | null {
    return this.fromCrossover ? this.crossover() : this.query();
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

  protected override async fetchAnswer(query: Query, signal: AbortSignal, changed: boolean): Promise<Answer> {
    const signals = await super.fetchAnswer(query, signal, changed);
    this.fromCrossover = signals.rows === 0 && ['alerts', 'cross', 'all'].includes(this.app.view.history);
    return this.fromCrossover ? getJson<Answer>(queryUrl(this.crossover()), signal, this.priority) : signals;
  }

  override accept(answer: Answer): void {
    super.accept(answer);
    this.events = this.fromCrossover ? crossesOf(answer) : eventsOf(answer);
    this.events.sort((a, b) => b.ts - a.ts);
  }

  protected override emptyState(): { text: string; command?: string } | null {
    return this.shown().length > 0 ? null : { text: 'No signals of these symbols in this range.' };
  }

  private shown(): LiveEvent[] {
    const kinds = kindsOf(this.app.view.history);
    return kinds === null ? this.events : this.events.filter(({ kind }) => kinds.includes(kind));
  }

  override draw(): void {
    const events = this.shown();
    this.table.setRows(events);
    this.setNote(
      this.fromCrossover
        ? 'crosses by SQL'
        : this.answer?.truncated
          ? `newest ${count(events.length)}`
          : count(events.length),
    );
    const [first] = events;
    this.summarize(
      first
        ? `${events.length} signals. Newest: ${printable(first.symbol)} ${first.kind} ${first.side ?? ''}.`
        : 'No signals.',
    );
  }
}
