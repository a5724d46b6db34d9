import { createRedactor, type NamedValue, type Redactor, RedactorLimitError } from '@strongroom/redactor';
import type { LaunchValues } from '../launches/launch-values.ts';
import type { LaunchPlan } from '../launches/plan.ts';
import type { Inspection } from '../launches/resolve.ts';
import { type AuthorisedWanted, wantedId } from '../launches/wanted.ts';
import type { Rendered } from '../surfaces/definition.ts';
import type { ProcessSpec } from './process-spec.ts';
import type { RunPlace } from './runner.ts';

/** A rendered launch, kept between the inspection and the start. */
export interface PreparedLaunch {
  readonly spec: ProcessSpec;
  readonly redactor: Redactor;
}

export interface PreparedInspection {
  readonly inspection: Inspection;
  readonly prepared: PreparedLaunch | null;
}

/** Puts the values into their places and builds the redactor, before anything is committed; starts nothing. */
export function prepareLaunch(
  plan: LaunchPlan,
  { rendering, check }: Pick<RunPlace, 'rendering' | 'check'>,
  values: LaunchValues,
): PreparedInspection {
  const { surface, document, wanted, storage } = plan;
  const rendered = surface.launch.render(document, {
    ...rendering,
    storage,
    value: (pointer, reference) => values.get(wantedId({ pointer, text: reference })),
  });
  const misfits = new Map(
    rendered.misfits.map(({ pointer, reference, message }) => [wantedId({ pointer, text: reference }), message]),
  );
  const problems = [...plan.problems, ...rendered.problems, ...check(rendered.spec)];
  const redactor = buildRedactor(wanted, values, rendered.writtenForms, problems);
  const unmasked = new Map<string, string>();
  if (redactor !== null) {
    const reasons = new Map(redactor.unmasked.map(({ name, reason }) => [name, reason]));
    for (const item of wanted) {
      const reason = reasons.get(item.name);
      if (reason !== undefined) unmasked.set(wantedId(item), reason);
    }
  }
  const inspection: Inspection = { misfits, unmasked, problems };
  if (redactor === null || misfits.size > 0 || problems.length > 0) {
    redactor?.dispose();
    dropSpec(rendered.spec);
    return { inspection, prepared: null };
  }
  return { inspection, prepared: { spec: rendered.spec, redactor } };
}

function buildRedactor(
  wanted: readonly AuthorisedWanted[],
  values: LaunchValues,
  forms: Rendered['writtenForms'],
  problems: string[],
): Redactor | null {
  const named: NamedValue[] = [
    ...wanted.map((item) => ({ name: item.name, value: values.get(wantedId(item)).reveal() })),
    ...forms.map(({ name, text }) => ({ name, value: new TextEncoder().encode(text) })),
  ];
  try {
    return createRedactor(named);
  } catch (error) {
    if (!(error instanceof RedactorLimitError)) throw error;
    problems.push('The values are too many or too large for the log to be masked.');
    return null;
  } finally {
    for (const { value } of named) value.fill(0);
  }
}

/** Lets go of the values once the child has them: bytes are zeroed, texts are left to the garbage collector. */
export function dropSpec(spec: ProcessSpec): void {
  spec.environment.clear();
  spec.spark?.properties.clear();
  for (const file of spec.files) if (file.isSecret) file.content.fill(0);
}
