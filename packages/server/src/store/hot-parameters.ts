import type { HotStatement, SqlValue } from './store.ts';

/** @throws TypeError when a hot statement gets more or fewer parameters than it has placeholders */
export function assertParameterCount(
  statement: HotStatement<unknown>,
  expected: number,
  parameters: readonly SqlValue[],
): void {
  if (parameters.length === expected) return;
  throw new TypeError(`The statement ${statement.name} takes ${expected} parameters, not ${parameters.length}`);
}
