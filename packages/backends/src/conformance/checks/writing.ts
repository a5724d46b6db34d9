import { SecretValue } from '@strongroom/crypto';
import { StrongroomError } from '@strongroom/contract/core';
import type { Backend, Content } from '../../backend.ts';
import { errorOf, noError, refusals, type ConformanceCheck } from '../check.ts';
import { assert, describeError } from '../failure.ts';
import { binaryContents, fieldsContents, sampleContents, textSamples } from '../samples.ts';
import { assertEntry } from '../content.ts';
import type { Trial } from '../trial.ts';

export const writingChecks: readonly ConformanceCheck[] = [
  ...Object.keys(textSamples).map((sample): ConformanceCheck => ({
    name: `put-${sample}`,
    needs: ['put', 'place'],
    about: `What is written is read back byte for byte: ${sample}.`,
    run: (trial) => writeBack(trial, sampleContents(trial, sample)),
  })),
  {
    name: 'put-empty',
    needs: ['put', 'place', 'empty'],
    about: 'An empty value is written as a value.',
    run: (trial) => writeBack(trial, [trial.content('')]),
  },
  {
    name: 'put-binary',
    needs: ['put', 'place', 'binary'],
    about: 'Bytes that are no text are written as they are.',
    run: (trial) => writeBack(trial, binaryContents()),
  },
  {
    name: 'put-fields',
    needs: ['put', 'place', 'fields'],
    about: 'Fields are written under their names, also those that objects treat specially.',
    run: (trial) => writeBack(trial, fieldsContents(trial)),
  },
  {
    name: 'put-kept-or-refused',
    needs: ['put', 'place'],
    about:
      'What the place may be unable to keep (NUL, an empty value, bytes) is kept exactly or refused, never altered.',
    async run(trial) {
      const backend = await trial.open();
      const contents = [trial.content(`${trial.text()}\0tail`), trial.content(''), ...binaryContents()];
      for (const [index, content] of contents.entries()) {
        const key = trial.key(`kept-${index}`);
        const error = await errorOf(() => put(trial, backend, key, content));
        if (error === noError) {
          assertEntry(await backend.get(key, trial.options), content, `sample ${index + 1}`);
          continue;
        }
        const isRefused = error instanceof StrongroomError && refusals.includes(error.code);
        assert(isRefused, `sample ${index + 1}: ${describeError(error)}`);
        assert((await backend.get(key, trial.options)) === null, 'a value that was refused left an entry');
      }
    },
  },
  {
    name: 'put-seen-by-others',
    needs: ['put', 'place'],
    about: 'What was written is there for every instance when the write has ended.',
    async run(trial) {
      const [one, other] = [await trial.open(), await trial.open()];
      const key = trial.key('seen');
      for (let round = 1; round <= 3; round += 1) {
        const content = trial.content();
        await put(trial, one, key, content);
        assertEntry(await other.get(key, trial.options), content, `at another instance, after write ${round}`);
        assertEntry(await one.get(key, trial.options), content, `at the same instance, after write ${round}`);
      }
    },
  },
  {
    name: 'put-whole',
    needs: ['put', 'place', 'fields'],
    about: 'A write replaces the entry whole: fields that it does not have are gone.',
    async run(trial) {
      const backend = await trial.open();
      const key = trial.key('whole');
      const fields = (text: string): Content => ({ value: SecretValue.fromText(text), shape: 'fields' });
      await put(trial, backend, key, fields(`{"first":"${trial.text()}","second":"2"}`));
      const second = fields(`{"second":"${trial.text()}"}`);
      await put(trial, backend, key, second);
      assertEntry(await backend.get(key, trial.options), second, 'after a write with fewer fields');
    },
  },
  {
    name: 'put-version',
    needs: ['put', 'place'],
    about: 'The version that a write returns is the one that is then read.',
    async run(trial) {
      const backend = await trial.open();
      const key = trial.key('version');
      const seen = new Set<string>();
      for (let round = 0; round < 3; round += 1) {
        const { version } = await put(trial, backend, key, trial.content());
        const entry = await backend.get(key, trial.options);
        assert(entry !== null, 'what was written is not there');
        assert(entry.version === version, 'the version that is read is not the one that the write returned');
        if (version === null) continue;
        assert(!seen.has(version), 'a write returned a version that was there before');
        seen.add(version);
      }
    },
  },
  {
    name: 'put-intent-kept',
    needs: ['put', 'place'],
    about: 'The id of the intent is kept with the entry and read with it, by every way of reading.',
    async run(trial) {
      const [backend, other] = [await trial.open(), await trial.open()];
      const key = trial.key('intent');
      for (let round = 0; round < 2; round += 1) {
        const intentId = crypto.randomUUID();
        await put(trial, backend, key, trial.content(), intentId);
        const entry = await other.get(key, trial.options);
        assert(entry?.intentId === intentId, 'the entry does not have the id of the write that left it');
        const answer = (await other.getMany([key], trial.options)).get(key) ?? null;
        const isThere = answer !== null && !(answer instanceof Error) && answer.intentId === intentId;
        assert(isThere, 'getMany does not have the id of the write that left the entry');
      }
    },
  },
  {
    name: 'put-neighbours-at-once',
    needs: ['put', 'place'],
    about: 'Writes of different keys at the same time all stay, also where they share one object.',
    async run(trial) {
      const backends = [await trial.open(), await trial.open()];
      const contents = Array.from(
        { length: 10 },
        (_, index) => [trial.key(`at-once-${index}`), trial.content()] as const,
      );
      await Promise.all(
        contents.map(([key, content], index) => {
          const backend = backends[index % 2];
          assert(backend !== undefined, 'no instance');
          return put(trial, backend, key, content);
        }),
      );
      const reader = await trial.open();
      for (const [key, content] of contents) {
        assertEntry(await reader.get(key, trial.options), content, 'one of ten writes at the same time');
      }
    },
  },
  {
    name: 'put-listed',
    needs: ['put', 'list', 'place'],
    about: 'What was written is listed under its key.',
    async run(trial) {
      const backend = await trial.open();
      const key = trial.key('put-listed');
      await put(trial, backend, key, trial.content());
      let cursor: string | null = null;
      do {
        const page = await backend.list({ ...trial.options, limit: 100, ...(cursor === null ? {} : { cursor }) });
        if (page.items.some((item) => item.key === key)) return;
        cursor = page.nextCursor;
      } while (cursor !== null);
      assert(false, 'what was written is not listed');
    },
  },
];

/** A write that expects nothing. */
export function put(
  trial: Trial,
  backend: Backend,
  key: string,
  content: Content,
  intentId: string = crypto.randomUUID(),
): Promise<{ readonly version: string | null }> {
  return backend.put(key, content, { ...trial.options, expect: { kind: 'any' }, intentId });
}

async function writeBack(trial: Trial, contents: readonly Content[]): Promise<void> {
  const backend = await trial.open();
  for (const [index, content] of contents.entries()) {
    const key = trial.key(`write-${index}`);
    await put(trial, backend, key, content);
    assertEntry(await backend.get(key, trial.options), content, `sample ${index + 1}`);
  }
}
