import { StrongroomError } from '@strongroom/contract/core';
import { SecretValue } from '@strongroom/crypto';
import { expect, it } from 'vitest';
import { ReferenceFixture } from '../testing/reference/fixture.ts';
import type { Backend, VersionAnswers } from './backend.ts';
import { currentVersions } from './current-versions.ts';
import { limited } from './wrappers/limited.ts';

const signal = AbortSignal.timeout(60_000);
const keys = ['a', 'b', 'none'];

/** Which keys are read, and what comes of asking; `a` and `b` are there. */
async function ask(change: (backend: Backend) => Backend, refuseReading = false) {
  const fixture = await ReferenceFixture.start();
  try {
    const options = { signal, expect: { kind: 'any' }, intentId: crypto.randomUUID() } as const;
    const backend = fixture.open();
    for (const key of ['a', 'b']) await backend.put(key, { value: SecretValue.fromText(key), shape: 'text' }, options);
    const read: string[] = [];
    const values: SecretValue[] = [];
    const watched: Backend = {
      ...backend,
      async getMany(some, within) {
        read.push(...some);
        const entries = await backend.getMany(some, within);
        for (const entry of entries.values())
          if (entry !== null && !(entry instanceof StrongroomError)) values.push(entry.value);
        return entries;
      },
    };
    const announced: string[] = [];
    const answers = await currentVersions(limited(change(watched), { backoffMs: 1 }), keys, {
      signal,
      beforeReading: async (some) => {
        expect(read).toEqual([]);
        announced.push(...some);
        if (refuseReading) throw new StrongroomError('audit_unavailable');
      },
    });
    const versions = keys.map((key) => (answers.get(key) === undefined ? 'no answer' : answers.get(key)));
    return { versions, read, announced, values };
  } finally {
    await fixture.stop();
  }
}

const withVersions =
  (versions: (asked: () => Promise<VersionAnswers>) => Promise<VersionAnswers>) =>
  (backend: Backend): Backend => ({
    ...backend,
    versions: (some, options) => versions(async () => (await backend.versions?.(some, options)) ?? new Map()),
  });
const denied = new StrongroomError('backend_denied');
const all = [{ version: '1' }, { version: '2' }, null];

it('reads nothing where the backend tells versions', async () => {
  expect(await ask((backend) => backend)).toMatchObject({ versions: all, read: [], announced: [] });
});

it('reads, announced before, what the backend does not tell, and destroys it', async () => {
  const none = await ask(({ versions: _versions, ...backend }) => backend);
  expect(none).toMatchObject({ versions: all, announced: keys });
  expect(none.read.toSorted()).toEqual(keys);
  expect(none.values).toHaveLength(2);
  for (const value of none.values) expect(() => value.reveal()).toThrow(TypeError);
  const refused = withVersions(() => Promise.reject(denied));
  expect(await ask(refused)).toMatchObject({ versions: all, announced: keys });
  const oneRefused = withVersions(async (asked) => new Map([...(await asked())].map(refuse('a'))));
  expect(await ask(oneRefused)).toMatchObject({ versions: all, announced: ['a'], read: ['a'] });
  const oneLeftOut = withVersions(async (asked) => new Map([...(await asked())].filter(([key]) => key !== 'b')));
  expect(await ask(oneLeftOut)).toMatchObject({ versions: all, announced: ['b'], read: ['b'] });
});

it('reads nothing when that can not be announced, nor after an outage', async () => {
  await expect(ask(({ versions: _versions, ...backend }) => backend, true)).rejects.toMatchObject({
    code: 'audit_unavailable',
  });
  const away = withVersions(() => Promise.reject(new StrongroomError('backend_unavailable')));
  await expect(ask(away)).rejects.toMatchObject({ code: 'backend_unavailable' });
});

function refuse(refused: string) {
  return <Answer>([key, answer]: [string, Answer]) => [key, key === refused ? denied : answer] as const;
}
