import type { FieldProblems } from './definition.ts';

/** Names of storage configurations, each once; whether they are there is decided with the save. */
export function checkConsumed(names: readonly string[] | undefined, problems: FieldProblems): void {
  const seen = new Set<string>();
  for (const [index, name] of (names ?? []).entries()) {
    if (seen.has(name)) problems.add(`/storageConfigs/${index}`, 'The name is there twice.');
    seen.add(name);
  }
}
