/** One measured number and whether it meets its goal. Goals are in words; a report, never a timed test. */
export interface BenchRow {
  name: string;
  value: number;
  unit: string;
  goal: string;
  met: boolean;
}

/** Prints rows as an aligned table. */
export function printRows(rows: readonly BenchRow[]): void {
  const cells = rows.map((row) => [row.name, format(row.value), row.unit, row.goal, row.met ? 'met' : 'MISSED']);
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...cells.map((cell) => cell[column]?.length ?? 0)));
  for (const cell of cells) {
    const line = cell.map((text, column) =>
      column === 1 ? text.padStart(widths[column] ?? 0) : text.padEnd(widths[column] ?? 0),
    );
    console.log(line.join('  ').trimEnd());
  }
}

function format(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 1 ? 2 : 3;
  return value.toFixed(digits);
}
