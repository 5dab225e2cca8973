// The menu of a panel: show its SQL, download its rows, copy a link to it.

import type { App } from './app';
import { downloadUrl, type Query } from './api';
import { copy, showSql } from './dialogs';
import { button, h, icon } from './lib/dom';
import { popup } from './popup';

interface MenuOwner {
  readonly id: string;
  readonly title: string;
  menuQuery(): Query | null;
}

export function panelMenu(app: App, owner: MenuOwner): HTMLElement {
  const opener = button(
    { class: 'icon-button', 'aria-label': `Menu of ${owner.title}`, title: 'SQL, download, link' },
    () => {},
    icon('more'),
  );
  return popup(opener, 'menu', (close) => {
    const items: HTMLElement[] = [];
    const query = owner.menuQuery();
    if (query) {
      items.push(button({ class: 'item' }, () => (close(), void showSql(owner.title, query)), 'Show SQL'));
      const download = (format: 'csv' | 'parquet', title: string): HTMLElement => {
        const link = h(
          'a',
          { class: 'item', href: downloadUrl(query, format, app.zone), download: `${query.name}.${format}` },
          title,
        );
        link.addEventListener('click', close);
        return link;
      };
      items.push(download('csv', 'Download CSV'), download('parquet', 'Download Parquet'));
    }
    const url = new URL(location.href);
    url.hash = owner.id;
    items.push(button({ class: 'item' }, () => (close(), void copy(url.href, `Link to ${owner.title}`)), 'Copy link'));
    return items;
  });
}
