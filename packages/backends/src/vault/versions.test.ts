import { inspect } from 'node:util';
import { StrongroomError } from '@strongroom/contract/core';
import { expect, it } from 'vitest';
import { type ScriptedAnswer, startScriptedVault } from '../../testing/scripted-vault.ts';

const canary = 'canary-71d0c2e4';
const signal = () => AbortSignal.timeout(60_000);
const current = { created_time: '2026-01-02T03:04:05.678Z', deletion_time: '', destroyed: false };
const inAnHour = new Date(Date.now() + 3_600_000).toISOString();
const metadata = (data: object): ScriptedAnswer => ({ body: { data } });
const secret = (version: object, number = 3): ScriptedAnswer =>
  metadata({ current_version: number, versions: { 1: current, [number]: { ...current, ...version } } });

const answers: Readonly<Record<string, readonly [ScriptedAnswer, string | null | { readonly version: string }]>> = {
  'a version': [secret({}), { version: '3' }],
  'a version that has an end, in an hour': [secret({ deletion_time: inAnHour }), { version: '3' }],
  'a version that was deleted': [secret({ deletion_time: '2026-01-03T00:00:00Z' }), 'backend_deleted'],
  'a version that was destroyed': [secret({ destroyed: true }), 'backend_deleted'],
  'metadata and never a version': [metadata({ current_version: 0, versions: {} }), null],
  'nothing there': [{ status: 404, body: { errors: [] } }, null],
  'no policy for it': [{ status: 403, body: { errors: [canary] } }, 'backend_denied'],
  'a version that is not listed': [metadata({ current_version: 9, versions: { 1: current } }), 'backend_malformed'],
  'a version that is text': [metadata({ current_version: canary, versions: {} }), 'backend_malformed'],
  'versions that are none': [metadata({ current_version: 1, versions: [canary] }), 'backend_malformed'],
  'another API': [{ body: { data: canary } }, 'backend_malformed'],
};

it.each(Object.entries(answers))('says which version a key has by its metadata: %s', async (_, [answer, expected]) => {
  await using vault = await startScriptedVault(({ path }) => (path.includes('/metadata/') ? answer : {}));
  const backend = await vault.open();
  const told = (await backend.versions?.(['db'], { signal: signal() }))?.get('db');
  expect(told instanceof StrongroomError ? told.code : told).toEqual(expected);
  expect(inspect(told, { depth: 10, showHidden: true })).not.toContain(canary);
  expect(vault.requests.filter(({ path }) => path.includes('/data/'))).toEqual([]);
});

it('says it of the fields of one secret by their names, in one request', async () => {
  await using vault = await startScriptedVault(({ path }) =>
    path.includes('/subkeys/') ? metadata({ subkeys: { a: null, b: null }, metadata: { ...current, version: 5 } }) : {},
  );
  const backend = await vault.open({ layout: 'fields', path: '/v1/secret/data/app' });
  const told = await backend.versions?.(['a', 'c', '../b', 'b'], { signal: signal() });
  expect(told?.get('a')).toEqual({ version: '5' });
  expect(told?.get('b')).toEqual({ version: '5' });
  expect(told?.get('c')).toBeNull();
  expect(told?.get('../b')).toMatchObject({ code: 'reference_malformed' });
  expect(vault.requests.filter(({ path }) => path.includes('/secret/'))).toHaveLength(1);
});

it('takes an outage for none', async () => {
  await using vault = await startScriptedVault(({ path }) =>
    path.includes('/metadata/') ? { status: 500, body: { errors: [canary] } } : {},
  );
  const backend = await vault.open();
  const asked = backend.versions?.(['db', 'other'], { signal: signal() });
  await expect(asked).rejects.toMatchObject({ code: 'backend_unavailable' });
});
