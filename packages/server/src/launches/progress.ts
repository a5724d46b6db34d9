import { type LaunchValues, pickField, pickPart } from './launch-values.ts';
import type { Failure } from './outcomes.ts';
import type { Fetched } from './sources/source.ts';
import type { Target } from './targets.ts';
import { type AuthorisedWanted, wantedId } from './wanted.ts';

/** One wanted place on its way through the steps. */
export interface Progress {
  readonly wanted: AuthorisedWanted;
  readonly target: Target;
  readonly because: readonly string[];
  failure: Failure | null;
  detail: string | undefined;
  version: string | null;
  fingerprint: Uint8Array | null;
  milliseconds: number;
}

export function fail(step: Progress, failure: Failure, detail?: string): void {
  step.failure = failure;
  step.detail = detail;
}

/** What a source answered for this place: the value, or one field of it, or why not. */
export function take(step: Progress, fetched: Fetched, values: LaunchValues, milliseconds: number): void {
  step.milliseconds = milliseconds;
  if (fetched.kind === 'failed') {
    fail(step, fetched.failure, fetched.detail);
    return;
  }
  values.own(fetched.value);
  step.version = fetched.version;
  step.fingerprint = fetched.fingerprint;
  const { field } = step.wanted.reference;
  if (fetched.entry !== undefined) {
    const part = pickPart(fetched.value, fetched.entry, field);
    if (part.kind === 'none') fail(step, 'field-missing', part.detail);
    else values.set(wantedId(step.wanted), part.value);
    return;
  }
  if (field === undefined) {
    values.set(wantedId(step.wanted), fetched.value);
    return;
  }
  const picked = pickField(fetched.value, field);
  if (picked === null) fail(step, 'field-missing');
  else values.set(wantedId(step.wanted), picked);
}
