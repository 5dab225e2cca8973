// Marks on the price chart: crosses, Buy and Sell signals, anomalies and alerts, each with its own shape and colour.
// They come from the signals table, or from the queries that define them where that table has none.

import type { SeriesMarker, UTCTimestamp } from 'lightweight-charts';
import { column, getJson, queryUrl, type Answer, type Query } from '../api';
import type { LiveEvent } from '../live';
import type { Indicator } from '../state';
import { alpha, colors } from '../theme';

export type ChartMark = Pick<LiveEvent, 'kind' | 'side' | 'ts' | 'confirmed' | 'id' | 'value'>;

const MAX_MARKS = 5000;

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

/** The crosses among the rows of `sma_crossover`. */
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

function anomaliesOf(answer: Answer): ChartMark[] {
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
): Promise<ChartMark[]> {
  const ask = (name: string, params: Pick<Query, 'params'>): Promise<Answer> =>
    getJson<Answer>(
      queryUrl({ name, symbols: [symbol], ...bounds, ...params, limit: MAX_MARKS, newest: true }),
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

interface MarkStyle {
  kind: 'crosses' | 'signals' | 'anomalies';
  shape: 'arrowUp' | 'arrowDown' | 'circle' | 'square';
  position: 'aboveBar' | 'belowBar';
  color: string;
  text: string;
}

function markStyle(mark: ChartMark): MarkStyle | null {
  const { up, down, warn } = colors();
  switch (`${mark.kind}/${mark.side ?? ''}`) {
    case 'cross/golden':
      return { kind: 'crosses', shape: 'arrowUp', position: 'belowBar', color: up, text: 'G' };
    case 'cross/death':
      return { kind: 'crosses', shape: 'arrowDown', position: 'aboveBar', color: down, text: 'D' };
    case 'signal/Buy':
      return { kind: 'signals', shape: 'circle', position: 'belowBar', color: up, text: 'B' };
    case 'signal/Sell':
      return { kind: 'signals', shape: 'circle', position: 'aboveBar', color: down, text: 'S' };
    case 'signal/Hold':
      return null;
    default:
      return mark.side === 'Low' || mark.side === 'Down'
        ? { kind: 'anomalies', shape: 'square', position: 'belowBar', color: warn, text: '' }
        : { kind: 'anomalies', shape: 'square', position: 'aboveBar', color: warn, text: '' };
  }
}

/** How many marks of each kind are drawn: ticks cross averages and leave bands far more often than a chart can show. */
const MAX_SHOWN = { crosses: 60, signals: 60, anomalies: 24 } as const;
type MarkKind = keyof typeof MAX_SHOWN;

interface MarkGroup {
  time: number;
  style: MarkStyle;
  n: number;
  confirmed: boolean;
  /** The marks of highest rank are drawn: the strongest anomalies; confirmed crosses, then the newest ones. */
  rank: number;
}

export interface DrawnMarks {
  markers: SeriesMarker<UTCTimestamp>[];
  /** For each kind, the number of its marks, of bars with a mark, and of bars whose mark is drawn. */
  counts: Record<MarkKind, { all: number; bars: number; drawn: number }>;
}

/** Groups the marks: one marker per bar, kind and side, labelled with their number if there are several. */
export function markersOf(marks: ChartMark[], shown: Indicator[], times: number[], step: number): DrawnMarks {
  const known = new Set(times);
  const groups = new Map<string, MarkGroup>();
  const counts = {
    crosses: { all: 0, bars: 0, drawn: 0 },
    signals: { all: 0, bars: 0, drawn: 0 },
    anomalies: { all: 0, bars: 0, drawn: 0 },
  };
  for (const mark of marks) {
    const time = Math.floor(mark.ts / 1000 / step) * step;
    const style = known.has(time) ? markStyle(mark) : null;
    if (!style || !shown.includes(style.kind)) continue;
    counts[style.kind].all += 1;
    const key = `${time} ${style.shape} ${style.position}`;
    const group = groups.get(key) ?? { time, style: style, n: 0, confirmed: false, rank: 0 };
    groups.set(key, group);
    group.n += 1;
    group.confirmed ||= mark.confirmed !== false;
    group.rank =
      style.kind === 'anomalies'
        ? Math.max(group.rank, Math.abs(mark.value ?? Infinity))
        : time + (group.confirmed ? 1e12 : 0);
  }
  const drawn = (Object.keys(MAX_SHOWN) as MarkKind[]).flatMap((kind) => {
    const all = [...groups.values()].filter((group) => group.style.kind === kind).sort((a, b) => b.rank - a.rank);
    const some = all.slice(0, MAX_SHOWN[kind]);
    counts[kind].bars = all.length;
    counts[kind].drawn = some.length;
    return some;
  });
  drawn.sort((a, b) => a.time - b.time);
  const labels = drawn.length <= 60;
  const markers = drawn.map(({ time, style: style, n, confirmed }) => ({
    time: time as UTCTimestamp,
    position: style.position,
    shape: style.shape,
    color: confirmed ? style.color : alpha(style.color, 0.5),
    size: style.shape === 'square' ? 0.3 : style.shape === 'circle' ? 0.6 : 1,
    ...(labels && style.text !== '' ? { text: n > 1 ? `${style.text}${n}` : style.text } : {}),
  }));
  return { markers, counts };
}
