import { StrongroomError } from '@strongroom/contract/core';
import type { Backend, Entry, VersionAnswers } from '../../backend.ts';
import { type ConformanceCheck, expectCode } from '../check.ts';
import { assert, NotApplicable } from '../failure.ts';
import type { Trial } from '../trial.ts';

/** What `versions` says without a value is what a read says. */
export const askedVersionChecks: readonly ConformanceCheck[] = [
  {
    name: 'versions-agree',
    needs: ['known keys', 'asked versions'],
    about: 'The version that a key is said to have is the one that a read brings; a missing key has none.',
    async run(trial) {
      const backend = await trial.open();
      const keys = await trial.knownKeys(backend, 5);
      const absent = await trial.absentKey(backend);
      const answers = await ask(backend, trial, [...keys, absent, ...keys]);
      assert(
        [...answers.keys()].every((key) => keys.includes(key) || key === absent),
        'a key that nobody asked for',
      );
      assert(!hasVersion(answers, absent), 'there is a version of a key that nobody wrote');
      let told = 0;
      for (const key of keys) told += (await isTold(backend, trial, key, answers)) ? 1 : 0;
      if (told === 0) throw new NotApplicable('it may not be asked for versions, or can not tell them');
    },
  },
  {
    name: 'versions-hold-no-value',
    needs: ['known keys', 'asked versions'],
    about: 'What is said of a version is the version, and no more.',
    async run(trial) {
      const backend = await trial.open();
      for (const answer of (await ask(backend, trial, await trial.knownKeys(backend, 3))).values()) {
        if (answer === null || answer instanceof StrongroomError) continue;
        assert(JSON.stringify(Object.keys(answer)) === '["version"]', 'there is more than the version');
      }
    },
  },
  {
    name: 'versions-fresh',
    needs: ['place', 'asked versions'],
    about: 'A write from outside is seen at once; what was removed has no version.',
    async run(trial) {
      const backend = await trial.open();
      const key = trial.key('changed');
      for (let round = 0; round < 3; round += 1) {
        await trial.seed(key);
        await isTold(backend, trial, key, await ask(backend, trial, [key]));
      }
      await trial.place.remove(key);
      assert(!hasVersion(await ask(backend, trial, [key]), key), 'what was deleted still has a version');
    },
  },
  {
    name: 'versions-soft-deleted',
    needs: ['place', 'place.softDelete', 'asked versions'],
    about: 'What is deleted there and may come back is `backend_deleted`, or left out; it has no version.',
    async run(trial) {
      const backend = await trial.open();
      const key = trial.key('soft');
      await trial.seed(key);
      await trial.place.softDelete?.(key);
      const answer = (await ask(backend, trial, [key])).get(key);
      const isSaid = answer instanceof StrongroomError && ['backend_deleted', 'backend_denied'].includes(answer.code);
      assert(answer === undefined || isSaid, 'it is not backend_deleted');
    },
  },
  {
    name: 'versions-bad-name-alone',
    needs: ['known keys', 'asked versions'],
    about: 'What can be no key has no version, and takes no other key with it.',
    async run(trial) {
      const backend = await trial.open();
      const [key = ''] = await trial.knownKeys(backend, 1);
      const answers = await ask(backend, trial, [key, '../up', 'a\nb']);
      for (const bad of ['../up', 'a\nb']) assert(!hasVersion(answers, bad), 'a name that is none has a version');
      await isTold(backend, trial, key, answers);
    },
  },
  {
    name: 'versions-outage',
    needs: ['known keys', 'asked versions', 'fault failing'],
    about: 'An outage is an error, never absence.',
    async run(trial) {
      const backend = await trial.open();
      const keys = await trial.knownKeys(backend, 2);
      await trial.inject('failing');
      await expectCode(() => ask(backend, trial, keys), ['backend_unavailable'], 'versions');
    },
  },
];

async function ask(backend: Backend, trial: Trial, keys: readonly string[]): Promise<VersionAnswers> {
  if (backend.versions === undefined) throw new NotApplicable('it has no question for versions alone');
  return backend.versions(keys, trial.options);
}

function hasVersion(answers: VersionAnswers, key: string): boolean {
  const answer = answers.get(key) ?? null;
  return answer !== null && !(answer instanceof StrongroomError);
}

/** Whether there is an answer for a key that is there; it then has to be what a read says. */
async function isTold(backend: Backend, trial: Trial, key: string, answers: VersionAnswers): Promise<boolean> {
  const answer = answers.get(key);
  if (answer === undefined) return false;
  if (answer instanceof StrongroomError) {
    assert(answer.code === 'backend_denied', 'a key that is read can not be asked about');
    return false;
  }
  const entry: Entry | null = await backend.get(key, trial.options);
  assert(answer !== null && entry !== null, 'a key that is known to be there is not found');
  entry.value.destroy();
  assert(answer.version === entry.version, 'the version is not what get reads');
  return true;
}
