// Rows of a columnar answer for tables: a row is an index, and its cells are read from the columns when they are shown.

import { column, type Answer, type Cell } from '../api';
import type { TableColumn } from '../table';

export type RowIndex = number;

/** The columns of the answer that a table shows; a new answer replaces them. */
export class AnswerRows {
  private columns = new Map<string, Cell[]>();
  length = 0;

  load(answer: Answer): void {
    this.columns = new Map(answer.columns.map(({ name }) => [name, column(answer, name)]));
    this.length = answer.rows;
  }

  text(name: string, row: RowIndex): string {
    return String(this.columns.get(name)?.[row] ?? '');
  }

  number(name: string, row: RowIndex): number | null {
    const cell = this.columns.get(name)?.[row];
    return typeof cell === 'number' ? cell : null;
  }

  all(): RowIndex[] {
    return Array.from({ length: this.length }, (_, row) => row);
  }

  /** Defines a column of numbers. */
  numeric(
    name: string,
    title: string,
    width: string,
    text: (x: number | null) => string,
    tone?: (x: number | null) => string,
  ): TableColumn<RowIndex> {
    return {
      name,
      title,
      width,
      alignEnd: true,
      text: (row) => text(this.number(name, row)),
      sortKey: (row) => this.number(name, row),
      ...(tone ? { tone: (row: RowIndex) => tone(this.number(name, row)) } : {}),
    };
  }
}
