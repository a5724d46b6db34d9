import { StrongroomError } from '@strongroom/contract/core';
import { SecretValue } from '@strongroom/crypto';
import type { Content, Entry } from '../../backend.ts';
import { expectCode, type ConformanceCheck } from '../check.ts';
import { assert } from '../failure.ts';
import { binaryContents, fieldsContents, sampleContents, sized, textSamples } from '../samples.ts';
import { assertEntry, fieldPairs, holds } from '../content.ts';
import type { Trial } from '../trial.ts';

const dayMs = 86_400_000;

/** What is there is read as it is; what isn't is `null`. */
export const readingChecks: readonly ConformanceCheck[] = [
  ...Object.keys(textSamples).map((sample): ConformanceCheck => ({
    name: `get-${sample}`,
    needs: ['place'],
    about: `What is there is read byte for byte: ${sample}.`,
    run: (trial) => readBack(trial, sampleContents(trial, sample)),
  })),
  {
    name: 'get-empty',
    needs: ['place', 'empty'],
    about: 'An empty value is a value, not absence.',
    run: (trial) => readBack(trial, [trial.content('')]),
  },
  {
    name: 'get-binary',
    needs: ['place', 'binary'],
    about: 'Bytes that are no text are read as they are, and as bytes.',
    run: (trial) => readBack(trial, binaryContents()),
  },
  {
    name: 'get-fields',
    needs: ['place', 'fields'],
    about: 'Fields are read under their names, also those that objects treat specially.',
    run: (trial) => readBack(trial, fieldsContents(trial)),
  },
  {
    name: 'get-largest',
    needs: ['place'],
    about: 'A value of just the declared size is read whole.',
    async run(trial) {
      const backend = await trial.open();
      const bytes = trial.largestBytes(backend);
      await readBack(trial, [sized(trial, bytes), sized(trial, bytes, true)]);
    },
  },
  {
    name: 'get-entry-consistent',
    needs: ['known keys'],
    about: 'Of an entry that is there, shape, names of fields, version and time agree with its value.',
    async run(trial) {
      const backend = await trial.open();
      const keys = await trial.knownKeys(backend, 5);
      for (const key of keys) {
        const entry = await backend.get(key, trial.options);
        assert(entry !== null, 'a key that is known to be there is not found');
        assertConsistent(entry);
        entry.value.destroy();
      }
    },
  },
  {
    name: 'get-absent',
    needs: ['known keys'],
    about: 'A key under which nothing is, is `null`.',
    async run(trial) {
      const backend = await trial.open();
      const entry = await backend.get(await trial.absentKey(backend), trial.options);
      assert(entry === null, 'something is there under a key that nobody wrote');
    },
  },
  {
    name: 'get-removed',
    needs: ['place'],
    about: 'What was deleted is not there any more.',
    async run(trial) {
      const [backend, other] = [await trial.open(), await trial.open()];
      const key = trial.key('removed');
      await trial.seed(key);
      assert((await backend.get(key, trial.options)) !== null, 'what was written is not there');
      await trial.place.remove(key);
      assert((await backend.get(key, trial.options)) === null, 'the instance that read it still finds it');
      assert((await other.get(key, trial.options)) === null, 'another instance still finds it');
    },
  },
  {
    name: 'get-soft-deleted',
    needs: ['place', 'place.softDelete'],
    about: 'What is deleted there and may come back is `backend_deleted`, not absence, and takes no other key with it.',
    async run(trial) {
      const backend = await trial.open();
      const [key, other] = [trial.key('soft'), trial.key('other')];
      await trial.seed(key);
      const content = await trial.seed(other);
      await trial.place.softDelete?.(key);
      await expectCode(() => backend.get(key, trial.options), ['backend_deleted'], 'get');
      const answers = await backend.getMany([key, other], trial.options);
      const answer = answers.get(key);
      const isTold = answer instanceof StrongroomError && answer.code === 'backend_deleted';
      assert(isTold, 'getMany does not have backend_deleted as its answer');
      const alive = answers.get(other) ?? null;
      assert(!(alive instanceof StrongroomError), 'getMany fails for the other key');
      assertEntry(alive, content, 'the other key');
    },
  },
  {
    name: 'get-fresh',
    needs: ['place'],
    about: 'A change from outside is read at once: nothing older is kept.',
    async run(trial) {
      const backend = await trial.open();
      const key = trial.key('fresh');
      assert((await backend.get(key, trial.options)) === null, 'something is there before it was written');
      for (let round = 0; round < 3; round += 1) {
        const content = await trial.seed(key);
        assertEntry(await backend.get(key, trial.options), content, `after change ${round + 1}`);
        const answer = (await backend.getMany([key], trial.options)).get(key) ?? null;
        assert(!(answer instanceof Error), 'getMany fails for a key that get reads');
        assertEntry(answer, content, `by getMany after change ${round + 1}`);
      }
    },
  },
  {
    name: 'get-at-once',
    needs: ['known keys'],
    about: 'Reads at the same time have each their own answer.',
    async run(trial) {
      const backend = await trial.open();
      const keys = await trial.knownKeys(backend, 12);
      const alone: (Entry | null)[] = [];
      for (const key of keys) alone.push(await backend.get(key, trial.options));
      const together = await Promise.all(keys.map((key) => backend.get(key, trial.options)));
      for (const [index, entry] of together.entries()) {
        const before = alone[index] ?? null;
        assert(entry !== null && before !== null, 'a key that is known to be there is not found');
        assert(holds(entry, before), 'a read among others has not the answer that it has alone');
      }
    },
  },
  {
    name: 'get-own-copy',
    needs: ['known keys'],
    about: 'A value that a caller destroys is still there for the next one.',
    async run(trial) {
      const backend = await trial.open();
      const [key = ''] = await trial.knownKeys(backend, 1);
      const first = await backend.get(key, trial.options);
      assert(first !== null, 'a key that is known to be there is not found');
      const kept: Content = { shape: first.shape, value: SecretValue.fromBytes(first.value.reveal()) };
      first.value.destroy();
      const second = await backend.get(key, trial.options);
      assert(second !== null && holds(second, kept), 'the second read is not what the first one was');
    },
  },
];

/** Seeds each content under a key of its own, and over one another under a single key. */
async function readBack(trial: Trial, contents: readonly Content[]): Promise<void> {
  const backend = await trial.open();
  for (const [index, content] of contents.entries()) {
    const key = trial.key(`read-${index}`);
    await trial.seed(key, content);
    const entry = await backend.get(key, trial.options);
    assertEntry(entry, content, `sample ${index + 1}`);
    assertConsistent(entry);
  }
}

function assertConsistent(entry: Entry): void {
  const bytes = entry.value.reveal();
  if (entry.shape === 'fields') {
    const pairs = fieldPairs(bytes);
    assert(pairs !== null, 'the shape is fields, and the value is not a JSON object of strings');
    const names = JSON.stringify(pairs.map(([name]) => name));
    assert(JSON.stringify(entry.fieldNames) === names, 'fieldNames are not the names of the value, in its order');
  } else {
    assert(entry.fieldNames === null, 'fieldNames are there though the shape is not fields');
  }
  const isText = Buffer.from(bytes).equals(Buffer.from(Buffer.from(bytes).toString('utf8')));
  assert(entry.shape !== 'text' || isText, 'the shape is text, and the value is not UTF-8');
  assert(entry.version !== '', 'the version is empty');
  const isTime = entry.updatedAt === null || (entry.updatedAt > dayMs && entry.updatedAt < Date.now() + dayMs);
  assert(isTime, 'updatedAt is no time in milliseconds that has been');
}
