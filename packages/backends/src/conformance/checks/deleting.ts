import type { ConformanceCheck } from '../check.ts';
import { assert } from '../failure.ts';
import { assertEntry } from '../content.ts';

const any = { kind: 'any' } as const;

export const deletingChecks: readonly ConformanceCheck[] = [
  {
    name: 'delete-removes',
    needs: ['delete', 'place'],
    about: 'What is deleted is not there any more, for every instance and every way of reading.',
    async run(trial) {
      const [one, other] = [await trial.open(), await trial.open()];
      const key = trial.key('delete');
      await trial.seed(key);
      await one.delete(key, { ...trial.options, expect: any });
      for (const backend of [one, other]) {
        assert((await backend.get(key, trial.options)) === null, 'get finds it');
        assert((await backend.getMany([key], trial.options)).get(key) === null, 'getMany finds it');
      }
    },
  },
  {
    name: 'delete-absent',
    needs: ['delete', 'place'],
    about: 'The delete of what is not there is success, also the second time.',
    async run(trial) {
      const backend = await trial.open();
      const [never, once] = [trial.key('never'), trial.key('once')];
      await backend.delete(never, { ...trial.options, expect: any });
      await trial.seed(once);
      for (let time = 0; time < 2; time += 1) await backend.delete(once, { ...trial.options, expect: any });
      assert((await backend.get(once, trial.options)) === null, 'what was deleted is there');
    },
  },
  {
    name: 'delete-one-only',
    needs: ['delete', 'place'],
    about: 'A delete takes one entry: what is beside it, or has its name as a beginning, stays.',
    async run(trial) {
      const backend = await trial.open();
      const key = trial.key('one');
      const nested = trial.context.keyKinds?.includes('nested') === true ? [trial.named('$-one/below')] : [];
      const others = [trial.key('one-more'), trial.key('on'), ...nested];
      const contents = new Map(
        await Promise.all(others.map(async (other) => [other, await trial.seed(other)] as const)),
      );
      await trial.seed(key);
      await backend.delete(key, { ...trial.options, expect: any });
      assert((await backend.get(key, trial.options)) === null, 'what was deleted is there');
      for (const [other, content] of contents) {
        assertEntry(await backend.get(other, trial.options), content, 'an entry beside the deleted one');
      }
    },
  },
];
