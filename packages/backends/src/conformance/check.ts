import { StrongroomError } from '@strongroom/contract/core';
import type { ErrorCode } from '@strongroom/contract/errors';
import type { Backend, Entry } from '../backend.ts';
import type { ConformanceContext, FaultKind } from './context.ts';
import { assert, describeError } from './failure.ts';
import type { Trial } from './trial.ts';

/** What a check can't do without: a declared capability, or something of the context. */
export type Need =
  | 'list'
  | 'put'
  | 'delete'
  | 'cas'
  | 'versions'
  | 'asked versions'
  | 'place'
  | 'place.softDelete'
  | 'known keys'
  | 'existing keys'
  | 'unknownVersion'
  | 'foreign.beside'
  | 'foreign.inPlaceOf'
  | 'binary'
  | 'fields'
  | 'empty'
  | `fault ${FaultKind}`;

export interface ConformanceCheck {
  /** Lower case with hyphens; never given to another check. */
  readonly name: string;
  readonly needs: readonly Need[];
  /** What it shows, in one sentence. */
  readonly about: string;
  run(trial: Trial): Promise<void>;
}

/** Why the check can't be tried here; `null` when it can. */
export function missingNeed(check: ConformanceCheck, context: ConformanceContext, backend: Abilities): string | null {
  for (const need of check.needs) {
    const reason = reasonMissing(need, context, backend);
    if (reason !== null) return reason;
  }
  return null;
}

type Abilities = Pick<Backend, 'capabilities' | 'versions'>;

function reasonMissing(need: Need, context: ConformanceContext, { capabilities, versions }: Abilities): string | null {
  const shapes = context.shapes ?? ['text'];
  const unless = (isThere: boolean, reason: string) => (isThere ? null : reason);
  if (need.startsWith('fault ')) {
    const kind = need.slice('fault '.length) as FaultKind;
    return unless(context.faults?.[kind] !== undefined, `the fault ${kind} was not given`);
  }
  switch (need as Exclude<Need, `fault ${FaultKind}`>) {
    case 'list':
    case 'put':
    case 'delete':
    case 'cas':
    case 'versions':
      return unless(capabilities[need as 'list'], `the capability ${need} is not declared`);
    case 'asked versions':
      return unless(versions !== undefined, 'it has no question for versions alone');
    case 'place':
      return unless(context.place !== undefined, 'nothing may be written');
    case 'place.softDelete':
      return unless(
        context.place?.softDelete !== undefined,
        'no way was given to delete an entry so that it may come back',
      );
    case 'known keys': {
      const hasKeys = context.place !== undefined || (context.existingKeys?.length ?? 0) > 0 || capabilities.list;
      return unless(hasKeys, 'no existing key was given, and the backend cannot list');
    }
    case 'existing keys':
      return unless((context.existingKeys?.length ?? 0) > 0, 'no existing key was given');
    case 'unknownVersion':
      return unless(context.unknownVersion !== undefined, 'no unknown version was given');
    case 'foreign.beside':
      return unless(context.foreign?.beside !== undefined, 'nothing of somebody else was given');
    case 'foreign.inPlaceOf':
      return unless(context.foreign?.inPlaceOf !== undefined, 'nothing of somebody else was given');
    case 'binary':
    case 'fields':
      return unless(shapes.includes(need as 'binary'), `the place keeps no ${need}`);
    case 'empty':
      return unless(context.keepsEmpty ?? true, 'the place keeps no empty value');
  }
}

/** The error of a call that has to fail with one of the codes. */
export async function expectCode(
  call: () => Promise<unknown>,
  codes: readonly ErrorCode[],
  what: string,
): Promise<StrongroomError> {
  const error = await errorOf(call);
  assert(error !== noError, `${what}: it did not throw`);
  const isExpected = error instanceof StrongroomError && codes.includes(error.code);
  assert(isExpected, `${what}: ${describeError(error)} instead of ${codes.join(' or ')}`);
  return error;
}

/** Stands for "it did not throw", which `undefined` can't: that can be thrown. */
export const noError = Symbol('no error');

export async function errorOf(call: () => Promise<unknown>): Promise<unknown> {
  try {
    await call();
    return noError;
  } catch (error) {
    return error;
  }
}

/** Refusals that say "never like this", as opposed to troubles that pass. */
export const refusals: readonly ErrorCode[] = [
  'validation_failed',
  'reference_malformed',
  'key_clash',
  'already_exists',
  'state_conflict',
  'backend_limit',
  'not_supported',
];

/** The reading calls, by name, for checks that go over all of them. */
export function readingCalls(
  backend: Backend,
  key: string,
): readonly (readonly [string, (signal: AbortSignal) => Promise<unknown>])[] {
  const calls: (readonly [string, (signal: AbortSignal) => Promise<unknown>])[] = [
    ['get', (signal) => backend.get(key, { signal })],
    ['getMany', (signal) => onlyAnswer(backend, key, signal)],
  ];
  if (backend.capabilities.list) calls.push(['list', (signal) => backend.list({ signal, limit: 10 })]);
  return calls;
}

/** What fails for one key alone is its answer; of a single key both are the same. */
async function onlyAnswer(backend: Backend, key: string, signal: AbortSignal): Promise<Entry | null> {
  const answer = (await backend.getMany([key], { signal })).get(key) ?? null;
  if (answer instanceof Error) throw answer;
  return answer;
}

/** The writing calls that the backend can do. */
export function writingCalls(
  backend: Backend,
  key: string,
  trial: Trial,
): readonly (readonly [string, (signal: AbortSignal) => Promise<unknown>])[] {
  const calls: (readonly [string, (signal: AbortSignal) => Promise<unknown>])[] = [];
  const expect = { kind: 'any' } as const;
  if (backend.capabilities.put) {
    calls.push([
      'put',
      (signal) => backend.put(key, trial.content(), { signal, expect, intentId: crypto.randomUUID() }),
    ]);
  }
  if (backend.capabilities.delete) calls.push(['delete', (signal) => backend.delete(key, { signal, expect })]);
  return calls;
}
