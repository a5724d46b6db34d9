import { StrongroomError } from '@strongroom/contract/core';
import type { Backend, Content } from '../../backend.ts';
import { errorOf, noError, refusals, type ConformanceCheck } from '../check.ts';
import { assert, describeError, NotApplicable } from '../failure.ts';
import { keyKinds, lookAlikes, type KeyKind } from '../key-kinds.ts';
import { assertEntry, holds, type CheckScope } from '../scope.ts';
import { allListed } from './listing.ts';

/** A key is a name of its own: what the backend takes it keeps exactly, and two keys are never one entry. */
export const nameChecks: readonly ConformanceCheck[] = [
  {
    name: 'names-taken',
    needs: ['place'],
    about: 'Each kind of key name that the backend takes is read, and listed, exactly as it is.',
    async run(scope) {
      const backend = await scope.open();
      const keys = (scope.context.keyKinds ?? []).map((kind) => [kind, scope.named(keyKinds[kind])] as const);
      if (keys.length === 0) throw new NotApplicable('no kinds of key names were given');
      const seeded = new Map<string, Content>();
      for (const [, key] of keys) seeded.set(key, await scope.seed(key));
      const answers = await backend.getMany([...seeded.keys()], scope.options);
      for (const [kind, key] of keys) {
        const content = seeded.get(key) ?? scope.content();
        assertEntry(await backend.get(key, scope.options), content, `a name of the kind ${kind}`);
        const answer = answers.get(key) ?? null;
        assert(!(answer instanceof StrongroomError), `getMany fails for a name of the kind ${kind}`);
        assertEntry(answer, content, `by getMany, a name of the kind ${kind}`);
      }
      if (!backend.capabilities.list) return;
      const listed = new Set(await allListed(scope, backend, 50));
      for (const [kind, key] of keys) assert(listed.has(key), `a name of the kind ${kind} is not listed as it is`);
    },
  },
  {
    name: 'names-refused',
    needs: ['place'],
    about: 'A kind of key name that the backend does not take is refused or not there, never something else.',
    async run(scope) {
      const backend = await scope.open();
      await scope.seed(scope.key('token'));
      const taken = scope.context.keyKinds ?? [];
      const others = (Object.keys(keyKinds) as KeyKind[]).filter((kind) => !taken.includes(kind));
      for (const kind of others) await assertNothingThere(scope, backend, scope.named(keyKinds[kind]), kind);
    },
  },
  {
    name: 'names-never-one-entry',
    needs: ['place'],
    about: 'Of names that look alike, the one that is there is not found under the others.',
    async run(scope) {
      const backend = await scope.open();
      for (const [plain = '', ...others] of lookAlikes) {
        const key = scope.named(plain);
        const content = await scope.seed(key);
        assertEntry(await backend.get(key, scope.options), content, 'a plain name');
        for (const [index, other] of others.entries()) {
          await assertNothingThere(
            scope,
            backend,
            scope.named(other),
            `look-alike ${index + 1} of ${plain.slice(0, 12)}`,
          );
        }
        await scope.place.remove(key);
      }
    },
  },
  {
    name: 'names-clash-refused',
    needs: ['place', 'put'],
    about: 'Of names that look alike, each is written as an entry of its own or refused; none overwrites another.',
    async run(scope) {
      const backend = await scope.open();
      for (const names of lookAlikes) await assertWrittenApart(scope, backend, names);
    },
  },
];

async function assertNothingThere(scope: CheckScope, backend: Backend, key: string, what: string): Promise<void> {
  let isFound = false;
  const error = await errorOf(async () => {
    isFound = (await backend.get(key, scope.options)) !== null;
  });
  assert(!isFound, `${what}: an entry of another name is read`);
  const isRefused = error instanceof StrongroomError && refusals.includes(error.code);
  assert(error === noError || isRefused, `${what}: ${describeError(error)}`);
}

async function assertWrittenApart(scope: CheckScope, backend: Backend, names: readonly string[]): Promise<void> {
  const written = new Map<string, Content>();
  for (const [index, name] of names.entries()) {
    const key = scope.named(name);
    const content = scope.content();
    const error = await errorOf(() =>
      backend.put(key, content, { ...scope.options, expect: { kind: 'any' }, intentId: crypto.randomUUID() }),
    );
    if (error === noError) written.set(key, content);
    const isRefused = error instanceof StrongroomError && refusals.includes(error.code);
    assert(error === noError || isRefused, `look-alike ${index} of ${names[0]?.slice(0, 12)}: ${describeError(error)}`);
    for (const [other, expected] of written) {
      const entry = await backend.get(other, scope.options);
      assert(
        entry !== null && holds(entry, expected),
        `look-alike ${index} of ${names[0]?.slice(0, 12)} took another’s place`,
      );
    }
  }
  assert(written.has(scope.named(names[0] ?? '')), 'a plain name was refused');
  if (backend.capabilities.delete) {
    await assertDeletedApart(scope, backend, written);
  }
}

async function assertDeletedApart(
  scope: CheckScope,
  backend: Backend,
  written: ReadonlyMap<string, Content>,
): Promise<void> {
  const rest = new Map(written);
  for (const key of written.keys()) {
    await backend.delete(key, { ...scope.options, expect: { kind: 'any' } });
    rest.delete(key);
    for (const [other, expected] of rest) {
      const entry = await backend.get(other, scope.options);
      assert(entry !== null && holds(entry, expected), 'the delete of a look-alike took another with it');
    }
  }
}
