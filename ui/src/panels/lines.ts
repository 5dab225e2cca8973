// Line charts by tick: the moving averages of one symbol, the volatility of the chosen ones. Lines differ in their
// dashes, too, and the legend above them shows which is which.

import type { App } from '../app';
import { column, type Answer, type Query } from '../api';
import { fixed, printable, price } from '../lib/format';
import { h } from '../lib/dom';
import * as time from '../lib/time';
import { colors } from '../theme';
import { ChartPanel, type PanelFrame, type ChartOption } from './chart-panel';

/** About one tick for each pixel of the panel. */
const TICKS_PER_LINE = 600;
const MAX_LINES = 8;
const [LONG, DOTS, MIXED] = [
  [6, 3],
  [2, 2],
  [8, 3, 2, 3],
];
const DASHES: (string | number[])[] = ['solid', LONG!, DOTS!, MIXED!];

interface ChartLine {
  name: string;
  points: [number, number | null][];
  color: string;
  dash: string | number[];
  width: number;
}

const DASH_SIGNS = ['━', '╍', '┈', '┅'];

abstract class LinesPanel extends ChartPanel {
  private readonly legend = h('div', { class: 'legend' });
  protected abstract valueText(y: number): string;

  constructor(app: App, frame: PanelFrame) {
    super(app, frame);
    this.body.prepend(this.legend);
  }

  /** Draws the legend: the name, the dashes and the newest value of each line. */
  private drawLegend(lines: ChartLine[]): void {
    const parts = lines.map((line) => {
      const sign = h('i', {}, `${DASH_SIGNS[DASHES.indexOf(line.dash)] ?? '━'} ${printable(line.name)}`);
      sign.style.color = line.color;
      const last = line.points[line.points.length - 1]?.[1] ?? null;
      return h('span', {}, sign, last === null ? '–' : this.valueText(last));
    });
    this.legend.replaceChildren(...parts);
  }

  protected lines(lines: ChartLine[]): ChartOption {
    const c = colors();
    const zone = this.app.zone;
    this.drawLegend(lines);
    return {
      grid: { left: 8, right: 16, top: 8, bottom: 4, containLabel: true },
      tooltip: {
        ...this.tooltip(),
        trigger: 'axis',
        axisPointer: { type: 'line', lineStyle: { color: c.muted, type: 'dashed' } },
        formatter: (at: { seriesName: string; value: [number, number | null] }[]) =>
          [
            time.dateTime(at[0]?.value[0] ?? 0, zone),
            ...at.map(
              ({ seriesName, value }) =>
                `${printable(seriesName)}  ${value[1] === null ? '–' : this.valueText(value[1])}`,
            ),
          ].join('\n'),
      },
      xAxis: {
        type: 'time',
        ...this.axis({
          splitLine: { show: false },
          axisLabel: {
            ...this.text(10),
            hideOverlap: true,
            alignMaxLabel: 'right',
            formatter: (ms: number) => time.clock(ms, zone),
          },
        }),
      },
      yAxis: {
        type: 'value',
        scale: true,
        splitNumber: 4,
        ...this.axis({ axisLabel: { ...this.text(10), formatter: (y: number) => this.valueText(y) } }),
      },
      series: lines.map((line) => ({
        type: 'line',
        id: line.name,
        name: line.name,
        silent: true,
        data: line.points,
        showSymbol: false,
        lineStyle: { color: line.color, width: line.width, type: line.dash },
        itemStyle: { color: line.color },
        emphasis: { disabled: true },
      })),
    } as ChartOption;
  }
}

export class AveragesPanel extends LinesPanel {
  constructor(app: App) {
    super(app, { id: 'averages', title: 'Moving averages', area: 'area-half' });
  }

  override query(): Query | null {
    const { app } = this;
    if (!app.meta || app.focus === null) return null;
    return { name: 'moving_averages', symbols: [app.focus], ...app.bounds(), limit: TICKS_PER_LINE, newest: true };
  }

  protected override valueText(y: number): string {
    return price(y, Math.abs(y) >= 1000 ? 2 : Math.abs(y) >= 10 ? 3 : 5);
  }

  protected override option(answer: Answer): ChartOption {
    const c = colors();
    const ts = column(answer, 'ts') as number[];
    const line = (from: string, title: string, at: number, dash: string | number[], width = 1.25): ChartLine => {
      const values = column(answer, from) as (number | null)[];
      return {
        name: title,
        points: ts.map((ms, row) => [ms, values[row] ?? null]),
        color: at === 0 ? c.muted : c.series[at - 1]!,
        dash,
        width,
      };
    };
    const lines = [
      line('close', 'Close', 0, 'solid', 1),
      line('ma_5', 'MA 5', 4, DOTS!),
      line('ma_10', 'MA 10', 7, LONG!),
      line('ma_20', 'MA 20', 2, 'solid', 1.75),
    ];
    this.setNote(`${printable(this.app.focus ?? '')}, last ${answer.rows} ticks`);
    const newest = lines.map((one) => `${one.name} ${price(one.points[one.points.length - 1]?.[1], 2)}`).join(', ');
    this.summarize(`Of ${printable(this.app.focus ?? '')}, newest tick: ${newest}.`);
    return this.lines(lines);
  }
}

export class VolatilityPanel extends LinesPanel {
  constructor(app: App) {
    super(app, { id: 'volatility', title: 'Volatility', area: 'area-half' });
  }

  override query(): Query | null {
    const { app } = this;
    if (!app.meta || app.focus === null) return null;
    const symbols = app.chosenOrFocus.slice(0, MAX_LINES);
    return { name: 'volatility', symbols, ...app.bounds(), limit: TICKS_PER_LINE * symbols.length, newest: true };
  }

  protected override valueText(y: number): string {
    return fixed(y, y >= 10 ? 1 : 3);
  }

  protected override option(answer: Answer): ChartOption {
    const c = colors();
    const [symbols, ts, values] = [
      column(answer, 'symbol') as string[],
      column(answer, 'ts') as number[],
      column(answer, 'volatility') as (number | null)[],
    ];
    const points = new Map<string, [number, number | null][]>();
    symbols.forEach((symbol, row) => {
      const line = points.get(symbol);
      if (line) line.push([ts[row]!, values[row] ?? null]);
      else points.set(symbol, [[ts[row]!, values[row] ?? null]]);
    });
    const lines = [...points].map(([symbol, linePoints], at): ChartLine => ({
      name: symbol,
      points: linePoints,
      color: c.series[at % c.series.length]!,
      dash: DASHES[at % DASHES.length]!,
      width: 1.25,
    }));
    this.setNote(
      `deviation of 10 closes, ${lines.length === 1 ? printable(lines[0]!.name) : `${lines.length} symbols`}`,
    );
    this.summarize(
      lines.map((line) => `${printable(line.name)} ${fixed(line.points[line.points.length - 1]?.[1], 4)}`).join(', '),
    );
    return this.lines(lines);
  }
}
