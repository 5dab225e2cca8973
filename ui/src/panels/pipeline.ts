// The state of the pipeline, once a second: rate, lag, last commit, errors.

import type { App } from '../app';
import { h, setText, toggleClass } from '../lib/dom';
import { compact, count, duration } from '../lib/format';
import { clock } from '../lib/time';
import type { PipelineState } from '../live';
import { Panel } from '../panel';
import { scheduleDraw } from '../schedule';
import { Sparkline } from './spark';

const RATE_SAMPLES = 120;
const LAG_WARNS_S = 10;

type CellText = { text: string; warn?: boolean };

const CELLS: { title: string; cellText: (p: PipelineState, app: App) => CellText; live?: boolean }[] = [
  {
    title: 'Rate',
    cellText: (p) => ({ text: p.rate === null ? '–' : `${compact(Math.round(p.rate))}/s` }),
    live: true,
  },
  {
    title: 'Lag',
    cellText: (p) => ({ text: p.lag_messages === null ? '–' : `${compact(p.lag_messages)} msgs` }),
    live: true,
  },
  {
    title: 'Lag in time',
    cellText: (p) => ({ text: duration(p.lag_seconds), warn: (p.lag_seconds ?? 0) > LAG_WARNS_S }),
    live: true,
  },
  { title: 'Newest tick', cellText: (p, app) => ({ text: p.newest_ts === null ? '–' : clock(p.newest_ts, app.zone) }) },
  {
    title: 'Last commit',
    cellText: (p) => ({ text: p.last_commit === null ? '–' : `${duration((Date.now() - p.last_commit) / 1000)} ago` }),
  },
  { title: 'Table version', cellText: (p) => ({ text: count(p.table_version) }) },
  { title: 'Rows', cellText: (p) => ({ text: compact(p.rows) }) },
  { title: 'Files', cellText: (p) => ({ text: count(p.files) }) },
  { title: 'Dead letters', cellText: (p) => ({ text: count(p.dead_letters), warn: (p.dead_letters ?? 0) > 0 }) },
  { title: 'Late ticks', cellText: (p) => ({ text: count(p.late) }), live: true },
  { title: 'Scattered', cellText: (p) => ({ text: count(p.scattered), warn: (p.scattered ?? 0) > 0 }), live: true },
  { title: 'Events', cellText: (p) => ({ text: compact(p.events) }), live: true },
  { title: 'Tabs', cellText: (p) => ({ text: count(p.tabs) }) },
];

export class PipelinePanel extends Panel {
  override paceMs = 250;
  private readonly values: HTMLElement[] = [];
  private readonly spark = new Sparkline('rate-spark');
  private readonly errorText = h('p', { class: 'pipeline-error', role: 'status' });
  private rates: number[] = [];

  constructor(app: App) {
    super(app, { id: 'pipeline', title: 'Pipeline', area: 'area-full' });
    const list = h('dl', { class: 'cells' });
    CELLS.forEach((cell, at) => {
      const value = h('dd', {}, '–');
      this.values.push(value);
      list.append(h('div', { class: 'stat' }, h('dt', {}, cell.title), value, at === 0 ? this.spark.el : null));
    });
    this.errorText.hidden = true;
    this.body.append(list, this.errorText);
    app.live.on('pipeline', (pipeline) => {
      if (pipeline.rate !== null) this.rates = [...this.rates, pipeline.rate].slice(-RATE_SAMPLES);
      if (!app.view.paused) scheduleDraw(this);
    });
  }

  override draw(): void {
    const { pipeline } = this.app.live;
    if (!pipeline) return;
    CELLS.forEach((cell, at) => {
      const value = this.values[at]!;
      const { text, warn } =
        cell.live && !this.app.isLive ? { text: '–' } : { warn: false, ...cell.cellText(pipeline, this.app) };
      setText(value, warn ? `⚠ ${text}` : text);
      toggleClass(value, 'warn', warn === true);
    });
    this.spark.draw(this.rates, 'flat');
    this.errorText.hidden = pipeline.trouble === null;
    setText(this.errorText, pipeline.trouble === null ? '' : `⚠ ${pipeline.trouble}`);
    this.summarize(CELLS.map((cell, at) => `${cell.title} ${this.values[at]!.textContent}`).join(', '));
  }
}
