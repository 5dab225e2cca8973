// The correlation of returns as a heat map with numbers: of the chosen symbols, or of the twelve with the most volume.

import type { App } from '../app';
import { column, getJson, queryUrl, type Answer, type Query } from '../api';
import { fixed, printable } from '../lib/format';
import { parseDuration } from '../lib/time';
import { colors } from '../theme';
import { ChartPanel, type ChartOption } from './chart-panel';

const MAX_SYMBOLS = 12;
const MIN_PAIRS = '10';

export class CorrelationPanel extends ChartPanel {
  protected override scansTable = true;
  private top: string[] = [];

  constructor(app: App) {
    super(app, { id: 'correlation', title: 'Correlation', area: 'area-third' });
  }

  override query(): Query | null {
    const { app } = this;
    if (!app.meta || app.focus === null) return null;
    const chosen = app.view.symbols.length > 1 ? app.view.symbols.slice(0, MAX_SYMBOLS) : this.top;
    // Few bars give correlations by chance, so intervals of up to five minutes are replaced by one minute.
    const interval = parseDuration(app.interval) > 300_000 ? app.interval : '1m';
    return {
      name: 'correlation',
      symbols: chosen,
      ...app.bounds(),
      interval,
      params: { least_pairs: MIN_PAIRS },
      limit: 500,
    };
  }

  protected override async fetchAnswer(query: Query, signal: AbortSignal, changed: boolean): Promise<Answer> {
    if (this.app.view.symbols.length > 1 || this.top.length > 0) return super.fetchAnswer(query, signal, changed);
    const volumes = await getJson<Answer>(
      queryUrl({ name: 'volume_by_symbol', ...this.app.bounds(), limit: MAX_SYMBOLS }),
      signal,
      this.priority,
    );
    this.top = column(volumes, 'symbol') as string[];
    return super.fetchAnswer({ ...query, symbols: this.top }, signal, changed);
  }

  protected override emptyState(answer: Answer): { text: string } | null {
    const known = (column(answer, 'correlation') as (number | null)[]).some((value) => value !== null);
    return known ? null : { text: `Not enough bars in this range: a correlation needs ${MIN_PAIRS} returns.` };
  }

  protected override option(answer: Answer): ChartOption {
    const c = colors();
    const [a, b, values] = [
      column(answer, 'symbol_a') as string[],
      column(answer, 'symbol_b') as string[],
      column(answer, 'correlation') as (number | null)[],
    ];
    const symbols = [...new Set([...a, ...b])].sort();
    const index = new Map(symbols.map((symbol, at) => [symbol, at]));
    const cells: [number, number, number | string][] = symbols.map((_, at) => [at, at, 1]);
    values.forEach((value, row) => {
      const [x, y] = [index.get(a[row]!)!, index.get(b[row]!)!];
      cells.push([x, y, value ?? '-'], [y, x, value ?? '-']);
    });
    const first = values.findIndex((value) => value !== null);
    const last = values.findLastIndex((value) => value !== null);
    this.setNote(`${symbols.length} symbols`);
    const pairText = (row: number): string =>
      `${printable(a[row]!)} and ${printable(b[row]!)} ${fixed(values[row], 2)}`;
    this.summarize(first < 0 ? 'Unknown.' : `Highest: ${pairText(first)}. Lowest: ${pairText(last)}.`);
    const label = { ...this.text(10), formatter: (symbol: string) => [...printable(symbol)].slice(0, 6).join('') };
    return {
      grid: { left: 4, right: 4, top: 4, bottom: 4, containLabel: true },
      tooltip: {
        ...this.tooltip(),
        trigger: 'item',
        formatter: ({ value: [x, y, value] }: { value: [number, number, number | string] }) =>
          `${printable(symbols[x]!)} and ${printable(symbols[y]!)}: ` +
          (typeof value === 'number' ? fixed(value, 3) : 'unknown'),
      },
      visualMap: {
        show: false,
        type: 'continuous',
        min: -1,
        max: 1,
        inRange: { color: [c.heatLow, c.heatMiddle, c.heatHigh] },
      },
      xAxis: {
        type: 'category',
        data: symbols,
        ...this.axis({ splitLine: { show: false }, axisLabel: { ...label, interval: 0, rotate: 45 } }),
      },
      yAxis: {
        type: 'category',
        data: symbols,
        inverse: true,
        ...this.axis({ splitLine: { show: false }, axisLabel: { ...label, interval: 0 } }),
      },
      series: [
        {
          type: 'heatmap',
          data: cells,
          itemStyle: { borderColor: c.panel, borderWidth: 1 },
          label: {
            show: symbols.length <= MAX_SYMBOLS,
            fontSize: 9,
            fontFamily: c.font,
            color: c.text,
            formatter: ({ value: [x, y, value] }: { value: [number, number, number | string] }) =>
              x === y || typeof value !== 'number' ? '' : fixed(value, symbols.length > 7 ? 1 : 2),
          },
        },
      ],
    } as ChartOption;
  }
}
