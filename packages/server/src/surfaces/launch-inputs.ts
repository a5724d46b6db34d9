import { checkConsumed } from './consumed-names.ts';
import type { FieldProblems, SaveWarning } from './definition.ts';
import { checkBareText } from './plain-text.ts';

interface LaunchedInput {
  readonly image?: string;
  readonly runner?: 'process' | 'kubernetes';
  readonly storageConfigs?: readonly string[];
}

/** Checks what everything that is launched has beside its own fields. */
export function checkLaunched(input: LaunchedInput, problems: FieldProblems, warnings: SaveWarning[]): void {
  checkConsumed(input.storageConfigs, problems);
  if (input.image === undefined) return;
  checkBareText(input.image, '/image', problems);
  if (input.runner !== 'kubernetes')
    warnings.push({
      pointer: '/image',
      code: 'ignored-here',
      message: 'The process runner starts no image; it is kept for the Kubernetes runner.',
    });
}

/** The parts that were given. */
export function given<Part extends Record<string, unknown>>(
  parts: Part,
): Partial<{ [Name in keyof Part]: Exclude<Part[Name], undefined> }> {
  return Object.fromEntries(Object.entries(parts).filter(([, value]) => value !== undefined)) as ReturnType<
    typeof given<Part>
  >;
}
