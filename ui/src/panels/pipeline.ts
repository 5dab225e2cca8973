// The state of the pipeline, once a second: how fast, how far behind, when it last committed, what went wrong.

import type { App } from '../app';
import { h, setText, toggle } from '../lib/dom';
import { compact, count, duration } from '../lib/format';
import { clock } from '../lib/time';
import type { Pipeline } from '../live';
import { Panel } from '../panel';
import { mark } from '../schedule';
import { Spark } from './spark';

const RATES = 120;
const LAG_WARNS_S = 10;

type Look = { text: string; warn?: boolean };

const CELLS: { title: string; look: (p: Pipeline, app: App) => Look; live?: boolean }[] = [
  { title: 'Rate', look: (p) => ({ text: p.rate === null ? '–' : `${compact(Math.round(p.rate))}/s` }), live: true },
  {
    title: 'Lag',
    look: (p) => ({ text: p.lag_messages === null ? '–' : `${compact(p.lag_messages)} msgs` }),
    live: true,
  },
  {
    title: 'Lag in time',
    look: (p) => ({ text: duration(p.lag_seconds), warn: (p.lag_seconds ?? 0) > LAG_WARNS_S }),
    live: true,
  },
  { title: 'Newest tick', look: (p, app) => ({ text: p.newest_ts === null ? '–' : clock(p.newest_ts, app.zone) }) },
  {
    title: 'Last commit',
    look: (p) => ({ text: p.last_commit === null ? '–' : `${duration((Date.now() - p.last_commit) / 1000)} ago` }),
  },
  { title: 'Table version', look: (p) => ({ text: count(p.table_version) }) },
  { title: 'Rows', look: (p) => ({ text: compact(p.rows) }) },
  { title: 'Files', look: (p) => ({ text: count(p.files) }) },
  { title: 'Dead letters', look: (p) => ({ text: count(p.dead_letters), warn: (p.dead_letters ?? 0) > 0 }) },
  { title: 'Late ticks', look: (p) => ({ text: count(p.late) }), live: true },
  { title: 'Scattered', look: (p) => ({ text: count(p.scattered), warn: (p.scattered ?? 0) > 0 }), live: true },
  { title: 'Events', look: (p) => ({ text: compact(p.events) }), live: true },
  { title: 'Tabs', look: (p) => ({ text: count(p.tabs) }) },
];

export class PipelinePanel extends Panel {
  override pace = 250;
  private readonly values: HTMLElement[] = [];
  private readonly spark = new Spark('rate-spark');
  private readonly trouble = h('p', { class: 'trouble', role: 'status' });
  private rates: number[] = [];

  constructor(app: App) {
    super(app, { id: 'pipeline', title: 'Pipeline', area: 'area-full' });
    const list = h('dl', { class: 'cells' });
    CELLS.forEach((cell, at) => {
      const value = h('dd', {}, '–');
      this.values.push(value);
      list.append(h('div', { class: 'stat' }, h('dt', {}, cell.title), value, at === 0 ? this.spark.el : null));
    });
    this.trouble.hidden = true;
    this.body.append(list, this.trouble);
    app.live.on('pipeline', (pipeline) => {
      if (pipeline.rate !== null) this.rates = [...this.rates, pipeline.rate].slice(-RATES);
      if (!app.view.paused) mark(this);
    });
  }

  override draw(): void {
    const { pipeline } = this.app.live;
    if (!pipeline) return;
    CELLS.forEach((cell, at) => {
      const value = this.values[at]!;
      const { text, warn } =
        cell.live && !this.app.isLive ? { text: '–' } : { warn: false, ...cell.look(pipeline, this.app) };
      setText(value, warn ? `⚠ ${text}` : text);
      toggle(value, 'warn', warn === true);
    });
    this.spark.draw(this.rates, 'flat');
    this.trouble.hidden = pipeline.trouble === null;
    setText(this.trouble, pipeline.trouble === null ? '' : `⚠ ${pipeline.trouble}`);
    this.summarize(CELLS.map((cell, at) => `${cell.title} ${this.values[at]!.textContent}`).join(', '));
  }
}
