// The page without panels: there is no table yet, or the server refuses requests. It names the problem and a command
// that solves it.

import { copy } from './dialogs';
import { button, h, icon } from './lib/dom';

export function pageNotice(title: string, text: string, command: string | null): HTMLElement {
  const box = h('section', { class: 'page-notice', role: 'status' }, h('h2', {}, title), h('p', {}, text));
  if (command !== null) {
    box.append(
      h(
        'div',
        { class: 'command' },
        h('code', {}, command),
        button(
          { class: 'button', 'aria-label': 'Copy the command' },
          () => void copy(command, 'Command'),
          icon('copy'),
          'Copy',
        ),
      ),
    );
    box.append(h('p', { class: 'muted' }, 'This page goes on by itself when there are ticks.'));
  }
  return box;
}
