import { StrongroomError } from '@strongroom/contract/core';
import { SecretValue } from '@strongroom/crypto';
import type { Backend, Content, Entry, Expectation } from '../../backend.ts';
import { expectCode, type ConformanceCheck } from '../check.ts';
import { assert, NotApplicable } from '../failure.ts';
import { assertEntry } from '../content.ts';
import type { Trial } from '../trial.ts';
import { put } from './writing.ts';

const absent: Expectation = { kind: 'absent' };
/** Tries of one writer that is always too late before it counts as starved. */
const mostTries = 100;

/** Writes that happen only when what they expect is there. */
export const expectationChecks: readonly ConformanceCheck[] = [
  {
    name: 'cas-absent',
    needs: ['put', 'cas', 'place'],
    about: 'A write that expects nothing there happens once; the second one conflicts and changes nothing.',
    async run(trial) {
      const [one, other] = [await trial.open(), await trial.open()];
      const key = trial.key('absent');
      const first = trial.content();
      await putExpecting(trial, one, key, first, absent);
      for (const backend of [one, other]) {
        await expectConflict(() => putExpecting(trial, backend, key, trial.content(), absent), 'the second write');
      }
      assertEntry(await one.get(key, trial.options), first, 'after the conflict');
    },
  },
  {
    name: 'cas-absent-after-delete',
    needs: ['put', 'cas', 'place'],
    about: 'After a delete nothing is there, so that a write that expects nothing happens.',
    async run(trial) {
      const backend = await trial.open();
      const key = trial.key('again');
      await put(trial, backend, key, trial.content());
      await trial.place.remove(key);
      const content = trial.content();
      await putExpecting(trial, backend, key, content, absent);
      assertEntry(await backend.get(key, trial.options), content, 'after the delete and the write');
    },
  },
  {
    name: 'cas-version',
    needs: ['put', 'cas', 'place'],
    about: 'A write that expects the version that is there happens; one that expects an older one conflicts.',
    async run(trial) {
      const backend = await trial.open();
      const key = trial.key('version');
      const first = versionOf(await put(trial, backend, key, trial.content()));
      const content = trial.content();
      const second = versionOf(await putExpecting(trial, backend, key, content, { kind: 'version', version: first }));
      const stale = { kind: 'version', version: first } as const;
      await expectConflict(
        () => putExpecting(trial, backend, key, trial.content(), stale),
        'the write of an older version',
      );
      const entry = await backend.get(key, trial.options);
      assertEntry(entry, content, 'after the conflict');
      assert(entry.version === second, 'the conflict changed the version');
    },
  },
  {
    name: 'cas-version-of-nothing',
    needs: ['put', 'cas', 'place'],
    about: 'A write that expects a version where nothing is, conflicts and leaves nothing.',
    async run(trial) {
      const backend = await trial.open();
      const key = trial.key('nothing');
      const version = versionOf(await put(trial, backend, trial.key('other'), trial.content()));
      const write = () => putExpecting(trial, backend, key, trial.content(), { kind: 'version', version });
      await expectConflict(write, 'the write where nothing is');
      assert((await backend.get(key, trial.options)) === null, 'the write that conflicted left an entry');
    },
  },
  {
    name: 'cas-intent',
    needs: ['put', 'cas', 'place'],
    about: 'A write that expects the entry of a certain write happens on that entry alone.',
    async run(trial) {
      const backend = await trial.open();
      const key = trial.key('intent');
      const [first, second] = [crypto.randomUUID(), crypto.randomUUID()];
      const expectFirst = { kind: 'intent', intentId: first } as const;
      await expectConflict(() => putExpecting(trial, backend, key, trial.content(), expectFirst), 'where nothing is');
      assert((await backend.get(key, trial.options)) === null, 'the write that conflicted left an entry');
      await put(trial, backend, key, trial.content(), first);
      const content = trial.content();
      await putExpecting(trial, backend, key, content, expectFirst, second);
      await expectConflict(
        () => putExpecting(trial, backend, key, trial.content(), expectFirst),
        'after another write',
      );
      const entry = await backend.get(key, trial.options);
      assertEntry(entry, content, 'after the conflict');
      assert(entry.intentId === second, 'the conflict changed the id of the intent');
    },
  },
  {
    name: 'cas-outside-change',
    needs: ['put', 'cas', 'place'],
    about: 'A change made from outside makes a write conflict that knows the entry before.',
    async run(trial) {
      const backend = await trial.open();
      const key = trial.key('outside');
      const intentId = crypto.randomUUID();
      const { version } = await put(trial, backend, key, trial.content(), intentId);
      const outside = await trial.seed(key);
      const expectations: Expectation[] = [{ kind: 'intent', intentId }, absent];
      if (version !== null) expectations.push({ kind: 'version', version });
      for (const expect of expectations) {
        const write = () => putExpecting(trial, backend, key, trial.content(), expect);
        await expectConflict(write, `expecting ${expect.kind}`);
        assertEntry(await backend.get(key, trial.options), outside, 'after the conflict');
      }
    },
  },
  {
    name: 'cas-one-of-many-wins',
    needs: ['put', 'cas', 'place'],
    about: 'Of writes at the same time that expect nothing there, one happens and the others conflict.',
    async run(trial) {
      const backends = [await trial.open(), await trial.open()];
      const key = trial.key('race');
      const contents = Array.from({ length: 8 }, () => trial.content());
      const outcomes = await Promise.allSettled(
        contents.map((content, index) => putExpecting(trial, backends[index % 2] as Backend, key, content, absent)),
      );
      const winners = outcomes.flatMap(({ status }, index) => (status === 'fulfilled' ? [index] : []));
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') {
          await expectConflict(() => Promise.reject(outcome.reason as Error), 'a write that lost');
        }
      }
      assert(winners.length === 1, `${winners.length} of 8 writes that expected nothing there happened`);
      const [winner = 0] = winners;
      assertEntry((await backends[0]?.get(key, trial.options)) ?? null, contents[winner] as Content, 'after the race');
    },
  },
  {
    name: 'cas-no-lost-update',
    needs: ['put', 'cas', 'place'],
    about: 'Writers that read, change and write at the same time lose none of their changes.',
    async run(trial) {
      const backends = [await trial.open(), await trial.open(), await trial.open()];
      const key = trial.key('update');
      await put(trial, backends[0] as Backend, key, trial.content('start'));
      const marks = Array.from({ length: 9 }, (_, index) => `mark${index}-${trial.text().slice(0, 12)};`);
      await Promise.all(marks.map((mark, index) => appendMark(trial, backends[index % 3] as Backend, key, mark)));
      const final = await backends[0]?.get(key, trial.options);
      assert(final !== null && final !== undefined, 'the entry is gone');
      const lost = marks.filter((mark) => !final.value.revealText().includes(mark)).length;
      assert(lost === 0, `${lost} of ${marks.length} changes are lost`);
    },
  },
  {
    name: 'delete-expectation',
    needs: ['put', 'delete', 'cas', 'place'],
    about: 'A delete that expects another entry than is there, conflicts and deletes nothing.',
    async run(trial) {
      const backend = await trial.open();
      const key = trial.key('delete');
      const intentId = crypto.randomUUID();
      const before = await put(trial, backend, key, trial.content());
      const content = trial.content();
      const { version } = await put(trial, backend, key, content, intentId);
      const wrong: Expectation[] = [{ kind: 'intent', intentId: crypto.randomUUID() }];
      if (before.version !== null) wrong.push({ kind: 'version', version: before.version });
      for (const expect of wrong) {
        await expectConflict(
          () => backend.delete(key, { ...trial.options, expect }),
          `a delete expecting ${expect.kind}`,
        );
        assertEntry(await backend.get(key, trial.options), content, 'after the conflict');
      }
      const right: Expectation = version === null ? { kind: 'intent', intentId } : { kind: 'version', version };
      await backend.delete(key, { ...trial.options, expect: right });
      assert((await backend.get(key, trial.options)) === null, 'what was deleted as expected is there');
    },
  },
];

function putExpecting(
  trial: Trial,
  backend: Backend,
  key: string,
  content: Content,
  expect: Expectation,
  intentId: string = crypto.randomUUID(),
): Promise<{ readonly version: string | null }> {
  return backend.put(key, content, { ...trial.options, expect, intentId });
}

async function expectConflict(call: () => Promise<unknown>, what: string): Promise<void> {
  await expectCode(call, ['version_conflict'], what);
}

function versionOf({ version }: { readonly version: string | null }): string {
  if (version === null) throw new NotApplicable('the backend has no versions of single keys');
  return version;
}

async function appendMark(trial: Trial, backend: Backend, key: string, mark: string): Promise<void> {
  for (let tries = 0; tries < mostTries; tries += 1) {
    const entry = await backend.get(key, trial.options);
    assert(entry !== null, 'the entry is gone');
    try {
      await putExpecting(trial, backend, key, appended(entry, mark), expectationOf(entry));
      return;
    } catch (error) {
      if (!(error instanceof StrongroomError) || error.code !== 'version_conflict') throw error;
    }
  }
  assert(false, `a writer got no turn in ${mostTries} tries`);
}

function appended(entry: Entry, mark: string): Content {
  const text = entry.value.revealText();
  const changed = entry.shape === 'fields' ? text.replace(/"(?=\s*\}$)/, `${mark}"`) : `${text}${mark}`;
  return { value: SecretValue.fromText(changed), shape: entry.shape };
}

function expectationOf(entry: Entry): Expectation {
  if (entry.version !== null) return { kind: 'version', version: entry.version };
  assert(entry.intentId !== undefined, 'an entry has neither a version nor the id of an intent');
  return { kind: 'intent', intentId: entry.intentId };
}
