// Comparisons of all symbols over the range: volume as bars, shares of volatility as a pie. Chosen symbols stand out.

import type { App } from '../app';
import { column, type Answer, type Query } from '../api';
import { compact, fixed, name } from '../lib/format';
import { alpha, colors } from '../theme';
import { ChartPanel, type Option } from './chart-panel';

const MOST_BARS = 14;
const MOST_SLICES = 9;

function clip(text: string, most = 12): string {
  const letters = [...name(text)];
  return letters.length > most ? `${letters.slice(0, most - 1).join('')}…` : letters.join('');
}

/** Symbol and value of each row, without unknown ones. */
function pairs(answer: Answer, value: string): { symbol: string; value: number }[] {
  const [symbols, values] = [column(answer, 'symbol') as string[], column(answer, value) as (number | null)[]];
  return symbols.flatMap((symbol, row) => (values[row] == null ? [] : [{ symbol, value: values[row] as number }]));
}

abstract class ComparePanel extends ChartPanel {
  protected override heavy = true;

  protected override pick(symbol: string): void {
    if (this.app.market.known(symbol)) this.app.choose(symbol, false);
  }

  protected of(name: string): Query | null {
    const { app } = this;
    return app.meta ? { name, ...app.bounds(), limit: app.meta.row_limit } : null;
  }
}

export class VolumePanel extends ComparePanel {
  constructor(app: App) {
    super(app, { id: 'volume', title: 'Volume by symbol', area: 'area-third' });
  }

  override query(): Query | null {
    return this.of('volume_by_symbol');
  }

  protected override option(answer: Answer): Option {
    const c = colors();
    const { view } = this.app;
    const all = pairs(answer, 'volume');
    const top = all.slice(0, MOST_BARS);
    for (const chosen of all.slice(MOST_BARS)) if (view.symbols.includes(chosen.symbol)) top.push(chosen);
    const total = all.reduce((sum, { value }) => sum + value, 0);
    this.say(`${top.length} of ${all.length}`);
    this.summarize(
      top
        .slice(0, 5)
        .map(({ symbol, value }) => `${name(symbol)} ${compact(value)}`)
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
    } as Option;
  }
}

export class SharePanel extends ComparePanel {
  constructor(app: App) {
    super(app, { id: 'share', title: 'Volatility share', area: 'area-third' });
  }

  override query(): Query | null {
    return this.of('volatility_share');
  }

  protected override option(answer: Answer): Option {
    const c = colors();
    const all = pairs(answer, 'share_pct');
    const top = all.slice(0, MOST_SLICES);
    const rest = all.slice(MOST_SLICES).reduce((sum, { value }) => sum + value, 0);
    const slices = top.map(({ symbol, value }, at) => ({
      name: symbol,
      value,
      itemStyle: { color: alpha(c.series[at % c.series.length]!, at < c.series.length ? 0.9 : 0.55) },
    }));
    if (rest > 0) slices.push({ name: 'others', value: rest, itemStyle: { color: c.faint } });
    this.say(`${top.length} of ${all.length}`);
    this.summarize(
      top
        .slice(0, 5)
        .map(({ symbol, value }) => `${name(symbol)} ${fixed(value, 1)}%`)
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
    } as Option;
  }
}
