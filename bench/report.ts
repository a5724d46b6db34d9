import type { BenchRow } from './row.ts';

/** What each file of this folder exports as `run`. */
export type Bench = () => Promise<BenchRow[]>;

/** The middle one; benches report medians of interleaved rounds. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
