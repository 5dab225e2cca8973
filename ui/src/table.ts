// A table of any length: only the rows in view are elements, taken from a pool. Sorted by its column heads.
// Rows have a fixed height, so that place and number of a row follow from each other.

import { button, h, setAttribute, setText } from './lib/dom';

export interface Column<R> {
  name: string;
  title: string;
  /** A track of the grid. */
  width: string;
  /** Numbers stand at the end. */
  end?: boolean;
  text: (row: R) => string;
  /** Class of the cell. */
  tone?: (row: R) => string;
  /** Without it the column can't be sorted. */
  key?: (row: R) => number | string | null;
}

const ROW_HEIGHT = 24;
/** As in the style sheet. */
const COLUMN_GAP = 10;
const SIDE = 12;
/** Width of a letter, rather too much: a text that is no longer needs no clip, each of which costs the compositor. */
const LETTER = 7.2;
const SPARE_ROWS = 6;
/** From the end, in rows, when more is asked for. */
const NEAR_END = 40;

export class VirtualTable<R> {
  readonly el: HTMLElement;
  private readonly head: HTMLElement;
  private readonly rowsBox = h('div', { class: 'table-rows', role: 'rowgroup' });
  private readonly pool: { row: HTMLElement; cells: HTMLElement[] }[] = [];
  private rows: R[] = [];
  private sorted: R[] = [];
  private sortBy: { column: Column<R>; down: boolean } | null = null;
  onEnd: (() => void) | null = null;
  private height = 0;
  private readonly least: number[];

  constructor(
    label: string,
    private readonly columns: Column<R>[],
  ) {
    this.least = columns.map(({ width }) => Number.parseFloat(width.replace('minmax(', '')));
    this.head = h('div', { class: 'table-head', role: 'row' });
    for (const column of columns) this.head.append(this.headCell(column));
    this.head.addEventListener('keydown', (event) => this.rove(event));
    this.head.querySelectorAll('button').forEach((head, at) => (head.tabIndex = at === 0 ? 0 : -1));
    this.el = h(
      'div',
      { class: 'table', role: 'table', 'aria-label': label, tabindex: 0 },
      h('div', { role: 'rowgroup', class: 'table-top' }, this.head),
      this.rowsBox,
    );
    this.el.style.setProperty('--tracks', columns.map((column) => column.width).join(' '));
    // Rows are grids of their own: their width follows from the tracks alone, never from what is in them.
    const least = this.least.reduce((sum, width) => sum + width, 0) + (columns.length - 1) * COLUMN_GAP + 2 * SIDE;
    this.el.style.setProperty('--least', `${least}px`);
    this.el.addEventListener('scroll', () => this.place(), { passive: true });
    new ResizeObserver(([entry]) => {
      this.height = entry?.contentRect.height ?? 0;
      this.place();
    }).observe(this.el);
  }

  private headCell(column: Column<R>): HTMLElement {
    const cell = h('div', { role: 'columnheader', class: column.end ? 'cell end' : 'cell' });
    if (!column.key) cell.append(column.title);
    else cell.append(button({ class: 'sort' }, () => this.sort(column), column.title));
    return cell;
  }

  /** The heads are one stop of the Tab key; arrow keys go from one to the next. */
  private rove(event: KeyboardEvent): void {
    const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
    if (step === 0) return;
    event.preventDefault();
    const heads = [...this.head.querySelectorAll('button')];
    const at = heads.indexOf(event.target as HTMLButtonElement);
    heads[(at + step + heads.length) % heads.length]?.focus();
  }

  private sort(column: Column<R>): void {
    const current = this.sortBy;
    if (current?.column !== column) this.sortBy = { column, down: column.end === true };
    else if (current.down === (column.end === true)) this.sortBy = { column, down: !current.down };
    else this.sortBy = null;
    this.columns.forEach((other, at) => {
      const cell = this.head.children[at]!;
      if (this.sortBy?.column === other) cell.setAttribute('aria-sort', this.sortBy.down ? 'descending' : 'ascending');
      else cell.removeAttribute('aria-sort');
    });
    this.set(this.rows);
    this.el.scrollTop = 0;
  }

  set(rows: R[]): void {
    this.rows = rows;
    this.sorted = this.sortBy ? sortRows(rows, this.sortBy) : rows;
    setAttribute(this.el, 'aria-rowcount', String(rows.length + 1));
    this.rowsBox.style.height = `${rows.length * ROW_HEIGHT}px`;
    this.place();
  }

  toTop(): void {
    this.el.scrollTop = 0;
  }

  get atTop(): boolean {
    return this.el.scrollTop < ROW_HEIGHT;
  }

  /** Text of the first rows, for summaries. */
  top(n: number): R[] {
    return this.sorted.slice(0, n);
  }

  private place(): void {
    if (this.height === 0) return;
    const first = Math.max(0, Math.floor(this.el.scrollTop / ROW_HEIGHT) - SPARE_ROWS);
    const shown = Math.min(this.sorted.length - first, Math.ceil(this.height / ROW_HEIGHT) + 2 * SPARE_ROWS);
    while (this.pool.length < shown) this.grow();
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
        const long = !column.end && text.length * LETTER > this.least[number]!;
        const classes = `cell${column.end ? ' end' : ''}${long ? ' long' : ''} ${tone}`;
        if (cell.className !== classes) cell.className = classes;
      });
    });
    if (this.onEnd && this.sorted.length > 0 && first + shown >= this.sorted.length - NEAR_END) this.onEnd();
  }

  private grow(): void {
    const cells = this.columns.map((column) => h('div', { role: 'cell', class: column.end ? 'cell end' : 'cell' }));
    const row = h('div', { role: 'row', class: 'table-row' }, ...cells);
    this.rowsBox.append(row);
    this.pool.push({ row, cells });
  }
}

/** What is unknown comes last either way. */
function sortRows<R>(rows: R[], by: { column: Column<R>; down: boolean }): R[] {
  const key = by.column.key!;
  const keyed = rows.map((row) => ({ row, key: key(row) }));
  const known = (value: number | string | null): boolean =>
    value !== null && !(typeof value === 'number' && Number.isNaN(value));
  const sign = by.down ? -1 : 1;
  keyed.sort((a, b) => {
    if (!known(a.key) || !known(b.key)) return Number(known(b.key)) - Number(known(a.key));
    return a.key! < b.key! ? -sign : a.key! > b.key! ? sign : 0;
  });
  return keyed.map(({ row }) => row);
}
