// The page where there is no table yet, or where the server refuses: what is wrong and the command that helps.

import { copy } from './dialogs';
import { button, h, icon } from './lib/dom';

export function notice(title: string, text: string, command: string | null): HTMLElement {
  const box = h('section', { class: 'whole', role: 'status' }, h('h2', {}, title), h('p', {}, text));
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
