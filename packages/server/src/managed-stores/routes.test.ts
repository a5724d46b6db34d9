import { StrongroomError } from '@strongroom/contract';
import { ReferenceFixture } from '@strongroom/backends/testing/reference.ts';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { codeOf, startTestServer, type TestServer, type TestUser } from '../../testing/app.ts';
import { Canaries } from '../../testing/canaries.ts';
import { Conformance } from '../../testing/conformance.ts';

const canaries = new Canaries();
const conformance = new Conformance();
const stores = new Map<string, ReferenceFixture>();
let test: TestServer;
let member: TestUser;

beforeAll(async () => {
  const settings = { STRONGROOM_STORES_DOMAINS: 'kubernetes' };
  test = await startTestServer(settings, {
    canaries,
    onAnswer: conformance.see,
    openManagedStore: async (type, { kind, name }) => {
      const place = `${type} ${kind} ${name}`;
      const fixture = stores.get(place) ?? (await ReferenceFixture.start());
      stores.set(place, fixture);
      return fixture.open();
    },
  });
  await test.createDomain('finance');
  member = await test.createUser('member', { domains: { finance: 'MEMBER' } });
});
afterAll(async () => {
  await test.close();
  for (const fixture of stores.values()) await fixture.stop();
});

const storesShown = async () =>
  (await test.call<{ readonly managedStores: object }>('GET', '/v1/settings')).managedStores;

async function run(command: readonly string[], environment: Readonly<Record<string, string>>) {
  const name = `job-${Object.keys(environment).join('-').toLowerCase()}`;
  const variables = Object.entries(environment).map(([variable, secret]) => ({ name: variable, secret }));
  const base = '/v1/domains/finance';
  const body = { name, command, environment: variables };
  await test.call('POST', `${base}/spark-jobs`, { token: member.token, body });
  const { id } = await test.call<{ id: string }>('POST', `${base}/spark-jobs/${name}/runs`, { token: member.token });
  for (;;) {
    const shown = await test.call<{ state: string; failure?: { code: string; detail: string } }>(
      'GET',
      `${base}/runs/${id}`,
      { token: member.token },
    );
    if (shown.state !== 'queued' && shown.state !== 'running') return shown;
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}

it('gives new domains the configured store, or the one that is asked for', async () => {
  expect(await test.call('GET', '/v1/domains/finance')).toMatchObject({ store: 'kubernetes' });
  const asked = await test.call('POST', '/v1/domains', { body: { name: 'plain', store: 'database' } });
  expect(asked).toMatchObject({ store: 'database' });
  const refused = await test.request('POST', '/v1/domains', { body: { name: 'vaulted', store: 'vault' } });
  expect([refused.status, codeOf(refused)]).toEqual([422, 'validation_failed']);
  expect(refused.text).toContain('STRONGROOM_VAULT_ADDRESS');
  expect(await storesShown()).toEqual({
    admin: { store: 'database', setBy: 'default' },
    global: { store: 'database', setBy: 'default' },
    domains: { store: 'kubernetes', setBy: 'configuration' },
  });
});

it('says of a save that fails what was typed and is there already', async () => {
  const form = { provider: 's3-compatible', endpoint: 'http://127.0.0.1:9', bucket: 'typed-outside' };
  const path = '/v1/domains/finance/storage-configs';
  const typed = (name: string) => ({ ...form, accessKey: { set: name }, secretKey: { set: canaries.plain(name) } });
  await test.call('POST', path, { body: { name: 'outside', ...typed('first') } });
  const { store } = test.server;
  const execute = store.execute.bind(store);
  store.execute = (command, ...rest) => {
    if (command === 'surfaces.update') throw new StrongroomError('storage_unavailable', { detail: 'No database.' });
    return execute(command, ...rest);
  };
  try {
    const refused = await test.request('PUT', `${path}/outside`, { body: { ...typed('second'), description: 'a' } });
    const detail =
      'No database. What was typed into accessKey, secretKey is there already: the store of this scope took it.';
    expect([refused.status, refused.body]).toMatchObject([503, { code: 'storage_unavailable', detail }]);
  } finally {
    store.execute = execute;
  }
  const { version } = await test.call<{ version: string }>(
    'GET',
    '/v1/domains/finance/secrets/storage-config.outside.secretKey',
  );
  expect(version).toBe('1.2');
  expect(await test.call('PUT', `${path}/outside`, { body: typed('third') })).toMatchObject({ revision: 2 });
});

it('launches from there under unchanged references, and shows an edit from outside', async () => {
  const value = canaries.text('kept outside');
  await test.call('POST', '/v1/domains/finance/secrets', { body: { key: 'outside', value } });
  expect(await test.call('GET', '/v1/domains/finance/secrets/outside')).toMatchObject({ sourceType: 'KUBERNETES' });
  const environment = { OUTSIDE: 'secret://domain/managed/outside' };
  expect(await run(['sh', '-c', 'test -n "$OUTSIDE"'], environment)).toMatchObject({ state: 'succeeded' });
  const fixture = stores.get('KUBERNETES domain finance');
  fixture?.store.remove('outside');
  const failed = await run(['true'], { GONE: 'secret://domain/managed/outside' });
  expect(failed).toMatchObject({ state: 'failed', failure: { code: 'launch_refused' } });
  expect(await test.call('GET', '/v1/domains/finance/secrets/outside')).toMatchObject({ storeState: 'missing' });
});

it('switches a scope while it is empty, and no other', async () => {
  const choose = (global: string) => test.request('PATCH', '/v1/settings', { body: { managedStores: { global } } });
  expect((await choose('kubernetes')).status).toBe(200);
  expect(await storesShown()).toMatchObject({ global: { store: 'kubernetes', setBy: 'api' } });
  await test.call('POST', '/v1/global/secrets', { body: { key: 'held', value: canaries.text('held') } });
  const refused = await choose('database');
  expect([refused.status, codeOf(refused)]).toEqual([409, 'state_conflict']);
  const domain = await test.request('PATCH', '/v1/domains/finance', { body: { store: 'database' } });
  expect([domain.status, codeOf(domain)]).toEqual([409, 'state_conflict']);
  expect(await test.call('PATCH', '/v1/domains/plain', { body: { store: 'kubernetes' } })).toMatchObject({
    store: 'kubernetes',
  });
  const byMember = await test.request('PATCH', '/v1/settings', {
    token: member.token,
    body: { managedStores: { admin: 'kubernetes' } },
  });
  expect(byMember.status).toBe(403);
});

it('starts with no configuration that says otherwise, having changed nothing', async () => {
  await expect(test.restart({ STRONGROOM_STORES_GLOBAL: 'database' })).rejects.toMatchObject({
    code: 'state_conflict',
    detail: expect.stringContaining('kubernetes'),
  });
  await test.restart({ STRONGROOM_STORES_GLOBAL: 'kubernetes', STRONGROOM_STORES_ADMIN: 'kubernetes' });
  expect(await storesShown()).toMatchObject({
    admin: { store: 'kubernetes', setBy: 'configuration' },
    global: { store: 'kubernetes', setBy: 'configuration' },
  });
  const set = await test.request('PATCH', '/v1/settings', { body: { managedStores: { admin: 'database' } } });
  expect([set.status, codeOf(set)]).toEqual([409, 'state_conflict']);
});

it('leaks nothing, and answers as it is documented', async () => {
  await test.assertNoLeak();
  expect(conformance.problems).toEqual([]);
});
