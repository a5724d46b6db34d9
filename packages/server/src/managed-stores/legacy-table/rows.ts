import type { LegacyRow } from './table.ts';

export interface TakenRow {
  readonly key: string;
  readonly value: Uint8Array;
}

export interface RefusedRow {
  readonly key: string;
  /** Why it can't be taken, as a predicate of the row. */
  readonly reason: string;
}

const maxKeyCharacters = 253;

/** Tells rows that can become secrets from those that can't, in the order of the table. */
export function sortRows(rows: readonly LegacyRow[], maxValueBytes: number): readonly (TakenRow | RefusedRow)[] {
  const counts = new Map<string, number>();
  for (const { key } of rows) counts.set(key ?? '', (counts.get(key ?? '') ?? 0) + 1);
  return rows.map((row) => {
    const key = row.key ?? '';
    const refusal = refusalOf(key, counts.get(key) ?? 0);
    if (refusal !== null) return { key, reason: refusal };
    if (row.value === null) return { key, reason: 'has no value' };
    if (row.value.byteLength > maxValueBytes)
      return { key, reason: `is larger than the store's limit of ${maxValueBytes} bytes` };
    return { key, value: row.value };
  });
}

function refusalOf(key: string, count: number): string | null {
  if (key === '') return 'has no key';
  if (
    key.length > maxKeyCharacters ||
    /[\p{Cc}\u2028\u2029/\\%]/u.test(key) ||
    /^\.{1,2}$/.test(key) ||
    !key.isWellFormed()
  )
    return 'has a key that no reference can name';
  return count > 1 ? 'is there more than once' : null;
}
