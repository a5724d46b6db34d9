import { columnsOf, cutTo, padTo, visible } from './text.ts';

export interface Column {
  readonly title: string;
  /** May be cut to fit the terminal; names that somebody will type again may not. */
  readonly canCut?: boolean;
}

const gap = 2;
/** Columns below which a cut cell says nothing. */
const narrowest = 8;

/**
 * Lays rows out in aligned columns. With `width` the columns that can be cut are, the widest first, until a line fits; a
 * line that doesn't fit even then stays long. Cells are made visible; no cell is a line break.
 */
export function layTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width?: number,
): readonly string[] {
  const cells = [columns.map((column) => column.title), ...rows.map((row) => row.map(visible))];
  const widths = columns.map((_, index) => Math.max(...cells.map((row) => columnsOf(row[index] ?? ''))));
  if (width !== undefined) shrink(columns, widths, width);
  return cells.map((row) =>
    columns
      .map((_, index) => padTo(cutTo(row[index] ?? '', widths[index] ?? 0), widths[index] ?? 0))
      .join(' '.repeat(gap))
      .trimEnd(),
  );
}

function shrink(columns: readonly Column[], widths: number[], width: number): void {
  let excess = widths.reduce((sum, each) => sum + each, 0) + gap * (widths.length - 1) - width;
  while (excess > 0) {
    const widest = columns.reduce<number>((best, column, index) => {
      const own = widths[index] ?? 0;
      return column.canCut === true && own > narrowest && own > (widths[best] ?? 0) ? index : best;
    }, -1);
    if (widest === -1) return;
    widths[widest] = (widths[widest] ?? 0) - 1;
    excess -= 1;
  }
}
