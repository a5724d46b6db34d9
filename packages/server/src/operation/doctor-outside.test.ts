import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Backend, CheckLine } from '@strongroom/backends';
import { StrongroomError } from '@strongroom/contract';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openTestStore, type TestStore } from '../../testing/stores.ts';
import { loadConfiguration } from '../config/load.ts';
import { kekSourceOf } from '../keys/kek-source.ts';
import type { OutsideType, StoreScope } from '../managed-stores/opened-stores.ts';
import { globalScopeId } from '../store/ids.ts';
import { runDoctor } from './doctor.ts';

let test: TestStore;
beforeAll(async () => {
  test = await openTestStore();
});
afterAll(() => test.close());

const good: readonly CheckLine[] = [
  { step: 'address', outcome: 'ok', message: 'The address may be used.' },
  { step: 'read', outcome: 'ok', message: 'Reading is allowed.' },
];
const failed = (step: CheckLine['step']): readonly CheckLine[] => [
  ...good,
  { step, outcome: 'failed', code: 'backend_denied', message: `What is wrong with ${step}.` },
];

/** What the doctor says of stores, and which were opened for whom; each is closed again. */
async function examine(
  settings: Readonly<Record<string, string>>,
  lines: readonly CheckLine[] | StrongroomError,
  store: TestStore['store'] | null = test.store,
) {
  const configuration = loadConfiguration({
    variables: { STRONGROOM_DATA_DIR: test.directory, ...settings },
    workingDirectory: test.directory,
  });
  const opened: string[] = [];
  const openManagedStore = async (type: OutsideType, scope: StoreScope): Promise<Backend> => {
    if (lines instanceof StrongroomError) throw lines;
    opened.push(`${type} ${scope.kind} ${scope.name}`);
    const backend: Pick<Backend, 'check' | 'close'> = {
      check: async () => lines,
      close: async () => {
        opened.push('closed');
      },
    };
    return backend as Backend;
  };
  const report = await runDoctor({
    ...configuration,
    store,
    kek: kekSourceOf(configuration),
    openManagedStore,
    openLegacyTable: null,
  });
  const said = report.checks.filter(({ id }) => id.startsWith('store-'));
  return { said, opened, kek: report.checks.find(({ id }) => id === 'kek-source') };
}

const choose = (type: OutsideType | 'DATABASE') =>
  test.store.execute('managed.choose', {
    scopeId: globalScopeId,
    type,
    audit: { principal: 'system', principalName: 'system', action: 'settings.manage', outcome: 'allowed' },
  });
const vault = { STRONGROOM_VAULT_ADDRESS: 'https://vault.example', STRONGROOM_VAULT_PATH: '/v1/secret/data/managed' };
const withToken = { ...vault, STRONGROOM_VAULT_CREDENTIAL_FILE: '/run/token' };

it('has no line for stores that nobody set up', async () => {
  expect(await examine({}, good)).toMatchObject({ said: [], opened: [] });
});

it('tries what is set up and unused, and says no more than that it can be reached', async () => {
  expect(await examine(withToken, failed('write'))).toMatchObject({
    said: [{ id: 'store-vault', status: 'ok' }],
    opened: ['VAULT global global', 'closed'],
  });
  const { said } = await examine(withToken, failed('login'));
  expect(said).toMatchObject([
    { status: 'amber', finding: expect.stringContaining('login: What is wrong with login.') },
  ]);
  expect(said[0]?.hint).toContain('STRONGROOM_VAULT_');
  expect((await examine({ STRONGROOM_STORES_DOMAINS: 'kubernetes' }, good)).said).toMatchObject([
    { id: 'store-kubernetes', status: 'ok' },
  ]);
  // Nobody can say who is in it.
  expect((await examine(withToken, good, null)).said).toMatchObject([{ id: 'store-vault', status: 'ok' }]);
});

it('tries the scopes that are in it, and names scope, step, cause and what to do', async () => {
  await choose('KUBERNETES');
  expect(await examine({}, good)).toMatchObject({
    said: [{ id: 'store-kubernetes', status: 'ok', finding: 'Tried for global scope' }],
    opened: ['KUBERNETES global global', 'closed'],
  });
  expect((await examine({}, failed('write'))).said).toMatchObject([
    {
      status: 'red',
      finding: 'The global scope, write: What is wrong with write.',
      hint: expect.stringContaining('k8s rbac'),
    },
  ]);
  const refusal = new StrongroomError('key_unavailable', { detail: 'The file /run/token can not be read (ENOENT).' });
  expect((await examine({}, refusal)).said).toMatchObject([
    { status: 'red', finding: expect.stringMatching(/ENOENT/) },
  ]);
  await choose('DATABASE');
});

it('reads the key again: the installation’s, another one, one that can’t be compared', async () => {
  const file = join(test.directory, 'kek');
  const text = Buffer.alloc(32, 7).toString('base64url');
  writeFileSync(file, `strongroom-kek-v1:${text}\n`, { mode: 0o600 });
  const { kek: other } = await examine({}, good);
  expect(other).toMatchObject({ status: 'red', finding: expect.stringContaining(file) });
  expect((await examine({}, good, null)).kek).toMatchObject({ status: 'amber' });
  expect(JSON.stringify(other)).not.toContain(text);
});
