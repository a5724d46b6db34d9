import type { Applied } from './kind.ts';
import type { Step } from './plan.ts';

/** What became of a step. */
export type Done =
  | { readonly outcome: Applied['outcome']; readonly applied: Applied }
  | { readonly outcome: 'deleted' | 'waiting' };

/** The first step that was refused, with those that were not begun. */
export class ApplyStopped extends Error {
  readonly step: Step;
  readonly rest: readonly Step[];

  constructor(step: Step, rest: readonly Step[], cause: unknown) {
    super('an apply stopped', { cause });
    this.step = step;
    this.rest = rest;
  }
}

/** Does one step after another, and says what became of each. @throws ApplyStopped at the first that is refused */
export async function execute(steps: readonly Step[], done: (step: Step, what: Done) => void): Promise<void> {
  for (const [index, step] of steps.entries()) {
    try {
      done(step, await doOne(step));
    } catch (error) {
      throw new ApplyStopped(step, steps.slice(index + 1), error);
    }
  }
}

async function doOne(step: Step): Promise<Done> {
  if ('pruned' in step) {
    await step.pruned.remove();
    return { outcome: 'deleted' };
  }
  const { planned } = step;
  if (planned.outcome === 'wait') return { outcome: 'waiting' };
  const applied = planned.outcome === 'unchanged' ? planned.applied : await planned.apply();
  return { outcome: applied.outcome, applied };
}
