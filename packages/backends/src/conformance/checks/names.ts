import { StrongroomError } from '@strongroom/contract/core';
import type { Backend, Content } from '../../backend.ts';
import { errorOf, noError, refusals, type ConformanceCheck } from '../check.ts';
import { assert, describeError, NotApplicable } from '../failure.ts';
import { keyKinds, lookAlikes, type KeyKind } from '../key-kinds.ts';
import { assertEntry, holds } from '../content.ts';
import type { Trial } from '../trial.ts';
import { allListed } from './listing.ts';

/** A key is a name of its own: what the backend takes it keeps exactly, and two keys are never one entry. */
export const nameChecks: readonly ConformanceCheck[] = [
  {
    name: 'names-taken',
    needs: ['place'],
    about: 'Each kind of key name that the backend takes is read, and listed, exactly as it is.',
    async run(trial) {
      const backend = await trial.open();
      const keys = (trial.context.keyKinds ?? []).map((kind) => [kind, trial.named(keyKinds[kind])] as const);
      if (keys.length === 0) throw new NotApplicable('no kinds of key names were given');
      const seeded = new Map<string, Content>();
      for (const [, key] of keys) seeded.set(key, await trial.seed(key));
      const answers = await backend.getMany([...seeded.keys()], trial.options);
      for (const [kind, key] of keys) {
        const content = seeded.get(key) ?? trial.content();
        assertEntry(await backend.get(key, trial.options), content, `a name of the kind ${kind}`);
        const answer = answers.get(key) ?? null;
        assert(!(answer instanceof StrongroomError), `getMany fails for a name of the kind ${kind}`);
        assertEntry(answer, content, `by getMany, a name of the kind ${kind}`);
      }
      if (!backend.capabilities.list) return;
      const listed = new Set(await allListed(trial, backend, 50));
      for (const [kind, key] of keys) assert(listed.has(key), `a name of the kind ${kind} is not listed as it is`);
    },
  },
  {
    name: 'names-refused',
    needs: ['place'],
    about: 'A kind of key name that the backend does not take is refused or not there, never something else.',
    async run(trial) {
      const backend = await trial.open();
      await trial.seed(trial.key('token'));
      const taken = trial.context.keyKinds ?? [];
      const others = (Object.keys(keyKinds) as KeyKind[]).filter((kind) => !taken.includes(kind));
      for (const kind of others) await assertNothingThere(trial, backend, trial.named(keyKinds[kind]), kind);
    },
  },
  {
    name: 'names-never-one-entry',
    needs: ['place'],
    about: 'Of names that look alike, the one that is there is not found under the others.',
    async run(trial) {
      const backend = await trial.open();
      for (const [plain = '', ...others] of lookAlikesOf(trial)) {
        const key = trial.named(plain);
        const content = await trial.seed(key);
        assertEntry(await backend.get(key, trial.options), content, 'a plain name');
        for (const [index, other] of others.entries()) {
          await assertNothingThere(
            trial,
            backend,
            trial.named(other),
            `look-alike ${index + 1} of ${plain.slice(0, 12)}`,
          );
        }
        await trial.place.remove(key);
      }
    },
  },
  {
    name: 'names-clash-refused',
    needs: ['place', 'put'],
    about: 'Of names that look alike, each is written as an entry of its own or refused; none overwrites another.',
    async run(trial) {
      const backend = await trial.open();
      for (const names of lookAlikesOf(trial)) await assertWrittenApart(trial, backend, names);
    },
  },
];

/** Without those whose first, plain name has folders or is too long, where the backend does not take that. */
function lookAlikesOf(trial: Trial): readonly (readonly string[])[] {
  const { keyKinds = [], sizes } = trial.context;
  const takesFolders = keyKinds.includes('nested');
  const most = sizes?.keyCharacters ?? Number.POSITIVE_INFINITY;
  return lookAlikes.filter(
    ([plain = '']) => (takesFolders || !plain.includes('/')) && trial.named(plain).length <= most,
  );
}

async function assertNothingThere(trial: Trial, backend: Backend, key: string, what: string): Promise<void> {
  let isFound = false;
  const error = await errorOf(async () => {
    isFound = (await backend.get(key, trial.options)) !== null;
  });
  assert(!isFound, `${what}: an entry of another name is read`);
  const isRefused = error instanceof StrongroomError && refusals.includes(error.code);
  assert(error === noError || isRefused, `${what}: ${describeError(error)}`);
}

async function assertWrittenApart(trial: Trial, backend: Backend, names: readonly string[]): Promise<void> {
  const written = new Map<string, Content>();
  for (const [index, name] of names.entries()) {
    const key = trial.named(name);
    const content = trial.content();
    const error = await errorOf(() =>
      backend.put(key, content, { ...trial.options, expect: { kind: 'any' }, intentId: crypto.randomUUID() }),
    );
    if (error === noError) written.set(trial.removedAfterwards(key), content);
    const isRefused = error instanceof StrongroomError && refusals.includes(error.code);
    assert(error === noError || isRefused, `look-alike ${index} of ${names[0]?.slice(0, 12)}: ${describeError(error)}`);
    await assertAllThere(
      trial,
      backend,
      written,
      `look-alike ${index} of ${names[0]?.slice(0, 12)} took another’s place`,
    );
  }
  assert(written.has(trial.named(names[0] ?? '')), 'a plain name was refused');
  if (backend.capabilities.delete) {
    await assertDeletedApart(trial, backend, written);
  }
}

async function assertDeletedApart(
  trial: Trial,
  backend: Backend,
  written: ReadonlyMap<string, Content>,
): Promise<void> {
  const rest = new Map(written);
  for (const key of written.keys()) {
    await backend.delete(key, { ...trial.options, expect: { kind: 'any' } });
    rest.delete(key);
    await assertAllThere(trial, backend, rest, 'the delete of a look-alike took another with it');
  }
}

async function assertAllThere(
  trial: Trial,
  backend: Backend,
  contents: ReadonlyMap<string, Content>,
  otherwise: string,
): Promise<void> {
  const answers = await backend.getMany([...contents.keys()], trial.options);
  for (const [key, content] of contents) {
    const answer = answers.get(key) ?? null;
    assert(answer !== null && !(answer instanceof Error) && holds(answer, content), otherwise);
  }
}
