// A native select that shows and changes one setting of the view.

import { h } from '../lib/dom';
import type { ViewState } from '../state';

export function select<T extends string>(
  label: string,
  values: readonly T[],
  titles: Partial<Record<T, string>>,
  get: () => T,
  set: (value: T) => void,
  state: ViewState,
): HTMLSelectElement {
  const element = h('select', { 'aria-label': label, title: label });
  for (const value of values) element.append(h('option', { value }, titles[value] ?? value));
  const showView = (): void => {
    if (element.value !== get()) element.value = get();
  };
  element.addEventListener('change', () => set(element.value as T));
  state.on('change', showView);
  showView();
  return element;
}
