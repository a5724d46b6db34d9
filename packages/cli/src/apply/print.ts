import type { Output } from '../output/output.ts';
import { impactText } from '../commands/impact.ts';
import type { FieldChange } from './diff.ts';
import type { Done } from './execute.ts';
import type { Hit } from './kind.ts';
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
    for (const remark of remarksOf(step)) output.line(`    ${remark}`);
    for (const hit of hitsOf(step)) output.line(`    ${hitText(hit)}`);
  }
  output.line(`plan: ${countText(steps)}`);
}

function changeText({ field, from, to }: FieldChange): string {
  if (from === undefined) return `${field}: ${to ?? ''}`;
  return `${field}: ${from === '' ? '(empty)' : from} -> ${to ?? '(nothing)'}`;
}

function remarksOf(step: Step): readonly string[] {
  if ('pruned' in step)
    return [
      'an apply made it, and no manifest has it any more',
      ...(step.obstacle === undefined ? [] : [step.obstacle]),
      ...(step.remainder === undefined ? [] : [step.remainder]),
    ];
  const { planned } = step;
  if (planned.outcome === 'unchanged') return [];
  const { problem } = planned;
  return [
    ...(planned.outcome === 'wait' ? [planned.reason] : []),
    ...(planned.outcome !== 'wait' && planned.untried !== undefined ? [planned.untried] : []),
    ...(problem === undefined
      ? []
      : [`can be checked only when what comes before it is done: ${problem.detail ?? problem.message}`]),
  ];
}

function hitsOf(step: Step): readonly Hit[] {
  if ('pruned' in step) return step.hits;
  return ('hits' in step.planned ? step.planned.hits : undefined) ?? [];
}

/** Configurations that are named in a line; `impact` of the object names all. */
const maxNamed = 5;

/** `assets: hits 2 configurations: spark-job/nightly, notebook/lab`. */
function hitText({ field, impact }: Hit): string {
  const names = impact.configurations.map(({ surface, configuration }) => `${surface}/${configuration}`);
  const more = names.length - maxNamed;
  const named = [...names.slice(0, maxNamed), ...(more > 0 ? [`and ${more} more`] : [])].join(', ');
  return `${field === undefined ? '' : `${field}: `}hits ${impactText(impact)}${named === '' ? '' : `: ${named}`}`;
}

function hitItems(step: Step): { readonly hits?: readonly Hit[] } {
  const hits = hitsOf(step);
  return hits.length === 0 ? {} : { hits };
}

/** The same as one text, as --json has it. */
function remarkItem(step: Step): { readonly remark?: string } {
  const remarks = remarksOf(step);
  return remarks.length === 0 ? {} : { remark: remarks.join('; ') };
}

/** `1 to create, 0 to change, 3 unchanged`. */
export function countText(steps: readonly Step[]): string {
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
  return { plan: doingOf(step), ...placeItem(step), changes: changesOf(step), ...remarkItem(step), ...hitItems(step) };
}

/** What became of a step, as --json has it; the object is as the API answered it. */
export function doneItem(step: Step, done: Done): Record<string, unknown> {
  const { outcome } = done;
  const object = 'applied' in done ? { [step.kind.word]: done.applied.object } : {};
  const remark = outcome === 'waiting' ? remarkItem(step) : {};
  return { outcome, ...placeItem(step), changes: changesOf(step), ...object, ...remark };
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
