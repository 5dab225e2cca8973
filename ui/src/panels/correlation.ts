// The correlation of returns of the chosen symbols, or of the twelve with most volume, as a heat map with its numbers.

import type { App } from '../app';
import { column, getJson, queryUrl, type Answer, type Query } from '../api';
import { fixed, name } from '../lib/format';
import { length } from '../lib/time';
import { colors } from '../theme';
import { ChartPanel, type Option } from './chart-panel';

const MOST = 12;
const LEAST_PAIRS = '10';

export class CorrelationPanel extends ChartPanel {
  protected override heavy = true;
  private top: string[] = [];

  constructor(app: App) {
    super(app, { id: 'correlation', title: 'Correlation', area: 'area-third' });
  }

  override query(): Query | null {
    const { app } = this;
    if (!app.meta || app.focus === null) return null;
    const chosen = app.view.symbols.length > 1 ? app.view.symbols.slice(0, MOST) : this.top;
    // Too few bars make correlations of chance: at most a minute while the range has no more.
    const interval = length(app.interval) > 300_000 ? app.interval : '1m';
    return {
      name: 'correlation',
      symbols: chosen,
      ...app.bounds(),
      interval,
      params: { least_pairs: LEAST_PAIRS },
      limit: 500,
    };
  }

  protected override async ask(query: Query, signal: AbortSignal, other: boolean): Promise<Answer> {
    if (this.app.view.symbols.length > 1 || this.top.length > 0) return super.ask(query, signal, other);
    const volumes = await getJson<Answer>(
      queryUrl({ name: 'volume_by_symbol', ...this.app.bounds(), limit: MOST }),
      signal,
      this.priority,
    );
    this.top = column(volumes, 'symbol') as string[];
    return super.ask({ ...query, symbols: this.top }, signal, other);
  }

  protected override emptiness(answer: Answer): { text: string } | null {
    const known = (column(answer, 'correlation') as (number | null)[]).some((value) => value !== null);
    return known ? null : { text: `Not enough bars in this range: a correlation needs ${LEAST_PAIRS} returns.` };
  }

  protected override option(answer: Answer): Option {
    const c = colors();
    const [a, b, values] = [
      column(answer, 'symbol_a') as string[],
      column(answer, 'symbol_b') as string[],
      column(answer, 'correlation') as (number | null)[],
    ];
    const symbols = [...new Set([...a, ...b])].sort();
    const place = new Map(symbols.map((symbol, at) => [symbol, at]));
    const cells: [number, number, number | string][] = symbols.map((_, at) => [at, at, 1]);
    values.forEach((value, row) => {
      const [x, y] = [place.get(a[row]!)!, place.get(b[row]!)!];
      cells.push([x, y, value ?? '-'], [y, x, value ?? '-']);
    });
    const first = values.findIndex((value) => value !== null);
    const last = values.findLastIndex((value) => value !== null);
    this.say(`${symbols.length} symbols`);
    this.summarize(
      first < 0
        ? 'Unknown.'
        : `Highest: ${name(a[first]!)} and ${name(b[first]!)} ${fixed(values[first], 2)}. Lowest: ${name(a[last]!)} and ${name(b[last]!)} ${fixed(values[last], 2)}.`,
    );
    const label = { ...this.text(10), formatter: (symbol: string) => [...name(symbol)].slice(0, 6).join('') };
    return {
      grid: { left: 4, right: 4, top: 4, bottom: 4, containLabel: true },
      tooltip: {
        ...this.tooltip(),
        trigger: 'item',
        formatter: ({ value: [x, y, value] }: { value: [number, number, number | string] }) =>
          `${name(symbols[x]!)} and ${name(symbols[y]!)}: ${typeof value === 'number' ? fixed(value, 3) : 'unknown'}`,
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
            show: symbols.length <= MOST,
            fontSize: 9,
            fontFamily: c.font,
            color: c.text,
            formatter: ({ value: [x, y, value] }: { value: [number, number, number | string] }) =>
              x === y || typeof value !== 'number' ? '' : fixed(value, symbols.length > 7 ? 1 : 2),
          },
        },
      ],
    } as Option;
  }
}
