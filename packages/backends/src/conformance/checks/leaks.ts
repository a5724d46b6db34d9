import { StrongroomError } from '@strongroom/contract/core';
import { SecretValue } from '@strongroom/crypto';
import type { Backend, Content } from '../../backend.ts';
import { errorOf, noError, readingCalls, type ConformanceCheck } from '../check.ts';
import { faultKinds } from '../context.ts';
import { assert, describeError, NotApplicable } from '../failure.ts';
import { leakIn } from '../leaks.ts';
import { sized } from '../samples.ts';
import type { Trial } from '../trial.ts';
import { put } from './writing.ts';

const hangMs = 20;

/** No error holds a value, a credential or a part of the answer. */
export const leakChecks: readonly ConformanceCheck[] = [
  {
    name: 'error-without-answer',
    needs: ['known keys'],
    about: 'Errors of every trouble hold neither a credential nor a part of the answer, also not in their causes.',
    async run(trial) {
      const kinds = faultKinds.filter((kind) => trial.context.faults?.[kind] !== undefined);
      if (kinds.length === 0) throw new NotApplicable('no fault was given');
      const backend = await trial.open();
      const [key = ''] = await trial.knownKeys(backend, 1);
      for (const kind of kinds) {
        const echo = trial.text();
        const undo = await trial.inject(kind, echo);
        for (const instance of [backend, await trial.open()]) {
          for (const [name, call] of readingCalls(instance, key)) {
            const error = await errorOf(() => call(AbortSignal.timeout(kind === 'hanging' ? hangMs : 10_000)));
            assert(error !== noError, `with the trouble “${kind}”, ${name} did not throw`);
            assertClean(trial, error, [echo], `${name} with the trouble “${kind}”`);
          }
          const lines = await instance.check({ signal: AbortSignal.timeout(kind === 'hanging' ? hangMs : 10_000) });
          assertClean(trial, lines, [echo], `check with the trouble “${kind}”`);
        }
        await undo();
      }
    },
  },
  {
    name: 'error-without-value',
    needs: ['put', 'place'],
    about: 'Errors of writes that are refused, conflict or fail, hold nothing of the value.',
    async run(trial) {
      const backend = await trial.open();
      const key = trial.key('refused');
      await put(trial, backend, key, trial.content());
      const refused = await refusedWrites(trial, backend, key);
      for (const [what, write, value] of refused) {
        const error = await errorOf(write);
        if (error === noError) continue;
        assert(error instanceof StrongroomError, `${what}: ${describeError(error)}`);
        assertClean(trial, error, [value], what);
      }
      for (const kind of faultKinds.filter((fault) => trial.context.faults?.[fault] !== undefined)) {
        const undo = await trial.inject(kind);
        const text = trial.text();
        const signal = AbortSignal.timeout(kind === 'hanging' ? hangMs : 10_000);
        const options = { signal, expect: { kind: 'any' }, intentId: crypto.randomUUID() } as const;
        const error = await errorOf(() => backend.put(key, trial.content(text), options));
        assert(error !== noError, `with the trouble “${kind}”, put did not throw`);
        assertClean(trial, error, [text], `put with the trouble “${kind}”`);
        await undo();
      }
    },
  },
  {
    name: 'error-without-value-at-rest',
    needs: ['place'],
    about: 'Errors about an entry that is there hold nothing of its value.',
    async run(trial) {
      const backend = await trial.open();
      const key = trial.key('at-rest');
      const text = trial.text();
      await trial.seed(key, trial.content(text));
      await backend.get(key, trial.options);
      const kinds = faultKinds.filter((fault) => trial.context.faults?.[fault] !== undefined);
      if (kinds.length === 0) throw new NotApplicable('no fault was given');
      for (const kind of kinds) {
        const undo = await trial.inject(kind, text);
        for (const [name, call] of readingCalls(backend, key)) {
          const error = await errorOf(() => call(AbortSignal.timeout(kind === 'hanging' ? hangMs : 10_000)));
          assert(error !== noError, `with the trouble “${kind}”, ${name} did not throw`);
          assertClean(trial, error, [text], `${name} with the trouble “${kind}”`);
        }
        await undo();
      }
    },
  },
  {
    name: 'entry-prints-nothing',
    needs: ['known keys'],
    about: 'An entry that is printed or made JSON shows nothing of its value.',
    async run(trial) {
      const backend = await trial.open();
      for (const key of await trial.knownKeys(backend, 3)) {
        const entry = await backend.get(key, trial.options);
        assert(entry !== null, 'a key that is known to be there is not found');
        const place = leakIn(entry, [Buffer.from(entry.value.reveal()).toString('utf8')]);
        assert(place === null, 'the value is printed with the entry');
        entry.value.destroy();
      }
    },
  },
];

type RefusedWrite = readonly [string, () => Promise<unknown>, string];

async function refusedWrites(trial: Trial, backend: Backend, key: string): Promise<RefusedWrite[]> {
  const write = (what: string, target: string, content: Content, expectAbsent = false): RefusedWrite => {
    const expect = expectAbsent ? ({ kind: 'absent' } as const) : ({ kind: 'any' } as const);
    const options = { ...trial.options, expect, intentId: crypto.randomUUID() };
    const value = Buffer.from(content.value.reveal()).toString('latin1').slice(0, 2048);
    return [what, () => backend.put(target, content, options), canaryIn(value)];
  };
  const writes = [
    write('a write under a name that cannot be', trial.named('$/../\0'), trial.content()),
    write('a write of NUL', key, trial.content(`${trial.text()}\0`)),
    write('a write of bytes', key, {
      value: SecretValue.fromBytes(Buffer.from(`${trial.text()}\xff`, 'latin1')),
      shape: 'binary',
    }),
    write('a write of fields that are none', key, {
      value: SecretValue.fromText(`{"a":"${trial.text()}"`),
      shape: 'fields',
    }),
  ];
  if (backend.capabilities.cas) writes.push(write('a write that conflicts', key, trial.content(), true));
  const limit = backend.capabilities.limits.valueBytes;
  if (limit <= trial.largestBytes(backend)) writes.push(write('a write over the limit', key, sized(trial, limit + 1)));
  return writes;
}

/** The canary within a content. */
function canaryIn(text: string): string {
  return /canary[0-9a-f]+/.exec(text)?.[0] ?? text;
}

function assertClean(trial: Trial, error: unknown, texts: readonly string[], what: string): void {
  const credentials = (trial.context.credentials ?? []).map((value) => Buffer.from(value.reveal()).toString('utf8'));
  const place = leakIn(error, texts);
  assert(place === null, `${what}: ${place} holds a value or a part of the answer`);
  const credentialPlace = leakIn(error, credentials);
  assert(credentialPlace === null, `${what}: ${credentialPlace} holds a credential`);
}
