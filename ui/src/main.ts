// The entry point: waits until the server has a table, builds the panels, opens the stream and refreshes the panels.

import './style/index.css';
import { ApiError, describeError, getJson, type Meta } from './api';
import { App } from './app';
import { Header } from './controls/header';
import { footer } from './footer';
import { bindKeys } from './keys';
import { h } from './lib/dom';
import { LiveStream } from './live';
import { MarketData } from './market';
import { pageNotice } from './page-notice';
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
import { dropLiveDraws, scheduleDraw } from './schedule';
import { ViewState } from './state';
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
/** So many panels after the price panel are loaded before all others: the tiles and the pipeline. */
const FIRST_PANELS = 2;
const PRICES_WITHIN_MS = 1500;
const PAINT_MS = 50;
const RETRY_MS = 2000;
const REFRESH_CHECK_MS = 250;
/** The newest date moves on, and with it what the panels of the newest day query. */
const META_EVERY_MS = 60_000;
/** How far below the screen a panel starts to load. */
const PRELOAD_MARGIN = '160px';

const state = new ViewState();
applyTheme(state.view.theme);
const live = new LiveStream();
const market = new MarketData();
const app = new App(state, live, market);
const header = new Header(app);
const main = h('main', { id: 'panels', tabindex: -1 });
const panels: Panel[] = [];

function buildPanels(): void {
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
        scheduleDraw(panel);
        void panel.refresh();
      }
    },
    { rootMargin: PRELOAD_MARGIN },
  );
  // Prices load first: charts below the screen must not delay them.
  const [prices, ...others] = panels;
  const first = others.splice(0, FIRST_PANELS);
  for (const panel of [prices!, ...first]) observer.observe(panel.el);
  const rest = (): void => {
    others.forEach((panel) => observer.observe(panel.el));
    first.forEach((panel) => panel.onPricesShown());
  };
  void Promise.race([prices!.settled, new Promise((resolve) => setTimeout(resolve, PRICES_WITHIN_MS))]).then(() =>
    setTimeout(rest, PAINT_MS),
  );
}

function refreshPanels(force: boolean): void {
  for (const panel of panels) void panel.refresh(force);
}

function subscribeToBars(): void {
  live.subscribe(app.chosenOrFocus);
}

function goToHash(): void {
  const panel = panels.find(({ id }) => id === location.hash.slice(1));
  if (!panel) return;
  panel.el.scrollIntoView({ block: 'start' });
  panel.el.focus({ preventScroll: true });
}

async function waitForLake(): Promise<void> {
  const signal = new AbortController().signal;
  for (;;) {
    try {
      const symbols = getJson<{ symbols: string[] }>('/api/symbols', signal, 0);
      symbols.catch(() => {});
      const meta = await getJson<Meta>('/api/meta', signal, 0);
      if (!meta.empty) {
        app.setMeta(meta);
        const known = symbols.then((answer) => market.setSymbols(answer.symbols));
        // A symbol from the URL can be shown before the list of symbols has arrived.
        if (state.view.symbols.length === 0) await known;
        else
          known.then(
            () => header.search.drawChips(),
            () => {},
          );
        return;
      }
      main.replaceChildren(
        pageNotice('No ticks yet', meta.message ?? 'There is no lake here yet.', meta.command ?? null),
      );
    } catch (cause) {
      const hint = cause instanceof ApiError && cause.hint ? cause.hint : 'This page tries again by itself.';
      main.replaceChildren(
        pageNotice('The dashboard has no data', cause instanceof ApiError ? cause.message : describeError(cause), null),
      );
      main.firstElementChild?.append(h('p', { class: 'muted' }, hint));
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

function followUpdates(): void {
  live.on('hello', ({ columns }) => market.setColumns(columns));
  live.on('tiles', (tiles) => {
    const before = app.focus;
    market.applyTiles(tiles);
    if (before !== null) return;
    subscribeToBars();
    refreshPanels(false);
  });
  live.on('resync', () => !state.view.paused && refreshPanels(true));
  app.on('interval', () => refreshPanels(false));
  state.on('change', ({ before, view }) => {
    if (before.theme !== view.theme) applyTheme(view.theme);
    if (before.theme !== view.theme || before.zone !== view.zone) for (const panel of panels) panel.restyle();
    if (view.paused && !before.paused) return dropLiveDraws();
    refreshPanels(before.paused && !view.paused);
    for (const panel of panels) scheduleDraw(panel, true);
    if (before.symbols.join('\n') !== view.symbols.join('\n')) subscribeToBars();
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
    for (const panel of panels) panel.refreshIfDue(now);
  }, REFRESH_CHECK_MS);
}

document.body.prepend(h('a', { class: 'skip', href: '#panels' }, 'Skip to the panels'), header.el, main, footer());
bindKeys(app, () => header.search.input.focus());
await waitForLake();
main.replaceChildren();
followUpdates();
buildPanels();
header.search.drawChips();
live.start();
subscribeToBars();
goToHash();
addEventListener('hashchange', goToHash);
document.documentElement.dataset['ready'] = 'true';
