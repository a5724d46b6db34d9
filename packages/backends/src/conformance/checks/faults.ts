import type { ErrorCode } from '@strongroom/contract/errors';
import { expectCode, noError, errorOf, readingCalls, writingCalls, type ConformanceCheck } from '../check.ts';
import type { FaultKind } from '../context.ts';
import { assert, describeError } from '../failure.ts';
import { assertEntry, holds, type CheckScope } from '../scope.ts';
import { assertLines } from './basics.ts';
import { put } from './writing.ts';

/** What each trouble is called. A hanging backend is left to `signals.ts`. */
const codesOf: Readonly<Record<Exclude<FaultKind, 'hanging'>, readonly ErrorCode[]>> = {
  unreachable: ['backend_unavailable'],
  cut: ['backend_unavailable'],
  failing: ['backend_unavailable'],
  throttled: ['backend_throttled'],
  denied: ['backend_denied'],
  sealed: ['backend_sealed'],
  malformed: ['backend_malformed'],
};

/** An outage, a refusal and an answer that can't be read are errors, never absence and never an empty list. */
export const faultChecks: readonly ConformanceCheck[] = [
  ...(Object.keys(codesOf) as Exclude<FaultKind, 'hanging'>[]).map((kind): ConformanceCheck => ({
    name: `fault-${kind}-thrown`,
    needs: [`fault ${kind}`, 'known keys'],
    about: `The trouble “${kind}” is thrown as ${codesOf[kind].join(' or ')} by every call, never absence, and passes with its cause.`,
    run: (scope) => assertThrown(scope, kind, codesOf[kind]),
  })),
  ...(['unreachable', 'denied', 'sealed', 'malformed', 'failing'] as const).map((kind): ConformanceCheck => ({
    name: `fault-${kind}-in-check`,
    needs: [`fault ${kind}`],
    about: `A tried connection with the trouble “${kind}” does not throw: a step says that it failed, those after it are skipped.`,
    run: (scope) => assertLinesSay(scope, kind, codesOf[kind]),
  })),
  {
    name: 'fault-cut-write-recognised',
    needs: ['fault cut', 'put', 'place'],
    about: 'After a write that was cut off, the id of the intent says whether it happened.',
    async run(scope) {
      const backend = await scope.open();
      const key = scope.key('cut');
      const [before, after] = [crypto.randomUUID(), crypto.randomUUID()];
      const [old, fresh] = [scope.content(), scope.content()];
      await put(scope, backend, key, old, before);
      const undo = await scope.inject('cut');
      await expectCode(() => put(scope, backend, key, fresh, after), ['backend_unavailable'], 'put');
      await undo();
      const entry = await backend.get(key, scope.options);
      assert(entry !== null, 'the entry is gone');
      const isOld = entry.intentId === before;
      assert(isOld || entry.intentId === after, 'the entry is of neither write');
      assertEntry(entry, isOld ? old : fresh, 'the entry that says which write it is of');
    },
  },
];

async function assertThrown(scope: CheckScope, kind: FaultKind, codes: readonly ErrorCode[]): Promise<void> {
  const [used, unused] = [await scope.open(), await scope.open()];
  const [key = ''] = await scope.knownKeys(used, 1);
  const before = await used.get(key, scope.options);
  assert(before !== null, 'a key that is known to be there is not found');
  const undo = await scope.inject(kind);
  for (const [backend, which] of [
    [used, 'one that was used'],
    [unused, 'a new one'],
  ] as const) {
    const calls = [...readingCalls(backend, key), ...readingCalls(backend, scope.key('absent'))];
    if (scope.context.place !== undefined) calls.push(...writingCalls(backend, scope.key('write'), scope));
    for (const [name, call] of calls) await expectCode(() => call(scope.signal), codes, `${name} of ${which}`);
  }
  await undo();
  for (const backend of [used, unused]) {
    const entry = await backend.get(key, scope.options);
    assert(entry !== null && holds(entry, before), 'when the trouble is over, the entry is not what it was');
  }
}

async function assertLinesSay(scope: CheckScope, kind: FaultKind, codes: readonly ErrorCode[]): Promise<void> {
  const backend = await scope.open();
  await scope.inject(kind);
  let lines: Awaited<ReturnType<typeof backend.check>> = [];
  const error = await errorOf(async () => {
    lines = await backend.check(scope.options);
  });
  assert(error === noError, `check: ${describeError(error)}`);
  assertLines(lines);
  const failedAt = lines.findIndex(({ outcome }) => outcome === 'failed');
  const failed = lines[failedAt];
  assert(failed !== undefined, 'no step failed');
  const isNamed = failed.code !== undefined && codes.includes(failed.code);
  assert(isNamed, `the step ${failed.step} failed with ${failed.code} instead of ${codes.join(' or ')}`);
  if (kind !== 'unreachable') return;
  const later = lines.slice(failedAt + 1).find(({ outcome }) => outcome !== 'skipped');
  assert(later === undefined, `the step ${later?.step} after the one that failed is ${later?.outcome}, not skipped`);
}
