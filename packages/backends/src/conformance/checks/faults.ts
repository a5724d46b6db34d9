import type { ErrorCode } from '@strongroom/contract/errors';
import { expectCode, noError, errorOf, readingCalls, writingCalls, type ConformanceCheck } from '../check.ts';
import type { FaultKind } from '../context.ts';
import { assert, describeError } from '../failure.ts';
import { assertEntry, holds } from '../content.ts';
import type { Trial } from '../trial.ts';
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
    run: (trial) => assertThrown(trial, kind, codesOf[kind]),
  })),
  ...(['unreachable', 'denied', 'sealed', 'malformed', 'failing'] as const).map((kind): ConformanceCheck => ({
    name: `fault-${kind}-in-check`,
    needs: [`fault ${kind}`],
    about: `A tried connection with the trouble “${kind}” does not throw: a step says that it failed, those after it are skipped.`,
    run: (trial) => assertLinesSay(trial, kind, codesOf[kind]),
  })),
  {
    name: 'fault-cut-write-recognised',
    needs: ['fault cut', 'put', 'place'],
    about: 'After a write that was cut off, the id of the intent says whether it happened.',
    async run(trial) {
      const backend = await trial.open();
      const key = trial.key('cut');
      const [before, after] = [crypto.randomUUID(), crypto.randomUUID()];
      const [old, fresh] = [trial.content(), trial.content()];
      await put(trial, backend, key, old, before);
      const undo = await trial.inject('cut');
      await expectCode(() => put(trial, backend, key, fresh, after), ['backend_unavailable'], 'put');
      await undo();
      const entry = await backend.get(key, trial.options);
      assert(entry !== null, 'the entry is gone');
      const isOld = entry.intentId === before;
      assert(isOld || entry.intentId === after, 'the entry is of neither write');
      assertEntry(entry, isOld ? old : fresh, 'the entry that says which write it is of');
    },
  },
];

async function assertThrown(trial: Trial, kind: FaultKind, codes: readonly ErrorCode[]): Promise<void> {
  const [used, unused] = [await trial.open(), await trial.open()];
  const [key = ''] = await trial.knownKeys(used, 1);
  const before = await used.get(key, trial.options);
  assert(before !== null, 'a key that is known to be there is not found');
  const undo = await trial.inject(kind);
  for (const [backend, which] of [
    [used, 'one that was used'],
    [unused, 'a new one'],
  ] as const) {
    const calls = [...readingCalls(backend, key), ...readingCalls(backend, trial.key('absent'))];
    if (trial.context.place !== undefined) calls.push(...writingCalls(backend, trial.key('write'), trial));
    for (const [name, call] of calls) await expectCode(() => call(trial.signal), codes, `${name} of ${which}`);
  }
  await undo();
  for (const backend of [used, unused]) {
    const entry = await backend.get(key, trial.options);
    assert(entry !== null && holds(entry, before), 'when the trouble is over, the entry is not what it was');
  }
}

async function assertLinesSay(trial: Trial, kind: FaultKind, codes: readonly ErrorCode[]): Promise<void> {
  const backend = await trial.open();
  await trial.inject(kind);
  let lines: Awaited<ReturnType<typeof backend.check>> = [];
  const error = await errorOf(async () => {
    lines = await backend.check(trial.options);
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
