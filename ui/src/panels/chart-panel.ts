// The base class of panels with an ECharts chart: loads the library on first use, follows size and theme.

import type { App } from '../app';
import type { Answer } from '../api';
import type { Chart } from '../charts';
import { h, setAttribute } from '../lib/dom';
import { Panel, type PanelFrame } from '../panel';
import { colors, reducedMotion } from '../theme';

export type { PanelFrame } from '../panel';
export type ChartOption = Parameters<Chart['setOption']>[0];

export abstract class ChartPanel extends Panel {
  protected readonly box = h('div', { class: 'chart', role: 'img' });
  private chart: Chart | null = null;

  constructor(app: App, frame: PanelFrame) {
    super(app, frame);
    this.body.append(this.box);
  }

  override async accept(answer: Answer): Promise<void> {
    await super.accept(answer);
    if (this.chart) return;
    const { init } = await import('../charts');
    this.chart = init(this.box);
    new ResizeObserver(() => this.chart?.resize()).observe(this.box);
    this.chart.on('click', (event) => this.onItemClick(event.name));
  }

  /** Called when the user clicks an item of the chart, with the item's name. */
  protected onItemClick(_name: string): void {}

  /** The options of the chart. This method also sets the panel's note and summary. */
  protected abstract option(answer: Answer): ChartOption;

  override draw(): void {
    if (!this.chart || !this.answer) return;
    // Merging options costs half as much as a new chart, and a lazy update splits one long task into two short ones.
    this.chart.setOption(
      { animation: false, ...this.option(this.answer) },
      { replaceMerge: ['series'], lazyUpdate: true, silent: true },
    );
  }

  protected override summarize(text: string): void {
    super.summarize(text);
    setAttribute(this.box, 'aria-label', `${this.title}. ${text}`);
  }

  protected tooltip(): object {
    const c = colors();
    return {
      renderMode: 'richText',
      confine: true,
      backgroundColor: c.raised,
      borderColor: c.line,
      borderWidth: 1,
      padding: [6, 8],
      textStyle: { color: c.text, fontSize: 11, fontFamily: c.font },
      transitionDuration: reducedMotion.matches ? 0 : 0.1,
    };
  }

  protected text(size = 11): object {
    return { color: colors().muted, fontSize: size, fontFamily: colors().font };
  }

  protected axis(extra: object = {}): object {
    const c = colors();
    return {
      axisLine: { lineStyle: { color: c.line } },
      axisTick: { show: false },
      axisLabel: { ...this.text(10), hideOverlap: true },
      splitLine: { lineStyle: { color: c.line, opacity: 0.5 } },
      nameTextStyle: this.text(10),
      ...extra,
    };
  }
}
