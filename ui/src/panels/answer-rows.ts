// Tables over columnar answers: a row is its number, cells are read from the columns when they are shown.

import { column, type Answer, type Cell } from '../api';
import type { Column } from '../table';

export type Row = number;

/** The columns of the answer that a table reads; swapped when a new answer comes. */
export class Rows {
  private columns = new Map<string, Cell[]>();
  length = 0;

  load(answer: Answer): void {
    this.columns = new Map(answer.columns.map(({ name }) => [name, column(answer, name)]));
    this.length = answer.rows;
  }

  text(name: string, row: Row): string {
    return String(this.columns.get(name)?.[row] ?? '');
  }

  number(name: string, row: Row): number | null {
    const cell = this.columns.get(name)?.[row];
    return typeof cell === 'number' ? cell : null;
  }

  all(): Row[] {
    return Array.from({ length: this.length }, (_, row) => row);
  }

  /** A column of numbers. */
  numeric(
    name: string,
    title: string,
    width: string,
    text: (x: number | null) => string,
    tone?: (x: number | null) => string,
  ): Column<Row> {
    return {
      name,
      title,
      width,
      end: true,
      text: (row) => text(this.number(name, row)),
      key: (row) => this.number(name, row),
      ...(tone ? { tone: (row: Row) => tone(this.number(name, row)) } : {}),
    };
  }
}
