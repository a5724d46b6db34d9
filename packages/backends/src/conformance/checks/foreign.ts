import { StrongroomError } from '@strongroom/contract/core';
import type { ErrorCode } from '@strongroom/contract/errors';
import { errorOf, noError, refusals, type ConformanceCheck } from '../check.ts';
import type { ForeignThing } from '../context.ts';
import { assert, describeError, NotApplicable } from '../failure.ts';
import { assertEntry, type CheckScope } from '../scope.ts';
import { allListed } from './listing.ts';
import { put } from './writing.ts';

const any = { kind: 'any' } as const;
/** How a write over somebody else's may be refused. */
const foreignRefusals: ReadonlySet<ErrorCode> = new Set([...refusals, 'backend_denied', 'version_conflict']);

/** What is somebody else's is never listed as ours, changed or deleted. */
export const foreignChecks: readonly ConformanceCheck[] = [
  {
    name: 'foreign-kept-by-put',
    needs: ['put', 'place', 'foreign.beside'],
    about: 'A write keeps what somebody else has in the same object.',
    async run(scope) {
      const backend = await scope.open();
      const key = scope.key('beside');
      await put(scope, backend, key, scope.content());
      const thing = await besideOf(scope, key);
      const content = scope.content();
      await put(scope, backend, key, content);
      await assertUntouched(thing, 'the write');
      assertEntry(await backend.get(key, scope.options), content, 'after the write');
      await put(scope, backend, scope.key('beside-new'), scope.content());
      await assertUntouched(thing, 'the write of another key');
    },
  },
  {
    name: 'foreign-kept-by-delete',
    needs: ['delete', 'place', 'foreign.inPlaceOf'],
    about: 'A delete leaves what is somebody else’s, though it stands where ours would be.',
    async run(scope) {
      const backend = await scope.open();
      const key = scope.key('not-ours');
      const thing = await inPlaceOf(scope, key);
      const error = await errorOf(() => backend.delete(key, { ...scope.options, expect: any }));
      assertRefusedOr(error);
      await assertUntouched(thing, 'the delete');
    },
  },
  {
    name: 'foreign-not-overwritten',
    needs: ['put', 'place', 'foreign.inPlaceOf'],
    about: 'A write over what is somebody else’s is refused.',
    async run(scope) {
      const backend = await scope.open();
      const key = scope.key('taken');
      const thing = await inPlaceOf(scope, key);
      const expectations = backend.capabilities.cas ? [any, { kind: 'absent' } as const] : [any];
      for (const expect of expectations) {
        const write = () =>
          backend.put(key, scope.content(), { ...scope.options, expect, intentId: crypto.randomUUID() });
        const error = await errorOf(write);
        assert(error !== noError, 'the write was not refused');
        assertRefusedOr(error);
        await assertUntouched(thing, 'the write');
      }
    },
  },
  {
    name: 'foreign-not-listed',
    needs: ['list', 'place', 'foreign.inPlaceOf'],
    about: 'What is somebody else’s is not listed as ours, and hides nothing of ours.',
    async run(scope) {
      const backend = await scope.open();
      const [theirs, ours] = [scope.key('theirs'), scope.key('ours')];
      await inPlaceOf(scope, theirs);
      await scope.seed(ours);
      const listed = await allListed(scope, backend, 100);
      assert(!listed.includes(theirs), 'it is listed');
      assert(listed.includes(ours), 'ours is not listed');
    },
  },
];

async function besideOf(scope: CheckScope, key: string): Promise<ForeignThing> {
  const thing = await scope.context.foreign?.beside?.(key);
  return planted(scope, thing);
}

async function inPlaceOf(scope: CheckScope, key: string): Promise<ForeignThing> {
  const thing = await scope.context.foreign?.inPlaceOf?.(key);
  return planted(scope, thing);
}

function planted(scope: CheckScope, thing: ForeignThing | undefined): ForeignThing {
  if (thing === undefined) throw new NotApplicable('nothing of somebody else was given');
  scope.afterwards(() => thing.remove());
  return thing;
}

async function assertUntouched(thing: ForeignThing, by: string): Promise<void> {
  assert(await thing.isUntouched(), `${by} changed or took away what is somebody else’s`);
}

function assertRefusedOr(error: unknown): void {
  const isRefused = error instanceof StrongroomError && foreignRefusals.has(error.code);
  assert(error === noError || isRefused, describeError(error));
}
