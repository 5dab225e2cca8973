// The header of the page: the connection state, the newest tick and the controls of the view.

import type { App } from '../app';
import { showKeys } from '../dialogs';
import { button, h, icon, setText, toggleClass } from '../lib/dom';
import { compact, printable } from '../lib/format';
import * as time from '../lib/time';
import { popup } from '../popup';
import { INDICATORS, REFRESHES, THEMES, ZONES, type Indicator } from '../state';
import { rangeControl } from './range';
import { select } from './select';
import { SymbolSearch } from './symbols';

const INDICATOR_TITLES: Record<Indicator, string> = {
  ma5: 'MA 5',
  ma10: 'MA 10',
  ma20: 'MA 20',
  sma9: 'SMA 9 (fast)',
  sma21: 'SMA 21 (slow)',
  volume: 'Volume pane',
  crosses: 'Golden and death crosses',
  signals: 'Buy and Sell signals',
  anomalies: 'Anomalies and alerts',
};

export class Header {
  readonly el: HTMLElement;
  readonly search: SymbolSearch;
  private readonly badge = h('span', { class: 'badge', role: 'status' });
  private readonly about = h('span', { class: 'about' });
  private readonly clock = h('span', { class: 'clock' });
  private readonly pauseButton: HTMLButtonElement;

  constructor(private readonly app: App) {
    const { state } = app;
    this.search = new SymbolSearch(app);
    const interval = select(
      'Interval of bars',
      ['auto', ...time.INTERVALS] as const,
      { auto: 'Interval auto' },
      () => app.view.interval,
      (value) => state.set({ interval: value }),
      state,
    );
    const zone = select(
      'Time zone',
      ZONES,
      { exchange: 'Exchange time', utc: 'UTC', local: 'Local time' },
      () => app.view.zone,
      (value) => state.set({ zone: value }),
      state,
    );
    const theme = select(
      'Theme',
      THEMES,
      { auto: 'Theme auto', dark: 'Dark', light: 'Light' },
      () => app.view.theme,
      (value) => state.set({ theme: value }),
      state,
    );
    const refresh = select(
      'Refresh of history',
      REFRESHES,
      Object.fromEntries(
        REFRESHES.map((every) => [every, every === 'off' ? 'No refresh' : `Every ${every.replace('s', ' s')}`]),
      ),
      () => app.view.refresh,
      (value) => state.set({ refresh: value }),
      state,
    );
    this.pauseButton = button({ class: 'button', 'aria-pressed': 'false' }, () =>
      state.set({ paused: !app.view.paused }),
    );
    const keys = button(
      { class: 'icon-button', 'aria-label': 'Keyboard', title: 'Keyboard' },
      showKeys,
      icon('keyboard'),
    );
    this.el = h(
      'header',
      { class: 'top' },
      h('div', { class: 'title-row' }, h('h1', {}, 'tickhouse'), this.badge, this.about, this.clock, keys),
      h(
        'div',
        { class: 'controls', role: 'group', 'aria-label': 'Controls' },
        this.search.el,
        rangeControl(app),
        interval,
        this.indicators(),
        zone,
        refresh,
        theme,
        this.pauseButton,
      ),
    );
    state.on('change', () => this.draw());
    app.on('meta', () => this.draw());
    app.live.on('connection', () => this.draw());
    app.live.on('pipeline', () => this.drawClock());
    this.draw();
  }

  private indicators(): HTMLElement {
    const opener = button({ class: 'button' }, () => {}, 'Indicators');
    return popup(opener, 'form', () =>
      INDICATORS.map((indicator) => {
        const box = h('input', { type: 'checkbox', checked: this.app.view.show.includes(indicator), name: indicator });
        box.addEventListener('change', () => {
          const { show } = this.app.view;
          this.app.state.set({
            show: INDICATORS.filter((one) => (one === indicator ? box.checked : show.includes(one))),
          });
        });
        return h('label', { class: 'check' }, box, INDICATOR_TITLES[indicator]);
      }),
    );
  }

  draw(): void {
    const { live, meta, view, zone } = this.app;
    const since = time.clock(live.lastMessageAt, zone);
    const texts: Record<typeof live.connection, string> = {
      connecting: 'Connecting',
      live: 'Live',
      degraded: 'Error: see Pipeline',
      snapshot: `Snapshot ${live.pipeline?.table_version ?? meta?.table_version ?? ''}`,
      reconnecting: `Reconnecting, stale since ${since}`,
      stale: `Stale since ${since}`,
      failed: `Not connected: ${live.cause ?? 'unknown cause'}`,
    };
    setText(this.badge, view.paused ? `Paused, ${texts[live.connection].toLowerCase()}` : texts[live.connection]);
    this.badge.dataset['connection'] = view.paused ? 'paused' : live.connection;
    toggleClass(
      document.body,
      'is-stale',
      live.connection === 'stale' || live.connection === 'reconnecting' || live.connection === 'failed',
    );
    this.pauseButton.setAttribute('aria-pressed', String(view.paused));
    this.pauseButton.replaceChildren(icon(view.paused ? 'play' : 'pause'), view.paused ? 'Go on' : 'Pause');
    this.drawClock();
  }

  private drawClock(): void {
    const { live, meta, view, zone } = this.app;
    if (!meta || view.paused) return;
    const rows = live.pipeline?.rows ?? meta.rows;
    setText(
      this.about,
      [meta.topic === null ? null : printable(meta.topic), `${compact(rows)} rows`].filter(Boolean).join(' · '),
    );
    this.about.title = printable(meta.table);
    setText(
      this.clock,
      `${time.dateTime(this.app.newest, zone)} ${zone === 'UTC' ? 'UTC' : zone.split('/').at(-1)!.replace('_', ' ')}`,
    );
    this.clock.title = `Newest tick; times are of ${zone}`;
  }
}
