import type { KubernetesOptions } from '@strongroom/contract';
import { checkConsumed } from './consumed-names.ts';
import type { FieldProblems, SaveWarning } from './definition.ts';
import { checkBareText } from './plain-text.ts';

interface LaunchedInput {
  readonly image?: string;
  readonly runner?: 'process' | 'kubernetes';
  readonly kubernetes?: KubernetesOptions;
  readonly storageConfigs?: readonly string[];
}

/**
 * Checks what everything that is launched has beside its own fields.
 * @param isSpark it is a Spark program, which an operator can start
 */
export function checkLaunched(
  input: LaunchedInput,
  problems: FieldProblems,
  warnings: SaveWarning[],
  isSpark = false,
): void {
  checkConsumed(input.storageConfigs, problems);
  if (input.image !== undefined) checkBareText(input.image, '/image', problems);
  if (input.kubernetes?.form === 'spark-application' && !isSpark)
    problems.add('/kubernetes/form', 'Only a Spark program, "spark", can be a SparkApplication.');
  // Left out, the runner is the installation's, which may be either.
  if (input.runner === 'kubernetes') return;
  const ignored = {
    image: 'The process runner starts no image; it is kept for the Kubernetes runner.',
    kubernetes: 'The process runner has no use for it; it is kept for the Kubernetes runner.',
  };
  for (const [name, message] of Object.entries(ignored))
    if (input[name as keyof typeof ignored] !== undefined)
      warnings.push({ pointer: `/${name}`, code: 'ignored-here', message });
}

/** The parts that were given. */
export function given<Part extends Record<string, unknown>>(
  parts: Part,
): Partial<{ [Name in keyof Part]: Exclude<Part[Name], undefined> }> {
  return Object.fromEntries(Object.entries(parts).filter(([, value]) => value !== undefined)) as ReturnType<
    typeof given<Part>
  >;
}
