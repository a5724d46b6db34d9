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

/** Lines of a table; the head may have several. */
export interface LaidTable {
  readonly head: readonly string[];
  readonly body: readonly string[];
}

const gap = 2;
/** What the lines of a row that go on below begin with. */
const indent = 2;
/** Columns below which a cut cell says nothing. */
const narrowest = 8;
/** Columns below which a wrapped cell can't be read. */
const narrowestWrapped = 16;

/**
 * Lays rows out in aligned columns. With `width` the columns that can be cut are, the widest first, then those that can
 * go on below, until a line fits. Where that is not enough, or takes more lines, each row is folded: columns that have no place
 * beside the first ones have it in a line below, under their titles. A line that doesn't fit even then stays long. Cells are made visible; no
 * cell is a line break.
 */
export function layTable(all: readonly Column[], rows: readonly (readonly string[])[], width?: number): LaidTable {
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
  const lay = (layout: Layout): LaidTable => layRows(columns, titles, cells, layout);
  const whole = { groups: [columns.map((_, index) => index)], widths };
  if (width === undefined || sumOf(widths) <= width) return lay(whole);
  const narrowed = { ...whole, widths: fit(columns, widths, width) };
  const beside = lay(narrowed);
  const folded = lay(fold(columns, widths, width));
  const isTooWide = sumOf(narrowed.widths) > width;
  // What is wrapped into many short lines is easier to read in few that are folded.
  return isTooWide || folded.body.length < beside.body.length ? folded : beside;
}

/** Which columns are in which line of a row, by their index, and how wide each is. */
interface Layout {
  readonly groups: readonly (readonly number[])[];
  readonly widths: readonly number[];
}

function layRows(
  columns: readonly Column[],
  titles: readonly string[],
  cells: readonly (readonly string[])[],
  { groups, widths }: Layout,
): LaidTable {
  const line = (row: readonly string[], group: readonly number[]): string =>
    `${group === groups[0] ? '' : ' '.repeat(indent)}${group
      .map((index) => padTo(row[index] ?? '', widths[index] ?? 0))
      .join(' '.repeat(gap))
      .trimEnd()}`;
  const head = titles.map((title, index) => cutTo(title, widths[index] ?? 0));
  return {
    head: groups.map((group) => line(head, group)),
    body: cells.flatMap((row) => {
      const parts = row.map((cell, index) => {
        const own = widths[index] ?? 0;
        return columns[index]?.canWrap === true ? wrapTo(cell, own) : [cutTo(cell, own)];
      });
      return groups.flatMap((group) => {
        const height = Math.max(1, ...group.map((index) => parts[index]?.length ?? 0));
        const below = Array.from({ length: height }, (_, at) => parts.map((part) => part[at] ?? ''));
        const lines = below.map((each) => line(each, group));
        // Below the first line of a row there is nothing to keep where nothing is.
        return group === groups[0] ? lines : lines.filter((each) => each.trim() !== '');
      });
    }),
  };
}

/** Narrows columns until a line fits, as far as they may be. */
function fit(columns: readonly Column[], full: readonly number[], width: number): readonly number[] {
  const widths = [...full];
  shrink(widths, width, (index) => (columns[index]?.canCut === true ? narrowest : undefined));
  shrink(widths, width, (index) => (columns[index]?.canWrap === true ? narrowestWrapped : undefined));
  return widths;
}

/** As many columns in each line of a row as fit there. */
function fold(columns: readonly Column[], full: readonly number[], width: number): Layout {
  const widths = [...full];
  const groups: number[][] = [[]];
  for (const [index, column] of columns.entries()) {
    const group = groups.at(-1) ?? [];
    const room = groups.length === 1 ? width : width - indent;
    const isWide = sumOf([...group, index].map((each) => widths[each] ?? 0)) > room;
    if (isWide && group.length > 0) groups.push([index]);
    else group.push(index);
    // A column that is too wide for a line of its own.
    const own = groups.length === 1 ? width : width - indent;
    if (column.canCut === true || column.canWrap === true) widths[index] = Math.min(widths[index] ?? 0, own);
  }
  return { groups, widths };
}

function sumOf(widths: readonly number[]): number {
  return widths.reduce((sum, each) => sum + each, 0) + gap * (widths.length - 1);
}

/** @param least how narrow a column may become; none where it stays as it is */
function shrink(widths: number[], width: number, least: (index: number) => number | undefined): void {
  let excess = sumOf(widths) - width;
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
