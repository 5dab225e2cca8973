// The key to the marks on the price chart, with their counts where not all of them are drawn.

import { h, setText } from '../lib/dom';
import { count } from '../lib/format';
import type { DrawnMarks } from './markers';

type Kind = keyof DrawnMarks['counts'];

export class MarkKey {
  readonly el = h('p', { class: 'key' });
  private readonly notes = new Map<Kind, HTMLElement>();

  constructor() {
    this.add(
      'crosses',
      [
        ['▲', 'up'],
        ['▼', 'down'],
      ],
      'golden, death cross',
    );
    this.add('signals', [['●', 'muted']], 'Buy, Sell');
    this.add('anomalies', [['■', 'warn']], 'anomaly or alert');
    this.el.append(h('span', {}, 'hollow: rising, filled: falling'), h('strong', {}, 'Signals, not investment advice'));
  }

  private add(kind: Kind, signs: [string, string][], text: string): void {
    const note = h('span', {});
    this.notes.set(kind, note);
    this.el.append(
      h(
        'span',
        {},
        ...signs.map(([sign, tone]) => h('span', { class: tone, 'aria-hidden': 'true' }, `${sign} `)),
        text,
        note,
      ),
    );
  }

  draw(counts: DrawnMarks['counts']): void {
    for (const [kind, note] of this.notes) {
      const { all, bars, drawn } = counts[kind];
      setText(
        note,
        all === 0
          ? ''
          : drawn < bars
            ? `: ${count(all)} in ${count(bars)} bars, ${count(drawn)} shown`
            : `: ${count(all)}`,
      );
    }
  }
}
