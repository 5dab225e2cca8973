// A virtual table: only the rows in view are elements, taken from a pool. A click on a column head sorts it. Rows have
// a fixed height, so that the scroll position determines which rows are in view.

import { button, h, setAttribute, setText } from './lib/dom';

export interface TableColumn<R> {
  name: string;
  title: string;
  /** The track of the CSS grid. */
  width: string;
  /** Aligns the cells at the end, as numbers are. */
  alignEnd?: boolean;
  text: (row: R) => string;
  /** The class of the cell. */
  tone?: (row: R) => string;
  /** A column without a sort key can't be sorted. */
  sortKey?: (row: R) => number | string | null;
}

const ROW_HEIGHT = 24;
/** This and the padding must match the style sheet. */
const COLUMN_GAP = 10;
const SIDE_PADDING = 12;
/**
 * An upper bound of a letter's width. Texts that surely fit get no clipping, because each clip costs the compositor.
 */
const LETTER_WIDTH = 7.2;
const OVERSCAN_ROWS = 6;
/** How many rows before the end `onNearEnd` is called. */
const NEAR_END_ROWS = 40;

export class VirtualTable<R> {
  readonly el: HTMLElement;
  private readonly head: HTMLElement;
  private readonly rowsBox = h('div', { class: 'table-rows', role: 'rowgroup' });
  private readonly pool: { row: HTMLElement; cells: HTMLElement[] }[] = [];
  private rows: R[] = [];
  private sorted: R[] = [];
  private sortBy: { column: TableColumn<R>; descending: boolean } | null = null;
  onNearEnd: (() => void) | null = null;
  private height = 0;
  private readonly minWidths: number[];

  constructor(
    label: string,
    private readonly columns: TableColumn<R>[],
  ) {
    this.minWidths = columns.map(({ width }) => Number.parseFloat(width.replace('minmax(', '')));
    this.head = h('div', { class: 'table-head', role: 'row' });
    for (const column of columns) this.head.append(this.headCell(column));
    this.head.addEventListener('keydown', (event) => this.roveFocus(event));
    this.head.querySelectorAll('button').forEach((head, at) => (head.tabIndex = at === 0 ? 0 : -1));
    this.el = h(
      'div',
      { class: 'table', role: 'table', 'aria-label': label, tabindex: 0 },
      h('div', { role: 'rowgroup', class: 'table-top' }, this.head),
      this.rowsBox,
    );
    this.el.style.setProperty('--tracks', columns.map((column) => column.width).join(' '));
    // Each row is a grid of its own, so its width must follow from the tracks alone, never from the content.
    const minWidth =
      this.minWidths.reduce((sum, width) => sum + width, 0) + (columns.length - 1) * COLUMN_GAP + 2 * SIDE_PADDING;
    this.el.style.setProperty('--least', `${minWidth}px`);
    this.el.addEventListener('scroll', () => this.layOut(), { passive: true });
    new ResizeObserver(([entry]) => {
      this.height = entry?.contentRect.height ?? 0;
      this.layOut();
    }).observe(this.el);
  }

  private headCell(column: TableColumn<R>): HTMLElement {
    const cell = h('div', { role: 'columnheader', class: column.alignEnd ? 'cell end' : 'cell' });
    if (!column.sortKey) cell.append(column.title);
    else cell.append(button({ class: 'sort' }, () => this.sort(column), column.title));
    return cell;
  }

  /** The column heads are one stop of the Tab key; the arrow keys move between them. */
  private roveFocus(event: KeyboardEvent): void {
    const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
    if (step === 0) return;
    event.preventDefault();
    const heads = [...this.head.querySelectorAll('button')];
    const at = heads.indexOf(event.target as HTMLButtonElement);
    heads[(at + step + heads.length) % heads.length]?.focus();
  }

  private sort(column: TableColumn<R>): void {
    const current = this.sortBy;
    if (current?.column !== column) this.sortBy = { column, descending: column.alignEnd === true };
    else if (current.descending === (column.alignEnd === true))
      this.sortBy = { column, descending: !current.descending };
    else this.sortBy = null;
    this.columns.forEach((other, at) => {
      const cell = this.head.children[at]!;
      if (this.sortBy?.column === other)
        cell.setAttribute('aria-sort', this.sortBy.descending ? 'descending' : 'ascending');
      else cell.removeAttribute('aria-sort');
    });
    this.setRows(this.rows);
    this.el.scrollTop = 0;
  }

  setRows(rows: R[]): void {
    this.rows = rows;
    this.sorted = this.sortBy ? sortRows(rows, this.sortBy) : rows;
    setAttribute(this.el, 'aria-rowcount', String(rows.length + 1));
    this.rowsBox.style.height = `${rows.length * ROW_HEIGHT}px`;
    this.layOut();
  }

  scrollToTop(): void {
    this.el.scrollTop = 0;
  }

  get atTop(): boolean {
    return this.el.scrollTop < ROW_HEIGHT;
  }

  /** The first rows in their sorted order, for summaries. */
  firstRows(n: number): R[] {
    return this.sorted.slice(0, n);
  }

  private layOut(): void {
    if (this.height === 0) return;
    const first = Math.max(0, Math.floor(this.el.scrollTop / ROW_HEIGHT) - OVERSCAN_ROWS);
    const shown = Math.min(this.sorted.length - first, Math.ceil(this.height / ROW_HEIGHT) + 2 * OVERSCAN_ROWS);
    while (this.pool.length < shown) this.addPoolRow();
    this.pool.forEach(({ row, cells }, at) => {
      const data = at < shown ? this.sorted[first + at] : undefined;
      row.hidden = data === undefined;
      if (data === undefined) return;
      row.style.top = `${(first + at) * ROW_HEIGHT}px`;
      setAttribute(row, 'aria-rowindex', String(first + at + 2));
      this.columns.forEach((column, number) => {
        const cell = cells[number]!;
        const text = column.text(data);
        setText(cell, text);
        const tone = column.tone?.(data) ?? '';
        const long = !column.alignEnd && text.length * LETTER_WIDTH > this.minWidths[number]!;
        const classes = `cell${column.alignEnd ? ' end' : ''}${long ? ' long' : ''} ${tone}`;
        if (cell.className !== classes) cell.className = classes;
      });
    });
    if (this.onNearEnd && this.sorted.length > 0 && first + shown >= this.sorted.length - NEAR_END_ROWS)
      this.onNearEnd();
  }

  private addPoolRow(): void {
    const cells = this.columns.map((column) =>
      h('div', { role: 'cell', class: column.alignEnd ? 'cell end' : 'cell' }),
    );
    const row = h('div', { role: 'row', class: 'table-row' }, ...cells);
    this.rowsBox.append(row);
    this.pool.push({ row, cells });
  }
}

/** Sorts rows. Unknown values come last in either direction. */
function sortRows<R>(rows: R[], by: { column: TableColumn<R>; descending: boolean }): R[] {
  const key = by.column.sortKey!;
  const keyed = rows.map((row) => ({ row, key: key(row) }));
  const known = (value: number | string | null): boolean =>
    value !== null && !(typeof value === 'number' && Number.isNaN(value));
  const sign = by.descending ? -1 : 1;
  keyed.sort((a, b) => {
    if (!known(a.key) || !known(b.key)) return Number(known(b.key)) - Number(known(a.key));
    return a.key! < b.key! ? -sign : a.key! > b.key! ? sign : 0;
  });
  return keyed.map(({ row }) => row);
}
