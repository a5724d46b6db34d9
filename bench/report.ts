import type { BenchRow } from './row.ts';

/** What each file of this folder exports as `run`. */
export type Bench = () => Promise<BenchRow[]>;

/** A table for a terminal. */
export function formatRows(rows: readonly BenchRow[]): string {
  const cells = rows.map((row) => [row.met ? 'met' : 'MISSED', row.name, `${round(row.value)} ${row.unit}`, row.goal]);
  const widths = [0, 1, 2].map((column) => Math.max(...cells.map((cell) => cell[column]?.length ?? 0)));
  return cells
    .map((cell) =>
      cell
        .map((text, column) => text.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function round(value: number): string {
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(3);
}

/** The middle one; benches report medians of interleaved rounds. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
