import { errorOf, expectCode, noError, readingCalls, writingCalls, type ConformanceCheck } from '../check.ts';
import { StrongroomError } from '@strongroom/contract/core';
import { assert, describeError } from '../failure.ts';
import type { Trial } from '../trial.ts';

type Call = readonly [string, (signal: AbortSignal) => Promise<unknown>];
const abortAfterMs = 20;

/** Calls end when their caller says so. */
export const signalChecks: readonly ConformanceCheck[] = [
  {
    name: 'abort-before',
    needs: [],
    about: 'A call whose signal has aborted already does nothing and is `deadline_exceeded`.',
    async run(trial) {
      for (const [name, call] of await callsOf(trial)) {
        await expectCode(() => inTime(trial, call(AbortSignal.abort())), ['deadline_exceeded'], name);
      }
    },
  },
  {
    name: 'abort-while-hanging',
    needs: ['fault hanging'],
    about: 'A call to a backend that does not answer ends soon after its signal, as `deadline_exceeded`.',
    async run(trial) {
      const calls = await callsOf(trial);
      await trial.inject('hanging');
      for (const [name, call] of calls) {
        const hung = () => inTime(trial, call(AbortSignal.timeout(abortAfterMs)));
        await expectCode(hung, ['deadline_exceeded'], name);
      }
    },
  },
  {
    name: 'abort-at-any-time',
    needs: ['known keys'],
    about:
      'A call whose signal aborts on the way has its answer or is `deadline_exceeded`, and the next one is answered.',
    async run(trial) {
      const backend = await trial.open();
      const [key = ''] = await trial.knownKeys(backend, 1);
      for (const delayMs of [0, 0, 1, 2, 4, 8]) {
        for (const [name, call] of readingCalls(backend, key)) {
          const aborter = new AbortController();
          const pending = errorOf(() => inTime(trial, call(aborter.signal)));
          setTimeout(() => aborter.abort(), delayMs);
          const error = await pending;
          const isLate = error instanceof StrongroomError && error.code === 'deadline_exceeded';
          assert(error === noError || isLate, `${name}: ${describeError(error)}`);
        }
      }
      assert((await backend.get(key, trial.options)) !== null, 'the call after those that were aborted finds nothing');
    },
  },
  {
    name: 'check-while-hanging',
    needs: ['fault hanging'],
    about: 'A tried connection to a backend that does not answer ends with its signal and says which step failed.',
    async run(trial) {
      const backend = await trial.open();
      await trial.inject('hanging');
      const lines = await inTime(trial, backend.check({ signal: AbortSignal.timeout(abortAfterMs) }));
      const failed = lines.find(({ outcome }) => outcome === 'failed');
      assert(failed !== undefined, 'no step failed');
      const isNamed = failed.code === 'deadline_exceeded' || failed.code === 'backend_unavailable';
      assert(isNamed, `the step ${failed.step} failed with ${failed.code}`);
    },
  },
];

/** Writing calls only where writing is allowed: an instance that ignores its signal would write. */
async function callsOf(trial: Trial): Promise<Call[]> {
  const backend = await trial.open();
  const key = trial.key('abort');
  const calls = [...readingCalls(backend, key)];
  if (trial.context.place !== undefined) calls.push(...writingCalls(backend, key, trial));
  return calls;
}

/** The call, or a failure when it outlasts its signal. */
async function inTime<T>(trial: Trial, call: Promise<T>): Promise<T> {
  const ms = trial.abortGraceMs + abortAfterMs;
  const { promise, reject } = Promise.withResolvers<never>();
  const late = new Error('late');
  const timer = setTimeout(() => reject(late), ms);
  try {
    return await Promise.race([call, promise]);
  } catch (error) {
    assert(error !== late, `a call goes on ${trial.abortGraceMs} ms after its signal`);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
