// The chosen symbols as chips, and the combo box that adds symbols. Panels of a single symbol show the first chip.

import type { App } from '../app';
import { button, h, icon } from '../lib/dom';
import { printable } from '../lib/format';
import { MAX_SYMBOLS } from '../state';

const MAX_OPTIONS = 60;

export class SymbolSearch {
  readonly el = h('div', { class: 'symbols' });
  private readonly chips = h('ul', { class: 'chips', 'aria-label': 'Chosen symbols' });
  readonly input = h('input', {
    type: 'text',
    role: 'combobox',
    placeholder: 'Search symbols',
    autocomplete: 'off',
    spellcheck: 'false',
    'aria-label': 'Search symbols',
    'aria-expanded': 'false',
    'aria-controls': 'symbol-options',
    'aria-autocomplete': 'list',
  });
  private readonly list = h('div', {
    id: 'symbol-options',
    class: 'options',
    role: 'listbox',
    tabindex: -1,
    'aria-label': 'Symbols found',
    'aria-multiselectable': 'true',
  });
  private matches: string[] = [];
  private active = -1;

  constructor(private readonly app: App) {
    this.list.hidden = true;
    this.el.append(h('div', { class: 'search' }, icon('search'), this.input, this.list), this.chips);
    this.input.addEventListener('input', () => this.open());
    this.input.addEventListener('focus', () => this.open());
    this.input.addEventListener('blur', () => this.close());
    this.input.addEventListener('keydown', (event) => this.onKey(event));
    this.list.addEventListener('pointerdown', (event) => {
      event.preventDefault();
      const option = (event.target as Element).closest<HTMLElement>('.option');
      if (option) this.addSymbol(this.matches[Number(option.dataset['at'])]);
    });
    app.state.on('change', () => this.drawChips());
    this.drawChips();
  }

  drawChips(): void {
    const { symbols } = this.app.view;
    const chips = symbols.map((symbol, at) => {
      const known = this.app.market.symbols.length === 0 || this.app.market.hasSymbol(symbol);
      const shown = printable(symbol);
      const show = button(
        {
          class: 'chip-name',
          title: known ? `Show ${shown}` : 'This symbol is not in the table',
          'aria-current': at === 0 ? 'true' : null,
        },
        () => this.app.state.set({ symbols: [symbol, ...symbols.filter((other) => other !== symbol)] }),
        known ? shown : `${shown} ?`,
      );
      const remove = button(
        { class: 'chip-remove', 'aria-label': `Remove ${shown}` },
        () => {
          this.app.chooseSymbol(symbol, true);
          this.input.focus();
        },
        icon('close'),
      );
      return h('li', { class: at === 0 ? 'chip first' : 'chip' }, show, remove);
    });
    if (symbols.length === 0) chips.push(h('li', { class: 'chip none' }, 'all symbols'));
    this.chips.replaceChildren(...chips);
  }

  /** The matching symbols: those that start with the text come before those that contain it. */
  private search(): string[] {
    const text = this.input.value.trim().toLowerCase();
    const [begin, within]: [string[], string[]] = [[], []];
    for (const symbol of this.app.market.symbols) {
      const at = symbol.toLowerCase().indexOf(text);
      if (at === 0) begin.push(symbol);
      else if (at > 0) within.push(symbol);
      if (begin.length >= MAX_OPTIONS) break;
    }
    return [...begin, ...within].slice(0, MAX_OPTIONS);
  }

  private open(): void {
    this.matches = this.search();
    this.active = this.input.value.trim() === '' ? -1 : 0;
    this.list.hidden = false;
    this.input.setAttribute('aria-expanded', 'true');
    this.drawOptions();
  }

  private close(): void {
    this.list.hidden = true;
    this.input.setAttribute('aria-expanded', 'false');
    this.input.removeAttribute('aria-activedescendant');
  }

  private drawOptions(): void {
    const { symbols } = this.app.view;
    const options = this.matches.map((symbol, at) => {
      const chosen = symbols.includes(symbol);
      const option = h(
        'div',
        {
          class: at === this.active ? 'option active' : 'option',
          role: 'option',
          id: `symbol-option-${at}`,
          'aria-selected': String(chosen),
          'data-at': at,
        },
        printable(symbol),
        h('span', { class: 'muted', 'aria-hidden': 'true' }, chosen ? '✓' : ''),
      );
      return option;
    });
    if (options.length === 0) options.push(h('div', { class: 'option none' }, 'no such symbol'));
    this.list.replaceChildren(...options);
    if (this.active >= 0 && this.matches.length > 0) {
      this.input.setAttribute('aria-activedescendant', `symbol-option-${this.active}`);
      options[this.active]?.scrollIntoView({ block: 'nearest' });
    } else this.input.removeAttribute('aria-activedescendant');
  }

  private addSymbol(symbol: string | undefined): void {
    if (symbol === undefined) return;
    const { symbols } = this.app.view;
    if (!symbols.includes(symbol) && symbols.length >= MAX_SYMBOLS) return;
    this.app.chooseSymbol(symbol, true);
    this.input.value = '';
    this.matches = this.search();
    this.drawOptions();
  }

  private onKey(event: KeyboardEvent): void {
    switch (event.key) {
      case 'ArrowDown':
      case 'ArrowUp': {
        event.preventDefault();
        if (this.list.hidden) return this.open();
        const step = event.key === 'ArrowDown' ? 1 : -1;
        this.active = Math.min(this.matches.length - 1, Math.max(0, this.active + step));
        return this.drawOptions();
      }
      case 'Enter':
        event.preventDefault();
        return this.addSymbol(this.matches[this.active]);
      case 'Escape':
        if (this.list.hidden) this.input.value = '';
        return this.close();
      case 'Backspace': {
        const last = this.app.view.symbols.at(-1);
        if (this.input.value === '' && last !== undefined) this.app.chooseSymbol(last, true);
        return;
      }
      default:
    }
  }
}
