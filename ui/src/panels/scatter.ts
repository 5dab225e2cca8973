// Symbols as points: price against volume of the newest day, trend against volatility of the range. A triangle up or
// down says which way the symbol went; chosen symbols are named and larger.

import type { App } from '../app';
import { column, type Answer, type Query } from '../api';
import { compact, fixed, name, percent, price } from '../lib/format';
import { alpha, colors } from '../theme';
import { ChartPanel, type Frame, type Option } from './chart-panel';

interface Point {
  symbol: string;
  x: number;
  y: number;
  change: number | null;
}

/** Bounds of an axis: the values with a tenth of a decade around them. */
function reach(values: number[]): { min?: number; max?: number } {
  if (values.length === 0) return {};
  const round = (x: number): number => Number(x.toPrecision(2));
  return { min: round(Math.min(...values) / 1.25), max: round(Math.max(...values) * 1.25) };
}

type Way = 'up' | 'down' | 'unknown';

function look(way: Way): { color: string; symbol: string; symbolRotate: number; itemStyle: object } {
  const c = colors();
  const color = way === 'unknown' ? c.accent : c[way];
  return {
    color,
    symbol: way === 'unknown' ? 'circle' : 'triangle',
    symbolRotate: way === 'down' ? 180 : 0,
    itemStyle: { color: alpha(color, 0.7) },
  };
}

const short = (point: Point): string => [...name(point.symbol)].slice(0, 10).join('');

abstract class ScatterPanel extends ChartPanel {
  protected override heavy = true;
  protected abstract readonly xName: string;
  protected abstract readonly yName: string;
  protected abstract points(answer: Answer): Point[];
  protected abstract tell(point: Point): string;
  protected yText = (y: number): string => compact(y);

  constructor(app: App, frame: Frame) {
    super(app, frame);
  }

  protected override pick(symbol: string): void {
    if (this.app.market.known(symbol)) this.app.choose(symbol, false);
  }

  protected override option(answer: Answer): Option {
    const { app } = this;
    const all = this.points(answer).filter(({ x, y }) => x > 0 && y > 0);
    const chosen = app.chosenOrFocus;
    const extremes = new Set(
      [...all]
        .sort((a, b) => b.y - a.y)
        .slice(0, 5)
        .map(({ symbol }) => symbol),
    );
    this.say(`${all.length} symbols`);
    this.summarize(
      [...all]
        .sort((a, b) => b.y - a.y)
        .slice(0, 4)
        .map((point) => this.tell(point))
        .join('; '),
    );
    return {
      grid: { left: 12, right: 24, top: 28, bottom: 22, containLabel: true },
      tooltip: {
        ...this.tooltip(),
        trigger: 'item',
        formatter: ({ data }: { data: { point: Point } }) => this.tell(data.point),
      },
      xAxis: {
        type: 'log',
        ...reach(all.map(({ x }) => x)),
        name: this.xName,
        nameLocation: 'middle',
        nameGap: 20,
        ...this.axis({
          axisLabel: {
            ...this.text(10),
            hideOverlap: true,
            showMinLabel: false,
            showMaxLabel: false,
            formatter: (x: number) => compact(x),
          },
        }),
      },
      yAxis: {
        type: 'log',
        ...reach(all.map(({ y }) => y)),
        name: this.yName,
        ...this.axis({
          nameTextStyle: { ...this.text(10), align: 'left' },
          axisLabel: { ...this.text(10), showMinLabel: false, showMaxLabel: false, formatter: this.yText },
        }),
      },
      series: [
        this.group(
          'up',
          all.filter(({ symbol, change }) => !chosen.includes(symbol) && change !== null && change >= 0),
          extremes,
        ),
        this.group(
          'down',
          all.filter(({ symbol, change }) => !chosen.includes(symbol) && change !== null && change < 0),
          extremes,
        ),
        this.group(
          'unknown',
          all.filter(({ symbol, change }) => !chosen.includes(symbol) && change === null),
          extremes,
        ),
        ...all.filter(({ symbol }) => chosen.includes(symbol)).map((point) => this.one(point)),
      ],
    } as Option;
  }

  /** Points that look the same are one series: styles of single points cost far more than the points. */
  private group(id: Way, points: Point[], named: Set<string>): object {
    return {
      id,
      type: 'scatter',
      symbolSize: 8,
      ...look(id),
      labelLayout: { hideOverlap: true },
      data: points.map((point) => {
        const datum = { name: point.symbol, value: [point.x, point.y], point };
        return named.has(point.symbol)
          ? { ...datum, label: { ...this.text(10), show: true, position: 'top', formatter: short(point) } }
          : datum;
      }),
    };
  }

  private one(point: Point): object {
    const c = colors();
    const its = look(point.change === null ? 'unknown' : point.change < 0 ? 'down' : 'up');
    return {
      id: `chosen ${point.symbol}`,
      type: 'scatter',
      z: 3,
      symbolSize: 13,
      ...its,
      itemStyle: { color: its.color, borderColor: c.text, borderWidth: 1.5 },
      data: [
        {
          name: point.symbol,
          value: [point.x, point.y],
          point,
          label: {
            ...this.text(11),
            show: true,
            position: 'top',
            color: c.text,
            fontWeight: 'bold',
            formatter: short(point),
          },
        },
      ],
    };
  }
}

export class PriceVolumePanel extends ScatterPanel {
  protected override readonly xName = 'Close';
  protected override readonly yName = 'Volume of the newest day';

  constructor(app: App) {
    super(app, { id: 'price-volume', title: 'Price and volume', area: 'area-half' });
  }

  override query(): Query | null {
    const { meta } = this.app;
    return meta?.last_date
      ? { name: 'daily_summary', from: meta.last_date, limit: meta.row_limit, newest: true }
      : null;
  }

  protected override points(answer: Answer): Point[] {
    const get = (name: string): (number | null)[] => column(answer, name) as (number | null)[];
    const [close, volume, change] = [get('close'), get('volume'), get('change_pct')];
    // A date that began meanwhile makes a second row; the last one of a symbol counts.
    const points = new Map<string, Point>();
    (column(answer, 'symbol') as string[]).forEach((symbol, row) =>
      points.set(symbol, { symbol, x: close[row] ?? 0, y: volume[row] ?? 0, change: change[row] ?? null }),
    );
    return [...points.values()];
  }

  protected override tell({ symbol, x, y, change }: Point): string {
    return `${name(symbol)}: close ${price(x)}, volume ${compact(y)}, ${percent(change)}`;
  }
}

export class TrendVolatilityPanel extends ScatterPanel {
  protected override readonly xName = 'Largest moving average';
  protected override readonly yName = 'Largest volatility';
  protected override yText = (y: number): string => (y < 1 ? String(Number(y.toPrecision(2))) : compact(y));

  constructor(app: App) {
    super(app, { id: 'trend-volatility', title: 'Trend and volatility', area: 'area-half' });
  }

  override query(): Query | null {
    const { app } = this;
    return app.meta ? { name: 'trend_volatility', ...app.bounds(), limit: app.meta.row_limit } : null;
  }

  protected override points(answer: Answer): Point[] {
    const get = (name: string): (number | null)[] => column(answer, name) as (number | null)[];
    const [trend, volatility] = [get('max_sma'), get('max_volatility')];
    return (column(answer, 'symbol') as string[]).map((symbol, row) => ({
      symbol,
      x: trend[row] ?? 0,
      y: volatility[row] ?? 0,
      change: null,
    }));
  }

  protected override tell({ symbol, x, y }: Point): string {
    return `${name(symbol)}: moving average up to ${price(x, 2)}, volatility up to ${fixed(y, 4)}`;
  }
}
