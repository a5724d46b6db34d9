import type { ConformanceCheck } from '../check.ts';
import { assert } from '../failure.ts';
import { assertEntry } from '../scope.ts';

const any = { kind: 'any' } as const;

export const deletingChecks: readonly ConformanceCheck[] = [
  {
    name: 'delete-removes',
    needs: ['delete', 'place'],
    about: 'What is deleted is not there any more, for every instance and every way of reading.',
    async run(scope) {
      const [one, other] = [await scope.open(), await scope.open()];
      const key = scope.key('delete');
      await scope.seed(key);
      await one.delete(key, { ...scope.options, expect: any });
      for (const backend of [one, other]) {
        assert((await backend.get(key, scope.options)) === null, 'get finds it');
        assert((await backend.getMany([key], scope.options)).get(key) === null, 'getMany finds it');
      }
    },
  },
  {
    name: 'delete-absent',
    needs: ['delete', 'place'],
    about: 'The delete of what is not there is success, also the second time.',
    async run(scope) {
      const backend = await scope.open();
      const [never, once] = [scope.key('never'), scope.key('once')];
      await backend.delete(never, { ...scope.options, expect: any });
      await scope.seed(once);
      for (let time = 0; time < 2; time += 1) await backend.delete(once, { ...scope.options, expect: any });
      assert((await backend.get(once, scope.options)) === null, 'what was deleted is there');
    },
  },
  {
    name: 'delete-one-only',
    needs: ['delete', 'place'],
    about: 'A delete takes one entry: what is beside it, or has its name as a beginning, stays.',
    async run(scope) {
      const backend = await scope.open();
      const key = scope.key('one');
      const nested = scope.context.keyKinds?.includes('nested') === true ? [`${key}/below`] : [];
      const others = [scope.key('one-more'), scope.key('on'), ...nested.map((name) => scope.own(name))];
      const contents = new Map(
        await Promise.all(others.map(async (other) => [other, await scope.seed(other)] as const)),
      );
      await scope.seed(key);
      await backend.delete(key, { ...scope.options, expect: any });
      assert((await backend.get(key, scope.options)) === null, 'what was deleted is there');
      for (const [other, content] of contents) {
        assertEntry(await backend.get(other, scope.options), content, 'an entry beside the deleted one');
      }
    },
  },
];
