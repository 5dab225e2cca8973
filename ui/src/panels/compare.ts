// Comparisons of all symbols over the range: volume as bars, shares of volatility as a pie. Chosen symbols are
// highlighted.

import type { App } from '../app';
import { column, type Answer, type Query } from '../api';
import { compact, fixed, printable } from '../lib/format';
import { alpha, colors } from '../theme';
import { ChartPanel, type ChartOption } from './chart-panel';

const MAX_BARS = 14;
const MAX_SLICES = 9;

function clip(text: string, most = 12): string {
  const letters = [...printable(text)];
  return letters.length > most ? `${letters.slice(0, most - 1).join('')}…` : letters.join('');
}

/** The symbol and the value of each row; rows with an unknown value are left out. */
function pairs(answer: Answer, value: string): { symbol: string; value: number }[] {
  const [symbols, values] = [column(answer, 'symbol') as string[], column(answer, value) as (number | null)[]];
  return symbols.flatMap((symbol, row) => (values[row] == null ? [] : [{ symbol, value: values[row] as number }]));
}

abstract class ComparePanel extends ChartPanel {
  protected override scansTable = true;

  protected override onItemClick(symbol: string): void {
    if (this.app.market.hasSymbol(symbol)) this.app.chooseSymbol(symbol, false);
  }

  protected rangeQuery(name: string): Query | null {
    const { app } = this;
    return app.meta ? { name, ...app.bounds(), limit: app.meta.row_limit } : null;
  }
}

export class VolumePanel extends ComparePanel {
  constructor(app: App) {
    super(app, { id: 'volume', title: 'Volume by symbol', area: 'area-third' });
  }

  override query(): Query | null {
    return this.rangeQuery('volume_by_symbol');
  }

  protected override option(answer: Answer): ChartOption {
    const c = colors();
    const { view } = this.app;
    const all = pairs(answer, 'volume');
    const top = all.slice(0, MAX_BARS);
    for (const chosen of all.slice(MAX_BARS)) if (view.symbols.includes(chosen.symbol)) top.push(chosen);
    const total = all.reduce((sum, { value }) => sum + value, 0);
    this.setNote(`${top.length} of ${all.length}`);
    this.summarize(
      top
        .slice(0, 5)
        .map(({ symbol, value }) => `${printable(symbol)} ${compact(value)}`)
        .join(', '),
    );
    return {
      grid: { left: 8, right: 52, top: 4, bottom: 4, containLabel: true },
      tooltip: {
        ...this.tooltip(),
        trigger: 'item',
        formatter: ({ name: symbol, value }: { name: string; value: number }) =>
          `${clip(symbol, 24)}  ${compact(value)}  (${fixed((value / total) * 100, 1)}%)`,
      },
      xAxis: { type: 'value', show: false },
      yAxis: {
        type: 'category',
        inverse: true,
        data: top.map(({ symbol }) => symbol),
        ...this.axis({
          axisLine: { show: false },
          axisLabel: { ...this.text(11), formatter: (symbol: string) => clip(symbol) },
        }),
      },
      series: [
        {
          type: 'bar',
          barCategoryGap: '28%',
          data: top.map(({ symbol, value }) => ({
            name: symbol,
            value,
            itemStyle: { color: view.symbols.includes(symbol) ? c.down : alpha(c.accent, 0.75), borderRadius: 2 },
          })),
          label: {
            show: true,
            position: 'right',
            ...this.text(10),
            color: c.text,
            formatter: ({ value }: { value: number }) => compact(value),
          },
        },
      ],
    } as ChartOption;
  }
}

export class SharePanel extends ComparePanel {
  constructor(app: App) {
    super(app, { id: 'share', title: 'Volatility share', area: 'area-third' });
  }

  override query(): Query | null {
    return this.rangeQuery('volatility_share');
  }

  protected override option(answer: Answer): ChartOption {
    const c = colors();
    const all = pairs(answer, 'share_pct');
    const top = all.slice(0, MAX_SLICES);
    const rest = all.slice(MAX_SLICES).reduce((sum, { value }) => sum + value, 0);
    const slices = top.map(({ symbol, value }, at) => ({
      name: symbol,
      value,
      itemStyle: { color: alpha(c.series[at % c.series.length]!, at < c.series.length ? 0.9 : 0.55) },
    }));
    if (rest > 0) slices.push({ name: 'others', value: rest, itemStyle: { color: c.faint } });
    this.setNote(`${top.length} of ${all.length}`);
    this.summarize(
      top
        .slice(0, 5)
        .map(({ symbol, value }) => `${printable(symbol)} ${fixed(value, 1)}%`)
        .join(', '),
    );
    return {
      tooltip: {
        ...this.tooltip(),
        trigger: 'item',
        formatter: ({ name: symbol, value }: { name: string; value: number }) =>
          `${clip(symbol, 24)}  ${fixed(value, 2)}% of all volatility`,
      },
      series: [
        {
          type: 'pie',
          radius: this.box.clientWidth < 400 ? ['32%', '52%'] : ['44%', '70%'],
          startAngle: 90,
          data: slices,
          itemStyle: { borderColor: c.panel, borderWidth: 2 },
          label: {
            ...this.text(11),
            color: c.text,
            formatter: ({ name: symbol, value }: { name: string; value: number }) =>
              `${clip(symbol, 9)} ${fixed(value, 1)}%`,
            overflow: 'none',
          },
          labelLine: { length: 8, length2: 8, lineStyle: { color: c.faint } },
          avoidLabelOverlap: true,
        },
      ],
    } as ChartOption;
  }
}
