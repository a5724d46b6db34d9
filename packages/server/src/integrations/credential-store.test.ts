import { ReferenceFixture } from '@strongroom/backends/testing/reference.ts';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { codeOf, startTestServer, type TestServer } from '../../testing/app.ts';
import { Canaries } from '../../testing/canaries.ts';
import { type LoopbackVault, openLoopbackVault } from '../../testing/loopback-vault.ts';

/** A server whose domain has its values, and so what its integrations sign in with, in Kubernetes in the legacy layout. */
const canaries = new Canaries();
const token = canaries.plain('the token');
const domains = '/v1/domains';
let stores: ReferenceFixture;
let credentials: ReferenceFixture;
let vault: LoopbackVault;
let test: TestServer;

beforeAll(async () => {
  [stores, credentials] = await Promise.all([ReferenceFixture.start(), ReferenceFixture.start()]);
  vault = await openLoopbackVault({ token, secrets: { 'app/db': { value: 'x' } } });
  test = await startTestServer(
    { STRONGROOM_KUBERNETES_LAYOUT: 'scope-objects' },
    { canaries, openManagedStore: async () => stores.open(), openCredentialStore: async () => credentials.open() },
  );
  await test.call('POST', domains, { body: { name: 'finance', store: 'kubernetes' } });
  await test.createDomain('sales');
});
afterAll(async () => {
  await test.close();
  await Promise.all([stores.stop(), credentials.stop(), vault.close()]);
});

const entries = (): string[] => credentials.store.list(null, 100);
const body = () => ({
  type: 'VAULT',
  settings: { address: vault.url, path: '/v1/secret/data/app', authentication: { method: 'token' } },
  credentials: { token },
});

it('keeps a credential there alone, shows that it is there, and signs in with it', async () => {
  const made = await test.call('POST', `${domains}/finance/integrations`, { body: { name: 'vault-prod', ...body() } });
  expect(made).toMatchObject({ credentials: [{ name: 'token', version: '1.1' }] });
  expect(entries()).toEqual([expect.stringMatching(/^src_[0-9a-v]+\.token\.1\.1\./)]);
  const rows = await test.server.store.db.selectFrom('integration_credentials').selectAll().execute();
  expect(rows).toEqual([]);
  const tried = await test.call<{ checks: readonly { outcome: string }[] }>(
    'POST',
    `${domains}/finance/integrations/vault-prod/test`,
    { body: {} },
  );
  expect(JSON.stringify(tried)).not.toContain('failed');
  await test.assertNoLeak();
});

it('seals those of a scope whose values are in the database', async () => {
  await test.call('POST', `${domains}/sales/integrations`, { body: { name: 'vault-prod', ...body() } });
  expect(entries()).toHaveLength(1);
  const rows = await test.server.store.db.selectFrom('integration_credentials').select('name').execute();
  expect(rows).toEqual([{ name: 'token' }]);
});

it('takes no credential while the cluster is away, and nothing is left of the integration', async () => {
  const heal = await credentials.server.inject('failing', '');
  const refused = await test.request('POST', `${domains}/finance/integrations`, { body: { name: 'later', ...body() } });
  await heal();
  expect(codeOf(refused)).toBe('backend_unavailable');
  const { items } = await test.call<{ items: readonly { name: string }[] }>('GET', `${domains}/finance/integrations`);
  expect(items.map(({ name }) => name)).toEqual(['vault-prod']);
});

it('leaves nothing in force when the domain is deleted', async () => {
  await test.call('DELETE', `${domains}/finance?force=true`);
  const rows = await test.server.store.db.selectFrom('outside_credentials').select('state').execute();
  expect(rows.some(({ state }) => state === 'current')).toBe(false);
});
