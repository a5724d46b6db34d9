import { generateKeyPairSync } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer, type TestUser } from '../../testing/app.ts';
import { Canaries } from '../../testing/canaries.ts';
import { type LoopbackVault, openLoopbackVault } from '../../testing/loopback-vault.ts';
import { freshName } from '../../testing/samples.ts';
import { SourceVersions } from './source-versions.ts';

const canaries = new Canaries();
const base = '/v1/domains/finance';
const heldReference = 'secret://domain/first/db';
let test: TestServer;
let first: LoopbackVault;
let second: LoopbackVault;

beforeAll(async () => {
  [first, second] = (await Promise.all(
    ['app/db', 'app/mail'].map((key) =>
      openLoopbackVault({
        token: canaries.plain(`the token for ${key}`),
        secrets: { [key]: { value: canaries.text(`the value of ${key}`) } },
      }),
    ),
  )) as [LoopbackVault, LoopbackVault];
  test = await startTestServer({}, { canaries });
  await test.createDomain('finance');
  for (const [name, { url, token }] of Object.entries({ first, second }))
    await test.call('POST', `${base}/integrations`, {
      body: {
        name,
        type: 'VAULT',
        settings: { address: url, path: '/v1/secret/data/app', authentication: { method: 'token' } },
        credentials: { token },
      },
    });
});
afterAll(async () => {
  await test.assertNoLeak();
  await test.close();
  await Promise.all([first.close(), second.close()]);
});
afterEach(() => {
  for (const vault of [first, second]) Object.assign(vault, { trouble: 'none' });
});

describe('drift of keys of integrations', () => {
  interface Drift {
    readonly items: readonly {
      readonly reference: string;
      readonly version: string;
      readonly currentVersion?: string;
      readonly checkedAt?: string;
    }[];
  }
  const drifted = async (reference: string) =>
    (await test.call<Drift>('GET', `${base}/drift?limit=200`)).items.filter((item) => item.reference === reference);
  const never = new AbortController().signal;

  it('is found by asking for what is held and nothing else, and stays as it is known while the backend is away', async () => {
    const worker = await test.createServiceAccount('finance', freshName(), { preset: 'MEMBER', grants: ['RESOLVE'] });
    await deliver(worker, heldReference);
    const versions = new SourceVersions(test.server.store, test.server.services.backends);
    expect(await drifted(heldReference)).toEqual([]);
    await versions.round(never, -1);
    expect(await drifted(heldReference)).toEqual([]);
    first.versions.set('app/db', 2);
    const before = second.requests.length;
    await versions.round(never, -1);
    expect(await drifted(heldReference)).toMatchObject([
      { version: '1', currentVersion: '2', checkedAt: expect.any(String) },
    ]);
    expect(second.requests).toHaveLength(before);
    const asked = first.requests.length;
    await versions.round(never);
    expect(first.requests).toHaveLength(asked);
    const known = await drifted(heldReference);
    first.trouble = 'sealed';
    await versions.round(never, -1);
    expect(await drifted(heldReference)).toEqual(known);
    first.trouble = 'none';
    const kept = first.secrets.get('app/db') ?? {};
    first.secrets.delete('app/db');
    await versions.round(never, -1);
    const [gone] = await drifted(heldReference);
    expect([gone?.version, gone?.currentVersion]).toEqual(['1', undefined]);
    first.secrets.set('app/db', kept);
    first.versions.delete('app/db');
    await versions.round(never, -1);
    expect(await drifted(heldReference)).toEqual([]);
    expect(await refreshes(1)).toMatchObject([{ because: ['drift'] }]);
  });

  it('reads no value for it, and says of what versions may not be asked for that it is unknown', async () => {
    const worker = await test.createServiceAccount('finance', freshName(), { preset: 'MEMBER', grants: ['RESOLVE'] });
    await deliver(worker, heldReference);
    const versions = new SourceVersions(test.server.store, test.server.services.backends);
    const askedIn = async (): Promise<readonly string[]> => {
      const before = first.requests.length;
      await versions.round(never, -1);
      return first.requests.slice(before).filter((request) => request.includes('app/db'));
    };
    expect(await askedIn()).toEqual(['GET secret/metadata/app/db']);
    expect(await refreshes(1)).toMatchObject([{ because: ['drift'] }]);
    first.mayReadMetadata = false;
    first.versions.set('app/db', 7);
    try {
      expect(await askedIn()).toEqual(['GET secret/metadata/app/db']);
      expect(await drifted(heldReference)).toEqual([]);
      const { unchecked } = await test.call<{ unchecked: object[] }>('GET', `${base}/drift`);
      expect(unchecked).toContainEqual({
        source: expect.any(String),
        keys: expect.any(Number),
        code: 'backend_denied',
        knownAt: expect.any(String),
      });
    } finally {
      first.mayReadMetadata = true;
      first.versions.delete('app/db');
    }
  });

  async function refreshes(limit: number): Promise<readonly { because: string[]; detail: object }[]> {
    const { items } = await test.call<{ items: { because: string[]; detail: object }[] }>(
      'GET',
      `/v1/audit?action=integration.refresh&limit=${limit}`,
    );
    return items;
  }

  async function deliver(worker: TestUser, reference: string): Promise<void> {
    const { id } = await test.call<{ id: string }>('POST', `${base}/launches`, {
      token: worker.token,
      body: { references: [{ name: 'V', reference }] },
    });
    const { kty, crv, x } = generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' });
    await test.call('POST', `/v1/launches/${id}/resolve`, {
      token: worker.token,
      body: { publicKey: { kty, crv, x } },
    });
  }
});
