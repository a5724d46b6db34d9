import { StrongroomError } from '@strongroom/contract/core';
import { checkSteps, type Backend, type CheckLine } from '../../backend.ts';
import { errorOf, expectCode, noError, readingCalls, writingCalls, type ConformanceCheck } from '../check.ts';
import { assert, describeError } from '../failure.ts';
import type { Trial } from '../trial.ts';

/** What holds whatever is in the place: what is declared, trying the connection, closing. */
export const basicChecks: readonly ConformanceCheck[] = [
  {
    name: 'capabilities-consistent',
    needs: [],
    about: 'What is declared makes sense together, and stays the same.',
    async run(trial) {
      const backend = await trial.open();
      const { capabilities: declared } = backend;
      assert(/^[a-z][a-z0-9-]*$/.test(backend.type), 'the type is not a lower-case name');
      assert(Number.isInteger(declared.batch) && declared.batch >= 1, 'batch is not a whole number from 1 on');
      const { valueBytes, containerBytes } = declared.limits;
      assert(Number.isInteger(valueBytes) && valueBytes >= 1, 'limits.valueBytes is not a whole number from 1 on');
      const isWhole = containerBytes === undefined || containerBytes >= valueBytes;
      assert(isWhole, 'limits.containerBytes is smaller than limits.valueBytes');
      assert(!declared.cas || declared.put || declared.delete, 'cas is declared, and neither put nor delete');
      await backend.check(trial.options);
      const other = await trial.open();
      const isSame = JSON.stringify(other.capabilities) === JSON.stringify(backend.capabilities);
      assert(isSame, 'two instances declare different capabilities');
    },
  },
  {
    name: 'undeclared-not-supported',
    needs: [],
    about: 'A capability that is not declared is refused as `not_supported`.',
    async run(trial) {
      const backend = await trial.open();
      const { capabilities: declared } = backend;
      if (!declared.list) {
        await expectCode(() => backend.list({ ...trial.options, limit: 1 }), ['not_supported'], 'list');
      }
      if (trial.context.place === undefined) return;
      await assertUndeclaredWrites(trial, backend);
    },
  },
  {
    name: 'check-lines',
    needs: [],
    about: 'A tried connection that works says so, a line for each step, in their order.',
    async run(trial) {
      const backend = await trial.open();
      const lines = await backend.check(trial.options);
      assertLines(lines);
      const failed = lines.find(({ outcome }) => outcome === 'failed');
      assert(failed === undefined, `the step ${failed?.step} failed with ${failed?.code}`);
      assert(
        lines.some(({ outcome }) => outcome === 'ok'),
        'no step was tried',
      );
    },
  },
  {
    name: 'close-then-typed-error',
    needs: [],
    about: 'After `close` every call fails with a typed error; closing again is fine.',
    async run(trial) {
      const backend = await trial.open();
      await backend.close();
      await backend.close();
      const calls = [...readingCalls(backend, trial.key('closed'))];
      if (trial.context.place !== undefined) calls.push(...writingCalls(backend, trial.key('closed'), trial));
      for (const [name, call] of calls) {
        const error = await errorOf(() => call(trial.signal));
        assert(error !== noError, `${name} after close did not throw`);
        assert(error instanceof StrongroomError, `${name} after close: ${describeError(error)}`);
      }
    },
  },
  {
    name: 'close-of-one-leaves-others',
    needs: ['known keys'],
    about: 'Closing one instance does not disturb another over the same place.',
    async run(trial) {
      const [one, other] = [await trial.open(), await trial.open()];
      const [key = ''] = await trial.knownKeys(one, 1);
      await one.close();
      assert((await other.get(key, trial.options)) !== null, 'the other instance does not find what is there');
    },
  },
];

/** The shape of a tried connection, whatever it found. */
export function assertLines(lines: readonly CheckLine[]): void {
  assert(lines.length > 0, 'check has no lines');
  const places = lines.map(({ step }) => checkSteps.indexOf(step));
  assert(!places.includes(-1), 'check has a step that is not one of checkSteps');
  const isOrdered = places.every((place, index) => index === 0 || place >= (places[index - 1] ?? 0));
  assert(isOrdered, 'the steps are not in the order of checkSteps');
  const saysNothing = lines.some(({ message }) => message.trim() === '');
  assert(!saysNothing, 'a line has no message');
  const isUnexplained = lines.some(({ outcome, code }) => outcome === 'failed' && code === undefined);
  assert(!isUnexplained, 'a failed line has no code');
}

/** Not on a real backend: an instance that forgot to refuse would write there. */
async function assertUndeclaredWrites(trial: Trial, backend: Backend): Promise<void> {
  const { capabilities: declared } = backend;
  const key = trial.key('undeclared');
  const any = { ...trial.options, expect: { kind: 'any' } } as const;
  const conditional = { ...trial.options, expect: { kind: 'intent', intentId: crypto.randomUUID() } } as const;
  const put = (options: typeof any | typeof conditional) => () =>
    backend.put(key, trial.content(), { ...options, intentId: crypto.randomUUID() });
  if (!declared.put) await expectCode(put(any), ['not_supported'], 'put');
  if (!declared.delete) await expectCode(() => backend.delete(key, any), ['not_supported'], 'delete');
  if (declared.cas) return;
  if (declared.put) await expectCode(put(conditional), ['not_supported'], 'a put with an expectation');
  if (declared.delete) {
    await expectCode(() => backend.delete(key, conditional), ['not_supported'], 'a delete with an expectation');
  }
  assert((await backend.get(key, trial.options)) === null, 'something was written all the same');
}
