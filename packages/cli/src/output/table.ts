import { columnsOf, cutTo, padTo, visible, wrapTo } from './text.ts';

export interface Column {
  readonly title: string;
  /** May be cut to fit the terminal; names that somebody will type again, and what explains, may not. */
  readonly canCut?: boolean;
  /** May go on below to fit the terminal, once what can be cut is. */
  readonly canWrap?: boolean;
  /** Is left out where no row has anything in it. */
  readonly isOptional?: boolean;
}

const gap = 2;
/** Columns below which a cut cell says nothing. */
const narrowest = 8;
/** Columns below which a wrapped cell can't be read. */
const narrowestWrapped = 16;

/**
 * Lays rows out in aligned columns. With `width` the columns that can be cut are, the widest first, then those that can
 * go on below, until a line fits; a line that doesn't fit even then stays long. Cells are made visible; no cell is a line
 * break.
 */
export function layTable(
  all: readonly Column[],
  rows: readonly (readonly string[])[],
  width?: number,
): readonly string[] {
  const isShown = all.map(
    ({ isOptional }, index) => isOptional !== true || rows.some((row) => (row[index] ?? '') !== ''),
  );
  const columns = all.filter((_, index) => isShown[index]);
  const cells = rows.map((row) =>
    all.flatMap((_, index) => (isShown[index] === true ? [visible(row[index] ?? '')] : [])),
  );
  const titles = columns.map(({ title }) => title);
  const widths = titles.map((title, index) =>
    Math.max(columnsOf(title), ...cells.map((row) => columnsOf(row[index] ?? ''))),
  );
  if (width !== undefined) {
    shrink(widths, width, (index) => (columns[index]?.canCut === true ? narrowest : undefined));
    shrink(widths, width, (index) => (columns[index]?.canWrap === true ? narrowestWrapped : undefined));
  }
  const line = (row: readonly string[]): string =>
    widths
      .map((own, index) => padTo(row[index] ?? '', own))
      .join(' '.repeat(gap))
      .trimEnd();
  return [
    line(titles.map((title, index) => cutTo(title, widths[index] ?? 0))),
    ...cells.flatMap((row) => {
      const parts = row.map((cell, index) => {
        const own = widths[index] ?? 0;
        return columns[index]?.canWrap === true ? wrapTo(cell, own) : [cutTo(cell, own)];
      });
      const height = Math.max(1, ...parts.map(({ length }) => length));
      return Array.from({ length: height }, (_, below) => line(parts.map((part) => part[below] ?? '')));
    }),
  ];
}

/** @param least how narrow a column may become; none where it stays as it is */
function shrink(widths: number[], width: number, least: (index: number) => number | undefined): void {
  let excess = widths.reduce((sum, each) => sum + each, 0) + gap * (widths.length - 1) - width;
  while (excess > 0) {
    const widest = widths.reduce<number>(
      (best, own, index) => (own > (least(index) ?? Infinity) && own > (widths[best] ?? 0) ? index : best),
      -1,
    );
    if (widest === -1) return;
    widths[widest] = (widths[widest] ?? 0) - 1;
    excess -= 1;
  }
}
