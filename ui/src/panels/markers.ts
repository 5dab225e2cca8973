// Marks on the price chart: crosses, Buy and Sell, anomalies and alerts, told apart by shape as well as colour.
// From the table of signals; where there is none, from the named queries that define them.

import type { SeriesMarker, UTCTimestamp } from 'lightweight-charts';
import { column, getJson, queryUrl, type Answer, type Query } from '../api';
import type { LiveEvent } from '../live';
import type { Indicator } from '../state';
import { alpha, colors } from '../theme';

export type Mark = Pick<LiveEvent, 'kind' | 'side' | 'ts' | 'confirmed' | 'id' | 'value'>;

const MOST_MARKS = 5000;

export function eventsOf(answer: Answer): LiveEvent[] {
  const columns = [
    'id',
    'kind',
    'name',
    'symbol',
    'ts',
    'side',
    'confirmed',
    'severity',
    'close',
    'volume',
    'value',
  ].map((name) => [name, column(answer, name)] as const);
  return Array.from({ length: answer.rows }, (_, row) => {
    const event = Object.fromEntries(columns.map(([name, cells]) => [name, cells[row] ?? null]));
    return event as unknown as LiveEvent;
  });
}

/** Rows of `sma_crossover` that are events. */
export function crossesOf(answer: Answer): LiveEvent[] {
  const get = (name: string): unknown[] => column(answer, name);
  const [symbol, ts, side, confirmed, close, volume] = [
    'symbol',
    'ts',
    'cross_event',
    'confirmed',
    'close',
    'volume',
  ].map(get);
  const events: LiveEvent[] = [];
  for (let row = 0; row < answer.rows; row += 1) {
    if (side?.[row] == null) continue;
    events.push({
      id: `${symbol![row]}-${ts![row]}-cross`,
      kind: 'cross',
      name: 'sma_crossover',
      symbol: symbol![row] as string,
      ts: ts![row] as number,
      side: side[row] as string,
      confirmed: (confirmed?.[row] ?? null) as boolean | null,
      severity: 'info',
      close: (close?.[row] ?? null) as number | null,
      volume: (volume?.[row] ?? null) as number | null,
      value: null,
    });
  }
  return events;
}

function anomaliesOf(answer: Answer): Mark[] {
  const [ts, side, value] = [column(answer, 'ts'), column(answer, 'direction'), column(answer, 'zscore')];
  return ts.map((ms, row) => ({
    kind: 'anomaly',
    side: side[row] as string,
    ts: ms as number,
    confirmed: null,
    id: `${ms}-anomaly`,
    value: value[row] as number | null,
  }));
}

export async function fetchMarks(
  symbol: string,
  bounds: Pick<Query, 'from' | 'to' | 'params'>,
  signal: AbortSignal,
): Promise<Mark[]> {
  const ask = (name: string, params: Pick<Query, 'params'>): Promise<Answer> =>
    getJson<Answer>(
      queryUrl({ name, symbols: [symbol], ...bounds, ...params, limit: MOST_MARKS, newest: true }),
      signal,
      6,
    );
  const signals = await ask('signals', {});
  if (signals.rows > 0) return eventsOf(signals);
  const [crosses, anomalies] = await Promise.all([
    ask('sma_crossover', { params: {} }),
    ask('zscore_anomalies', { params: {} }),
  ]);
  return [...crossesOf(crosses), ...anomaliesOf(anomalies)];
}

interface Look {
  shows: 'crosses' | 'signals' | 'anomalies';
  shape: 'arrowUp' | 'arrowDown' | 'circle' | 'square';
  position: 'aboveBar' | 'belowBar';
  color: string;
  text: string;
}

function look(mark: Mark): Look | null {
  const { up, down, warn } = colors();
  switch (`${mark.kind}/${mark.side ?? ''}`) {
    case 'cross/golden':
      return { shows: 'crosses', shape: 'arrowUp', position: 'belowBar', color: up, text: 'G' };
    case 'cross/death':
      return { shows: 'crosses', shape: 'arrowDown', position: 'aboveBar', color: down, text: 'D' };
    case 'signal/Buy':
      return { shows: 'signals', shape: 'circle', position: 'belowBar', color: up, text: 'B' };
    case 'signal/Sell':
      return { shows: 'signals', shape: 'circle', position: 'aboveBar', color: down, text: 'S' };
    case 'signal/Hold':
      return null;
    default:
      return mark.side === 'Low' || mark.side === 'Down'
        ? { shows: 'anomalies', shape: 'square', position: 'belowBar', color: warn, text: '' }
        : { shows: 'anomalies', shape: 'square', position: 'aboveBar', color: warn, text: '' };
  }
}

/** So many of each are drawn: ticks cross their means and leave their bands far more often than a picture can show. */
const MOST_SHOWN = { crosses: 60, signals: 60, anomalies: 24 } as const;
type Shown = keyof typeof MOST_SHOWN;

interface Group {
  time: number;
  look: Look;
  n: number;
  confirmed: boolean;
  /** Which are drawn where not all are: the strongest anomalies, confirmed crosses, then the newest. */
  rank: number;
}

export interface Drawn {
  markers: SeriesMarker<UTCTimestamp>[];
  /** How many marks there are of each kind, and how many bars show one. */
  counts: Record<Shown, { all: number; bars: number; drawn: number }>;
}

/** One mark per bar, kind and side, with their number where there are several. */
export function markersOf(marks: Mark[], shown: Indicator[], times: number[], step: number): Drawn {
  const known = new Set(times);
  const groups = new Map<string, Group>();
  const counts = {
    crosses: { all: 0, bars: 0, drawn: 0 },
    signals: { all: 0, bars: 0, drawn: 0 },
    anomalies: { all: 0, bars: 0, drawn: 0 },
  };
  for (const mark of marks) {
    const time = Math.floor(mark.ts / 1000 / step) * step;
    const its = known.has(time) ? look(mark) : null;
    if (!its || !shown.includes(its.shows)) continue;
    counts[its.shows].all += 1;
    const key = `${time} ${its.shape} ${its.position}`;
    const group = groups.get(key) ?? { time, look: its, n: 0, confirmed: false, rank: 0 };
    groups.set(key, group);
    group.n += 1;
    group.confirmed ||= mark.confirmed !== false;
    group.rank =
      its.shows === 'anomalies'
        ? Math.max(group.rank, Math.abs(mark.value ?? Infinity))
        : time + (group.confirmed ? 1e12 : 0);
  }
  const drawn = (Object.keys(MOST_SHOWN) as Shown[]).flatMap((kind) => {
    const all = [...groups.values()].filter((group) => group.look.shows === kind).sort((a, b) => b.rank - a.rank);
    const some = all.slice(0, MOST_SHOWN[kind]);
    counts[kind].bars = all.length;
    counts[kind].drawn = some.length;
    return some;
  });
  drawn.sort((a, b) => a.time - b.time);
  const labels = drawn.length <= 60;
  const markers = drawn.map(({ time, look: its, n, confirmed }) => ({
    time: time as UTCTimestamp,
    position: its.position,
    shape: its.shape,
    color: confirmed ? its.color : alpha(its.color, 0.5),
    size: its.shape === 'square' ? 0.3 : its.shape === 'circle' ? 0.6 : 1,
    ...(labels && its.text !== '' ? { text: n > 1 ? `${its.text}${n}` : its.text } : {}),
  }));
  return { markers, counts };
}
