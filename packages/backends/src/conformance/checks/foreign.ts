import { StrongroomError } from '@strongroom/contract/core';
import type { ErrorCode } from '@strongroom/contract/errors';
import { errorOf, noError, refusals, type ConformanceCheck } from '../check.ts';
import type { ForeignThing } from '../context.ts';
import { assert, describeError, NotApplicable } from '../failure.ts';
import { assertEntry } from '../content.ts';
import type { Trial } from '../trial.ts';
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
    async run(trial) {
      const backend = await trial.open();
      const key = trial.key('beside');
      await put(trial, backend, key, trial.content());
      const thing = await besideOf(trial, key);
      const content = trial.content();
      await put(trial, backend, key, content);
      await assertUntouched(thing, 'the write');
      assertEntry(await backend.get(key, trial.options), content, 'after the write');
      await put(trial, backend, trial.key('beside-new'), trial.content());
      await assertUntouched(thing, 'the write of another key');
    },
  },
  {
    name: 'foreign-kept-by-delete',
    needs: ['delete', 'place', 'foreign.inPlaceOf'],
    about: 'A delete leaves what is somebody else’s, though it stands where ours would be.',
    async run(trial) {
      const backend = await trial.open();
      const key = trial.key('not-ours');
      const thing = await inPlaceOf(trial, key);
      const error = await errorOf(() => backend.delete(key, { ...trial.options, expect: any }));
      assertRefusedOr(error);
      await assertUntouched(thing, 'the delete');
    },
  },
  {
    name: 'foreign-not-overwritten',
    needs: ['put', 'place', 'foreign.inPlaceOf'],
    about: 'A write over what is somebody else’s is refused.',
    async run(trial) {
      const backend = await trial.open();
      const key = trial.key('taken');
      const thing = await inPlaceOf(trial, key);
      const expectations = backend.capabilities.cas ? [any, { kind: 'absent' } as const] : [any];
      for (const expect of expectations) {
        const write = () =>
          backend.put(key, trial.content(), { ...trial.options, expect, intentId: crypto.randomUUID() });
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
    async run(trial) {
      const backend = await trial.open();
      const [theirs, ours] = [trial.key('theirs'), trial.key('ours')];
      await inPlaceOf(trial, theirs);
      await trial.seed(ours);
      const listed = await allListed(trial, backend, 100);
      assert(!listed.includes(theirs), 'it is listed');
      assert(listed.includes(ours), 'ours is not listed');
    },
  },
];

async function besideOf(trial: Trial, key: string): Promise<ForeignThing> {
  const thing = await trial.context.foreign?.beside?.(key);
  return planted(trial, thing);
}

async function inPlaceOf(trial: Trial, key: string): Promise<ForeignThing> {
  const thing = await trial.context.foreign?.inPlaceOf?.(key);
  return planted(trial, thing);
}

function planted(trial: Trial, thing: ForeignThing | undefined): ForeignThing {
  if (thing === undefined) throw new NotApplicable('nothing of somebody else was given');
  trial.afterwards(() => thing.remove());
  return thing;
}

async function assertUntouched(thing: ForeignThing, by: string): Promise<void> {
  assert(await thing.isUntouched(), `${by} changed or took away what is somebody else’s`);
}

function assertRefusedOr(error: unknown): void {
  const isRefused = error instanceof StrongroomError && foreignRefusals.has(error.code);
  assert(error === noError || isRefused, describeError(error));
}
