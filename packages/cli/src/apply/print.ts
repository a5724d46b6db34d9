import type { Output } from '../output/output.ts';
import type { FieldChange } from './diff.ts';
import type { Done } from './execute.ts';
import type { Step } from './plan.ts';

const signs = { create: '+', change: '~', delete: '-', wait: '!', unchanged: '=' } as const;
type Doing = keyof typeof signs;

/** What a step is about to do. */
export function doingOf(step: Step): Doing {
  return 'pruned' in step ? 'delete' : step.planned.outcome;
}

/** `job nightly in finance`. */
export function nameOf(step: Step): string {
  const { word } = step.kind;
  const { scope, domain } = 'pruned' in step ? step.place : step.manifest;
  if (scope === 'platform') return word;
  const name = 'pruned' in step ? step.pruned.name : step.manifest.name;
  if (step.kind.place === 'self') return `${word} ${name}`;
  return `${word} ${name} in ${scope === 'domain' ? domain : scope}`;
}

function changesOf(step: Step): readonly FieldChange[] {
  return 'pruned' in step || step.planned.outcome === 'unchanged' ? [] : step.planned.changes;
}

/** The plan, field by field: references and settings, never a value. */
export function printPlan(output: Output, steps: readonly Step[]): void {
  for (const step of steps) {
    const doing = doingOf(step);
    if (doing === 'unchanged') continue;
    output.line(`${signs[doing]} ${doing} ${nameOf(step)}`);
    for (const change of changesOf(step)) output.line(`    ${changeText(change)}`);
    const remark = remarkOf(step);
    if (remark !== undefined) output.line(`    ${remark}`);
  }
  output.line(`plan: ${countText(steps)}`);
}

function changeText({ field, from, to }: FieldChange): string {
  if (from === undefined) return `${field}: ${to ?? ''}`;
  return `${field}: ${from === '' ? '(empty)' : from} -> ${to ?? '(nothing)'}`;
}

function remarkOf(step: Step): string | undefined {
  if ('pruned' in step) return 'an apply made it, and no manifest has it any more';
  const { planned } = step;
  if (planned.outcome === 'wait') return planned.reason;
  if (planned.outcome === 'unchanged' || planned.problem === undefined) return undefined;
  return `can be checked only when what comes before it is done: ${planned.problem.detail ?? planned.problem.message}`;
}

function countText(steps: readonly Step[]): string {
  const of = (doing: Doing): number => steps.filter((step) => doingOf(step) === doing).length;
  const parts = [
    `${of('create')} to create`,
    `${of('change')} to change`,
    ...(of('delete') > 0 ? [`${of('delete')} to delete`] : []),
    `${of('unchanged')} unchanged`,
    ...(of('wait') > 0 ? [`${of('wait')} waiting for a value`] : []),
  ];
  return parts.join(', ');
}

/** One step of a plan, as --json has it. */
export function plannedItem(step: Step): Record<string, unknown> {
  const remark = remarkOf(step);
  return {
    plan: doingOf(step),
    ...placeItem(step),
    changes: changesOf(step),
    ...(remark === undefined ? {} : { remark }),
  };
}

/** What became of a step, as --json has it; the object is as the API answered it. */
export function doneItem(step: Step, done: Done): Record<string, unknown> {
  const { outcome } = done;
  const object = 'applied' in done ? { [step.kind.word]: done.applied.object } : {};
  return { outcome, ...placeItem(step), changes: changesOf(step), ...object };
}

export function placeItem(step: Step): Record<string, unknown> {
  const { scope, domain } = 'pruned' in step ? step.place : step.manifest;
  const name = 'pruned' in step ? step.pruned.name : step.manifest.name;
  return {
    kind: step.kind.kind,
    scope,
    ...(domain === '' ? {} : { domain }),
    ...(name === '' ? {} : { name }),
  };
}

export function doneText(step: Step, done: Done): string {
  if (done.outcome === 'waiting') return `waiting: ${nameOf(step)}`;
  const revision =
    'applied' in done && done.applied.revision !== undefined ? `, revision ${done.applied.revision}` : '';
  return `${done.outcome} ${nameOf(step)}${revision}`;
}
