// The menu of a panel: its SQL, its rows as a file, a link to it.

import type { App } from './app';
import { downloadUrl, type Query } from './api';
import { copy, showSql } from './dialogs';
import { button, h, icon } from './lib/dom';
import { popup } from './popup';

interface Subject {
  readonly id: string;
  readonly title: string;
  menuQuery(): Query | null;
}

export function panelMenu(app: App, subject: Subject): HTMLElement {
  const opener = button(
    { class: 'icon-button', 'aria-label': `Menu of ${subject.title}`, title: 'SQL, download, link' },
    () => {},
    icon('more'),
  );
  return popup(opener, 'menu', (close) => {
    const items: HTMLElement[] = [];
    const query = subject.menuQuery();
    if (query) {
      items.push(button({ class: 'item' }, () => (close(), void showSql(subject.title, query)), 'Show SQL'));
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
    url.hash = subject.id;
    items.push(
      button({ class: 'item' }, () => (close(), void copy(url.href, `Link to ${subject.title}`)), 'Copy link'),
    );
    return items;
  });
}
