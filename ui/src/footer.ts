// The footer of every page: signals aren't investment advice, and the notices that the chart libraries require.

import { h } from './lib/dom';

export function footer(): HTMLElement {
  return h(
    'footer',
    { class: 'foot' },
    h('p', {}, h('strong', {}, 'Signals, not investment advice.'), ' They are what SQL says of past ticks.'),
    h(
      'p',
      {},
      'Price charts: TradingView Lightweight Charts™, Copyright (c) 2025 TradingView, Inc. ',
      h('a', { href: 'https://www.tradingview.com/', rel: 'noreferrer' }, 'https://www.tradingview.com/'),
      '. Other charts: Apache ECharts. ',
      h('a', { href: '/assets/licenses.txt' }, 'Licences'),
    ),
  );
}
