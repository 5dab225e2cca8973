// Puts the page together: asks what the server has, builds the panels, opens the stream, keeps history up to date.

import './style/index.css';
import { ApiError, describe, getJson, type Meta } from './api';
import { App } from './app';
import { Header } from './controls/header';
import { notice as wholeNotice } from './empty';
import { footer } from './footer';
import { bindKeys } from './keys';
import { h } from './lib/dom';
import { Live } from './live';
import { Market } from './market';
import type { Panel } from './panel';
import { CandlesPanel } from './panels/candles';
import { SharePanel, VolumePanel } from './panels/compare';
import { CorrelationPanel } from './panels/correlation';
import { FeedPanel } from './panels/feed';
import { HistoryPanel } from './panels/history';
import { AveragesPanel, VolatilityPanel } from './panels/lines';
import { PipelinePanel } from './panels/pipeline';
import { RollingPanel } from './panels/rolling';
import { PriceVolumePanel, TrendVolatilityPanel } from './panels/scatter';
import { DailyPanel, WindowsPanel } from './panels/tables';
import { TicksPanel } from './panels/ticks';
import { TilesPanel } from './panels/tiles';
import { freeze, mark } from './schedule';
import { State } from './state';
import { applyTheme, onSystemTheme } from './theme';

const PANELS = [
  CandlesPanel,
  TilesPanel,
  PipelinePanel,
  FeedPanel,
  HistoryPanel,
  AveragesPanel,
  VolatilityPanel,
  VolumePanel,
  SharePanel,
  CorrelationPanel,
  PriceVolumePanel,
  TrendVolatilityPanel,
  DailyPanel,
  WindowsPanel,
  RollingPanel,
  TicksPanel,
];
/** Beside the prices: tiles, pipeline. */
const FIRST_PANELS = 2;
const PRICES_WITHIN_MS = 1500;
const PAINTED_MS = 50;
const EMPTY_AGAIN_MS = 2000;
const TICK_MS = 250;
/** The newest date, and with it what panels of the newest day ask, moves on. */
const META_EVERY_MS = 60_000;
/** How far below the screen a panel begins to be asked. */
const AHEAD = '160px';

const state = new State();
applyTheme(state.view.theme);
const live = new Live();
const market = new Market();
const app = new App(state, live, market);
const header = new Header(app);
const main = h('main', { id: 'panels', tabindex: -1 });
const panels: Panel[] = [];

function build(): void {
  for (const Kind of PANELS) {
    const panel = new Kind(app);
    panels.push(panel);
    main.append(panel.el);
  }
  const byElement = new Map(panels.map((panel) => [panel.el as Element, panel]));
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        const panel = byElement.get(target);
        if (!panel) continue;
        panel.visible = isIntersecting;
        if (!isIntersecting) continue;
        mark(panel);
        void panel.refresh();
      }
    },
    { rootMargin: AHEAD },
  );
  // Prices first: charts that nobody sees yet must not take their time.
  const [prices, ...others] = panels;
  const first = others.splice(0, FIRST_PANELS);
  for (const panel of [prices!, ...first]) observer.observe(panel.el);
  const rest = (): void => {
    others.forEach((panel) => observer.observe(panel.el));
    first.forEach((panel) => panel.begin());
  };
  void Promise.race([prices!.settled, new Promise((resolve) => setTimeout(resolve, PRICES_WITHIN_MS))]).then(() =>
    setTimeout(rest, PAINTED_MS),
  );
}

function askAll(again: boolean): void {
  for (const panel of panels) void panel.refresh(again);
}

function subscribe(): void {
  live.subscribe(app.chosenOrFocus);
}

function goToHash(): void {
  const panel = panels.find(({ id }) => id === location.hash.slice(1));
  if (!panel) return;
  panel.el.scrollIntoView({ block: 'start' });
  panel.el.focus({ preventScroll: true });
}

async function begin(): Promise<void> {
  const signal = new AbortController().signal;
  for (;;) {
    try {
      const symbols = getJson<{ symbols: string[] }>('/api/symbols', signal, 0);
      symbols.catch(() => {});
      const meta = await getJson<Meta>('/api/meta', signal, 0);
      if (!meta.empty) {
        app.setMeta(meta);
        const known = symbols.then((answer) => market.setSymbols(answer.symbols));
        // A symbol that the URL names needs no list to be shown.
        if (state.view.symbols.length === 0) await known;
        else
          known.then(
            () => header.search.drawChips(),
            () => {},
          );
        return;
      }
      main.replaceChildren(
        wholeNotice('No ticks yet', meta.message ?? 'There is no lake here yet.', meta.command ?? null),
      );
    } catch (cause) {
      const hint = cause instanceof ApiError && cause.hint ? cause.hint : 'This page tries again by itself.';
      main.replaceChildren(
        wholeNotice('The dashboard has no data', cause instanceof ApiError ? cause.message : describe(cause), null),
      );
      main.firstElementChild?.append(h('p', { class: 'muted' }, hint));
    }
    await new Promise((resolve) => setTimeout(resolve, EMPTY_AGAIN_MS));
  }
}

function follow(): void {
  live.on('hello', ({ columns }) => market.hello(columns));
  live.on('tiles', (tiles) => {
    const before = app.focus;
    market.tiles(tiles);
    if (before !== null) return;
    subscribe();
    askAll(false);
  });
  live.on('resync', () => !state.view.paused && askAll(true));
  app.on('interval', () => askAll(false));
  state.on('change', ({ before, view }) => {
    if (before.theme !== view.theme) applyTheme(view.theme);
    if (before.theme !== view.theme || before.zone !== view.zone) for (const panel of panels) panel.restyle();
    if (view.paused && !before.paused) return freeze();
    askAll(before.paused && !view.paused);
    for (const panel of panels) mark(panel, true);
    if (before.symbols.join('\n') !== view.symbols.join('\n')) subscribe();
  });
  onSystemTheme(() => {
    applyTheme(state.view.theme);
    for (const panel of panels) panel.restyle();
  });
  setInterval(() => {
    if (state.view.paused || document.hidden) return;
    getJson<Meta>('/api/meta', AbortSignal.timeout(10_000), 0).then(
      (meta) => !meta.empty && app.setMeta(meta),
      () => {}, // the panels say what is wrong
    );
  }, META_EVERY_MS);
  setInterval(() => {
    if (state.view.paused || document.hidden) return;
    const now = performance.now();
    for (const panel of panels) panel.tick(now);
  }, TICK_MS);
}

document.body.prepend(h('a', { class: 'skip', href: '#panels' }, 'Skip to the panels'), header.el, main, footer());
bindKeys(app, () => header.search.input.focus());
await begin();
main.replaceChildren();
follow();
build();
header.search.drawChips();
live.start();
subscribe();
goToHash();
addEventListener('hashchange', goToHash);
document.documentElement.dataset['ready'] = 'true';
