import { StrongroomError } from '@strongroom/contract/core';
import type { Entry } from '../../backend.ts';
import type { ConformanceCheck } from '../check.ts';
import { assert } from '../failure.ts';
import { assertEntry, holds } from '../content.ts';
import type { Trial } from '../trial.ts';

type Answers = ReadonlyMap<string, Entry | null | StrongroomError>;

export const manyChecks: readonly ConformanceCheck[] = [
  {
    name: 'get-many-agrees',
    needs: ['known keys'],
    about: 'Many keys at once have the answers that each has alone.',
    async run(trial) {
      const backend = await trial.open();
      const keys = await trial.knownKeys(backend, 5);
      const answers = await backend.getMany(keys, trial.options);
      for (const key of keys) {
        const [alone, answer] = [await backend.get(key, trial.options), entryOf(answers, key)];
        assert(alone !== null && answer !== null, 'a key that is known to be there is not found');
        assert(holds(answer, alone), 'the value is not what get reads');
        const sames = answer.shape === alone.shape && answer.version === alone.version;
        assert(sames, 'shape or version are not what get reads');
      }
    },
  },
  {
    name: 'get-many-every-key',
    needs: ['place'],
    about: 'More keys than one request takes: each has its answer, none is dropped.',
    async run(trial) {
      const backend = await trial.open();
      const seeded = await trial.seedMany('many', trial.manyKeys(backend.capabilities.batch));
      const answers = await backend.getMany([...seeded.keys()], trial.options);
      assertKeys(answers, [...seeded.keys()]);
      for (const [key, content] of seeded) assertEntry(entryOf(answers, key), content, 'one of many');
    },
  },
  {
    name: 'get-many-duplicates',
    needs: ['known keys'],
    about: 'A key that is asked for twice has one answer.',
    async run(trial) {
      const backend = await trial.open();
      const keys = await trial.knownKeys(backend, 3);
      const absent = await trial.absentKey(backend);
      const answers = await backend.getMany([...keys, absent, ...keys, absent, ...keys], trial.options);
      assertKeys(answers, [...keys, absent]);
      for (const key of keys) assert(entryOf(answers, key) !== null, 'a key that is known to be there is not found');
    },
  },
  {
    name: 'get-many-absent',
    needs: ['known keys'],
    about: 'A missing key among others is `null`, and the others are there.',
    async run(trial) {
      const backend = await trial.open();
      const keys = await trial.knownKeys(backend, 3);
      const absent = await trial.absentKey(backend);
      const answers = await backend.getMany([absent, ...keys], trial.options);
      assertKeys(answers, [absent, ...keys]);
      assert(entryOf(answers, absent) === null, 'something is there under a key that nobody wrote');
      for (const key of keys) assert(entryOf(answers, key) !== null, 'a missing key takes another with it');
    },
  },
  {
    name: 'get-many-absent-in-every-batch',
    needs: ['place'],
    about: 'Missing keys all over many batches are `null`; nobody gets the answer of a neighbour.',
    async run(trial) {
      const backend = await trial.open();
      const seeded = await trial.seedMany('mixed', trial.manyKeys(backend.capabilities.batch));
      const absent = [...seeded.keys()].filter((_, index) => index % 3 === 0);
      await Promise.all(absent.map((key) => trial.place.remove(key)));
      const answers = await backend.getMany([...seeded.keys()], trial.options);
      assertKeys(answers, [...seeded.keys()]);
      for (const [key, content] of seeded) {
        if (absent.includes(key)) assert(entryOf(answers, key) === null, 'what was deleted is there');
        else assertEntry(entryOf(answers, key), content, 'what was not deleted');
      }
    },
  },
  {
    name: 'get-many-none',
    needs: [],
    about: 'No keys have no answers.',
    async run(trial) {
      const backend = await trial.open();
      assert((await backend.getMany([], trial.options)).size === 0, 'there are answers for no keys');
    },
  },
  {
    name: 'get-many-bad-name-alone',
    needs: ['known keys'],
    about: 'A key that can not be a name there has an answer of its own, and the others are there.',
    async run(trial) {
      await assertBadNameAlone(trial);
    },
  },
];

async function assertBadNameAlone(trial: Trial): Promise<void> {
  const backend = await trial.open();
  const keys = await trial.knownKeys(backend, 2);
  const bad = [`${trial.name}/../x`, `${trial.name}\0`, `${trial.name}\n`];
  const answers = await backend.getMany([...bad, ...keys], trial.options);
  assertKeys(answers, [...bad, ...keys]);
  for (const key of bad) {
    const answer = answers.get(key);
    assert(answer === null || answer instanceof StrongroomError, 'something is there under a name that nothing has');
  }
  for (const key of keys) assert(entryOf(answers, key) !== null, 'a bad name takes another key with it');
}

function assertKeys(answers: Answers, keys: readonly string[]): void {
  const missing = keys.filter((key) => !answers.has(key)).length;
  assert(missing === 0, `${missing} of ${keys.length} keys have no answer`);
  assert(answers.size === new Set(keys).size, 'there are answers for keys that nobody asked for');
}

function entryOf(answers: Answers, key: string): Entry | null {
  const answer = answers.get(key);
  assert(answer !== undefined, 'a key has no answer');
  assert(!(answer instanceof StrongroomError), `a key failed with ${answer instanceof Error ? answer.code : ''}`);
  return answer;
}
