import type { Content } from '../../backend.ts';
import { errorOf, expectCode, noError, type ConformanceCheck } from '../check.ts';
import { assert, NotApplicable } from '../failure.ts';
import { sized } from '../samples.ts';
import { assertEntry } from '../content.ts';
import { put } from './writing.ts';

export const limitChecks: readonly ConformanceCheck[] = [
  {
    name: 'limit-taken',
    needs: ['put', 'place'],
    about: 'A value of just the declared size is written and read back whole.',
    async run(trial) {
      const backend = await trial.open();
      const bytes = trial.largestBytes(backend);
      for (const content of [sized(trial, bytes), sized(trial, bytes, true)]) {
        const key = trial.key('largest');
        await put(trial, backend, key, content);
        assertEntry(await backend.get(key, trial.options), content, `a value of ${bytes} bytes`);
      }
    },
  },
  {
    name: 'limit-refused-before-writing',
    needs: ['put', 'place'],
    about: 'A value over the declared size is `backend_limit`, and what was there is as it was.',
    async run(trial) {
      const backend = await trial.open();
      const limit = backend.capabilities.limits.valueBytes;
      if (limit > trial.largestBytes(backend)) throw new NotApplicable('the declared size is more than is tried here');
      const [key, fresh] = [trial.key('over'), trial.key('over-fresh')];
      const before = trial.content();
      await put(trial, backend, key, before);
      const version = (await backend.get(key, trial.options))?.version;
      for (const content of [sized(trial, limit + 1), sized(trial, limit + 2, true)]) {
        for (const target of [key, fresh]) {
          const write = () => put(trial, backend, target, content);
          await expectCode(write, ['backend_limit'], `a value of ${content.value.byteLength} bytes`);
        }
        const entry = await backend.get(key, trial.options);
        assertEntry(entry, before, 'after the refusal');
        assert(entry.version === version, 'the refusal changed the version');
        assert((await backend.get(fresh, trial.options)) === null, 'the refusal left an entry');
      }
    },
  },
  {
    name: 'limit-of-container',
    needs: ['put', 'place'],
    about: 'When the entries together are too large, the next write is `backend_limit` and the others stay.',
    async run(trial) {
      const backend = await trial.open();
      const { containerBytes, valueBytes } = backend.capabilities.limits;
      if (containerBytes === undefined) throw new NotApplicable('no limit of a container is declared');
      const size = Math.min(valueBytes, Math.ceil(containerBytes / 6));
      const written = new Map<string, Content>();
      let refusal: unknown = noError;
      for (let number = 0; number <= containerBytes / size + 1 && refusal === noError; number += 1) {
        const [key, content] = [trial.key(`fill-${number}`), sized(trial, size)];
        refusal = await errorOf(() => put(trial, backend, key, content));
        if (refusal === noError) written.set(key, content);
        else assert((await backend.get(key, trial.options)) === null, 'the refused write left an entry');
      }
      await expectCode(
        async () => {
          // What was thrown, whatever it is, is what is looked at.
          // oxlint-disable-next-line typescript/only-throw-error
          if (refusal !== noError) throw refusal;
        },
        ['backend_limit'],
        'more than the container takes',
      );
      assert(written.size > 0, 'the container took nothing');
      for (const [key, content] of written) {
        assertEntry(await backend.get(key, trial.options), content, 'an entry that was there before the refusal');
      }
    },
  },
];
