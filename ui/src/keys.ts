// Single keys for what people do all day; never while they type, and only while they are switched on.

import type { App } from './app';
import { keysAreOn, showKeys } from './dialogs';

export function bindKeys(app: App, focusSearch: () => void): void {
  const walk = (by: number): void => {
    const { symbols } = app.market;
    const at = symbols.indexOf(app.focus ?? '');
    const next = symbols[(at + by + symbols.length) % symbols.length];
    if (next !== undefined) app.choose(next, false);
  };
  const acts: Record<string, () => void> = {
    '/': focusSearch,
    p: () => app.state.set({ paused: !app.view.paused }),
    '[': () => walk(-1),
    ']': () => walk(1),
    '?': showKeys,
  };
  addEventListener('keydown', (event) => {
    const act = acts[event.key];
    const target = event.target as HTMLElement;
    if (!act || event.ctrlKey || event.altKey || event.metaKey || target.closest('input, select, textarea, dialog'))
      return;
    if (!keysAreOn()) return;
    event.preventDefault();
    act();
  });
}
