// @needs vault
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Vault } from '../../../../servers/vault-server.ts';
import { startVault } from '../../../../servers/vault.ts';
import { startTestServer, type TestServer } from '../../testing/app.ts';
import { Canaries } from '../../testing/canaries.ts';

const canaries = new Canaries();
const base = '/v1/domains/finance';
let test: TestServer;
let vault: Vault;

interface Tested {
  readonly ok: boolean;
  readonly lines: readonly { readonly step: string; readonly outcome: string; readonly code?: string }[];
}
interface Chosen {
  readonly items: readonly { readonly reference: string }[];
  readonly sources: readonly { readonly source: string; readonly health: object; readonly index?: object }[];
}

beforeAll(async () => {
  vault = await startVault();
  test = await startTestServer({}, { canaries });
  await test.createDomain('finance');
  for (const key of ['db', 'team/smtp'])
    await vault.request('POST', `secret/data/app/${key}`, { data: { value: canaries.plain(`app/${key}`) } });
});
afterAll(async () => {
  await test.close();
  await vault.stop();
});

/** An AppRole that may do what `docs/guides/vault.md` says, or less. */
async function appRole(name: string, policy: string): Promise<object> {
  await vault.request('POST', `sys/policies/acl/${name}`, { policy });
  if ((await vault.request('GET', 'sys/auth/approle')).status !== 200)
    await vault.request('POST', 'sys/auth/approle', { type: 'approle' });
  await vault.request('POST', `auth/approle/role/${name}`, { token_policies: [name] });
  const role = await vault.request<{ data: { role_id: string } }>('GET', `auth/approle/role/${name}/role-id`);
  const secret = await vault.request<{ data: { secret_id: string } }>(
    'POST',
    `auth/approle/role/${name}/secret-id`,
    {},
  );
  canaries.add(`the secret id of ${name}`, secret.body.data.secret_id);
  return {
    type: 'VAULT',
    settings: {
      address: vault.url,
      path: '/v1/secret/data/app',
      authentication: { method: 'app-role', roleId: role.body.data.role_id },
    },
    credentials: { secretId: secret.body.data.secret_id },
  };
}

const reading = `path "secret/data/*" { capabilities = ["read"] }
path "secret/metadata/*" { capabilities = ["list", "read"] }`;
const failures = ({ lines }: Tested): string[] =>
  lines.filter(({ outcome }) => outcome === 'failed').map(({ step, code }) => `${step} ${code}`);

describe('an integration with a real Vault', () => {
  it('is tried, saved, listed, chosen from and imported from', async () => {
    const body = await appRole('reader', reading);
    const tried = await test.call<Tested>('POST', `${base}/integrations/test`, { body });
    expect([tried.ok, failures(tried)]).toEqual([true, []]);
    await test.call('POST', `${base}/integrations`, { body: { name: 'vault-prod', ...body } });
    const refreshed = await test.call('POST', `${base}/integrations/vault-prod/refresh`);
    expect(refreshed).toMatchObject({ health: { state: 'healthy' }, index: { keys: 2, isComplete: true } });
    const { items } = await test.call<Chosen>('GET', `${base}/choices?source=vault-prod`);
    expect(items.map(({ reference }) => reference)).toEqual([
      'secret://domain/vault-prod/db',
      'secret://domain/vault-prod/team/smtp',
    ]);
    const imported = await test.call<{ items: { key: string; outcome: string }[] }>('POST', `${base}/secrets/import`, {
      body: { from: { integration: 'vault-prod' } },
    });
    expect(imported.items).toEqual([
      { key: 'db', outcome: 'created' },
      { key: 'team-smtp', outcome: 'created' },
    ]);
  });

  it('says which of its rights are missing', async () => {
    const body = await appRole('no-list', 'path "secret/data/*" { capabilities = ["read"] }');
    const tried = await test.call<Tested>('POST', `${base}/integrations/test`, { body });
    expect(failures(tried)).toEqual(['list backend_denied']);
    const wrong = { ...body, credentials: { secretId: canaries.plain('a wrong secret id') } };
    expect(failures(await test.call<Tested>('POST', `${base}/integrations/test`, { body: wrong }))[0]).toMatch(
      /^login /,
    );
  });

  it('keeps its index while Vault is sealed', async () => {
    await vault.seal();
    const refreshed = await test.call('POST', `${base}/integrations/vault-prod/refresh`);
    expect(refreshed).toMatchObject({
      health: { state: 'unhealthy', error: { code: 'backend_sealed' } },
      index: { keys: 2 },
    });
    const { items, sources } = await test.call<Chosen>('GET', `${base}/choices?source=vault-prod`);
    expect(items).toHaveLength(2);
    expect(sources[0]?.health).toMatchObject({ state: 'unhealthy', error: { code: 'backend_sealed' } });
    await vault.unseal();
    const again = await test.call('POST', `${base}/integrations/vault-prod/refresh`);
    expect(again).toMatchObject({ health: { state: 'healthy' } });
  });

  it('leaves no credential and no value anywhere', async () => {
    await expect(test.assertNoLeak()).resolves.toBeUndefined();
  });
});
