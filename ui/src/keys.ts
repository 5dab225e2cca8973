// Single-key shortcuts. They do nothing while the focus is in an input or a dialog, or while they are switched off.

import type { App } from './app';
import { keysAreOn, showKeys } from './dialogs';

export function bindKeys(app: App, focusSearch: () => void): void {
  const showNeighbour = (by: number): void => {
    const { symbols } = app.market;
    const at = symbols.indexOf(app.focus ?? '');
    const next = symbols[(at + by + symbols.length) % symbols.length];
    if (next !== undefined) app.chooseSymbol(next, false);
  };
  const actions: Record<string, () => void> = {
    '/': focusSearch,
    p: () => app.state.set({ paused: !app.view.paused }),
    '[': () => showNeighbour(-1),
    ']': () => showNeighbour(1),
    '?': showKeys,
  };
  addEventListener('keydown', (event) => {
    const action = actions[event.key];
    const target = event.target as HTMLElement;
    if (!action || event.ctrlKey || event.altKey || event.metaKey || target.closest('input, select, textarea, dialog'))
      return;
    if (!keysAreOn()) return;
    event.preventDefault();
    action();
  });
}
