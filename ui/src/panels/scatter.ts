// Scatter plots of symbols: price against volume of the newest day, trend against volatility of the range. A triangle
// shows the direction of the price; chosen symbols are labelled and larger.

import type { App } from '../app';
import { column, type Answer, type Query } from '../api';
import { compact, fixed, printable, percent, price } from '../lib/format';
import { alpha, colors } from '../theme';
import { ChartPanel, type PanelFrame, type ChartOption } from './chart-panel';

interface SymbolPoint {
  symbol: string;
  x: number;
  y: number;
  change: number | null;
}

/** The bounds of a logarithmic axis: the range of the values with a tenth of a decade on either side. */
function axisBounds(values: number[]): { min?: number; max?: number } {
  if (values.length === 0) return {};
  const round = (x: number): number => Number(x.toPrecision(2));
  return { min: round(Math.min(...values) / 1.25), max: round(Math.max(...values) * 1.25) };
}

type Direction = 'up' | 'down' | 'unknown';

function directionStyle(direction: Direction): {
  color: string;
  symbol: string;
  symbolRotate: number;
  itemStyle: object;
} {
  const c = colors();
  const color = direction === 'unknown' ? c.accent : c[direction];
  return {
    color,
    symbol: direction === 'unknown' ? 'circle' : 'triangle',
    symbolRotate: direction === 'down' ? 180 : 0,
    itemStyle: { color: alpha(color, 0.7) },
  };
}

const shortName = (point: SymbolPoint): string => [...printable(point.symbol)].slice(0, 10).join('');

abstract class ScatterPanel extends ChartPanel {
  protected override scansTable = true;
  protected abstract readonly xName: string;
  protected abstract readonly yName: string;
  protected abstract points(answer: Answer): SymbolPoint[];
  protected abstract pointText(point: SymbolPoint): string;
  protected yText = (y: number): string => compact(y);

  constructor(app: App, frame: PanelFrame) {
    super(app, frame);
  }

  protected override onItemClick(symbol: string): void {
    if (this.app.market.hasSymbol(symbol)) this.app.chooseSymbol(symbol, false);
  }

  protected override option(answer: Answer): ChartOption {
    const { app } = this;
    const all = this.points(answer).filter(({ x, y }) => x > 0 && y > 0);
    const chosen = app.chosenOrFocus;
    const extremes = new Set(
      [...all]
        .sort((a, b) => b.y - a.y)
        .slice(0, 5)
        .map(({ symbol }) => symbol),
    );
    this.setNote(`${all.length} symbols`);
    this.summarize(
      [...all]
        .sort((a, b) => b.y - a.y)
        .slice(0, 4)
        .map((point) => this.pointText(point))
        .join('; '),
    );
    return {
      grid: { left: 12, right: 24, top: 28, bottom: 22, containLabel: true },
      tooltip: {
        ...this.tooltip(),
        trigger: 'item',
        formatter: ({ data }: { data: { point: SymbolPoint } }) => this.pointText(data.point),
      },
      xAxis: {
        type: 'log',
        ...axisBounds(all.map(({ x }) => x)),
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
        ...axisBounds(all.map(({ y }) => y)),
        name: this.yName,
        ...this.axis({
          nameTextStyle: { ...this.text(10), align: 'left' },
          axisLabel: { ...this.text(10), showMinLabel: false, showMaxLabel: false, formatter: this.yText },
        }),
      },
      series: [
        this.directionSeries(
          'up',
          all.filter(({ symbol, change }) => !chosen.includes(symbol) && change !== null && change >= 0),
          extremes,
        ),
        this.directionSeries(
          'down',
          all.filter(({ symbol, change }) => !chosen.includes(symbol) && change !== null && change < 0),
          extremes,
        ),
        this.directionSeries(
          'unknown',
          all.filter(({ symbol, change }) => !chosen.includes(symbol) && change === null),
          extremes,
        ),
        ...all.filter(({ symbol }) => chosen.includes(symbol)).map((point) => this.chosenSeries(point)),
      ],
    } as ChartOption;
  }

  /** Points of one style share a series: a style per point costs far more than the points themselves. */
  private directionSeries(id: Direction, points: SymbolPoint[], named: Set<string>): object {
    return {
      id,
      type: 'scatter',
      symbolSize: 8,
      ...directionStyle(id),
      labelLayout: { hideOverlap: true },
      data: points.map((point) => {
        const datum = { name: point.symbol, value: [point.x, point.y], point };
        return named.has(point.symbol)
          ? { ...datum, label: { ...this.text(10), show: true, position: 'top', formatter: shortName(point) } }
          : datum;
      }),
    };
  }

  private chosenSeries(point: SymbolPoint): object {
    const c = colors();
    const style = directionStyle(point.change === null ? 'unknown' : point.change < 0 ? 'down' : 'up');
    return {
      id: `chosen ${point.symbol}`,
      type: 'scatter',
      z: 3,
      symbolSize: 13,
      ...style,
      itemStyle: { color: style.color, borderColor: c.text, borderWidth: 1.5 },
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
            formatter: shortName(point),
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

  protected override points(answer: Answer): SymbolPoint[] {
    const get = (name: string): (number | null)[] => column(answer, name) as (number | null)[];
    const [close, volume, change] = [get('close'), get('volume'), get('change_pct')];
    // Once a new date has begun, a symbol has a second row; style last row counts.
    const points = new Map<string, SymbolPoint>();
    (column(answer, 'symbol') as string[]).forEach((symbol, row) =>
      points.set(symbol, { symbol, x: close[row] ?? 0, y: volume[row] ?? 0, change: change[row] ?? null }),
    );
    return [...points.values()];
  }

  protected override pointText({ symbol, x, y, change }: SymbolPoint): string {
    return `${printable(symbol)}: close ${price(x)}, volume ${compact(y)}, ${percent(change)}`;
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

  protected override points(answer: Answer): SymbolPoint[] {
    const get = (name: string): (number | null)[] => column(answer, name) as (number | null)[];
    const [trend, volatility] = [get('max_sma'), get('max_volatility')];
    return (column(answer, 'symbol') as string[]).map((symbol, row) => ({
      symbol,
      x: trend[row] ?? 0,
      y: volatility[row] ?? 0,
      change: null,
    }));
  }

  protected override pointText({ symbol, x, y }: SymbolPoint): string {
    return `${printable(symbol)}: moving average up to ${price(x, 2)}, volatility up to ${fixed(y, 4)}`;
  }
}
