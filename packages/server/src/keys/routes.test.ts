import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatKekText } from '@strongroom/crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer, type TestUser } from '../../testing/app.ts';
import { Canaries } from '../../testing/canaries.ts';
import { DestroyedScopes } from './destroyed-scopes.ts';
import { openKeyring } from './keyring.ts';

interface Status {
  readonly keyEncryptionKey: { readonly id: string };
  readonly recoveryConfirmed: boolean;
  readonly terms: readonly {
    readonly scope: string;
    readonly purpose: string;
    readonly state: string;
    readonly terms: number;
    readonly uses: number;
  }[];
  readonly valuesToReseal: number;
}

describe('the routes of the keyring', () => {
  const canaries = new Canaries();
  const value = canaries.text('password');
  let test: TestServer;
  let others: readonly TestUser[];
  beforeAll(async () => {
    test = await startTestServer({}, { canaries });
    await test.createDomain('finance');
    await test.call('POST', '/v1/domains/finance/secrets', { body: { key: 'db-password', value } });
    others = [
      await test.createUser('ann', { domains: { finance: 'OWNER' } }),
      ...(await Promise.all(
        (['SECRETS_ADMIN', 'DOMAIN_MANAGER', 'READ_ONLY_ADMIN', 'AUDITOR'] as const).map((role) =>
          test.createUser(role.toLowerCase(), { roles: [role] }),
        ),
      )),
    ];
  });
  afterAll(() => test.close());

  const status = () => test.call<Status>('GET', '/v1/keys');
  const trail = async (): Promise<readonly Record<string, unknown>[]> =>
    (await test.request('GET', '/v1/audit/export')).text
      .split('\n')
      .filter((line) => line.includes('keys.rotate'))
      .map((line) => JSON.parse(line) as Record<string, unknown>);

  it('leave no keys of a deleted domain with other servers that had them open', async () => {
    const { store, keyring } = test.server;
    const make = (name: string) =>
      test.call<{ id: string }>('POST', '/v1/domains', { body: { name, displayName: name } });
    const ids = [(await make('short-lived')).id, (await make('lasting')).id];
    const other = await openKeyring(store, keyring.kek);
    const errors: unknown[] = [];
    const watch = new DestroyedScopes(store, other, (error) => errors.push(error));
    try {
      for (const id of ids) await other.prepareScope(id);
      await watch.forget();
      expect(other.openedScopes()).toEqual(ids);
      await test.call('DELETE', '/v1/domains/short-lived?force=true');
      await watch.forget();
      expect(other.openedScopes()).toEqual([ids[1]]);
    } finally {
      await watch.stop();
      other.close();
    }
    expect(errors).toEqual([]);
    await test.call('DELETE', '/v1/domains/lasting?force=true');
  });

  it('show identifiers, states and counts to roles that may see settings, and no key', async () => {
    const answer = await status();
    expect(answer).toMatchObject({ recoveryConfirmed: false, valuesToReseal: 0 });
    expect(answer.terms.find(({ scope, purpose }) => scope === 'finance' && purpose === 'value')).toMatchObject({
      state: 'active',
      terms: 1,
      uses: 4096,
    });
    const kek = readFileSync(join(test.dataDir, 'kek'), 'utf8');
    expect(JSON.stringify(answer)).not.toContain(kek.trim().split(':')[1]);
    const [ann, ...roles] = others;
    expect((await test.request('GET', '/v1/keys', { token: ann?.token ?? '' })).status).toBe(403);
    for (const { token, name } of roles)
      expect([name, (await test.request('GET', '/v1/keys', { token })).status]).toEqual([name, 200]);
  });

  it('rotate for PLATFORM_ADMIN alone, and record every refusal', async () => {
    const before = await status();
    for (const { token, name } of others) {
      for (const body of [{ what: 'kek' }, { what: 'terms' }, { what: 'terms', scope: 'domain', domain: 'finance' }])
        expect([name, (await test.request('POST', '/v1/keys/rotate', { token, body })).status]).toEqual([name, 403]);
      const body = { kekId: before.keyEncryptionKey.id };
      expect((await test.request('POST', '/v1/keys/recovery/confirm', { token, body })).status).toBe(403);
    }
    expect(await status()).toEqual(before);
    const denied = await test.call<{ items: { outcome: string }[] }>('GET', '/v1/audit?action=keys.manage&limit=200');
    expect(denied.items).toHaveLength(others.length * 4);
    expect(denied.items.every(({ outcome }) => outcome === 'denied')).toBe(true);
  });

  it('rotate the value keys of one scope, or of all that have one', async () => {
    const rotated = await test.call<Status>('POST', '/v1/keys/rotate', {
      body: { what: 'terms', scope: 'domain', domain: 'finance' },
    });
    expect(rotated.valuesToReseal).toBe(1);
    const all = await test.call<Status>('POST', '/v1/keys/rotate', { body: { what: 'terms' } });
    const finance = all.terms.filter(({ scope, purpose }) => scope === 'finance' && purpose === 'value');
    expect(finance.map(({ state, terms }) => `${terms} ${state}`).sort()).toEqual(['1 active', '2 retired']);
    expect(all.terms.filter(({ purpose }) => purpose === 'value').map(({ scope }) => scope)).not.toContain('global');
    const records = await trail();
    expect(records).toHaveLength(2);
    for (const record of records) expect(JSON.stringify(record)).toContain('"finance"');
  });

  it.each([
    [{ what: 'terms', scope: 'domain' }, 422],
    [{ what: 'terms', scope: 'admin', domain: 'finance' }, 422],
    [{ what: 'terms', scope: 'domain', domain: 'absent' }, 404],
    [{ what: 'everything' }, 422],
    [{}, 422],
  ])('refuse %j', async (body, expected) => {
    const before = await status();
    expect((await test.request('POST', '/v1/keys/rotate', { body })).status).toBe(expected);
    expect(await status()).toEqual(before);
  });

  it('rotate the key file; the kit counts no more, doctor says so, and the next start has the new file alone', async () => {
    const { keyEncryptionKey } = await status();
    const wrong = await test.request('POST', '/v1/keys/recovery/confirm', { body: { kekId: '0'.repeat(32) } });
    expect(wrong.status).toBe(409);
    await test.call('POST', '/v1/keys/recovery/confirm', { body: { kekId: keyEncryptionKey.id } });
    expect((await status()).recoveryConfirmed).toBe(true);
    const rotated = await test.call<Status>('POST', '/v1/keys/rotate', { body: { what: 'kek' } });
    expect(rotated.keyEncryptionKey.id).not.toBe(keyEncryptionKey.id);
    expect(rotated.recoveryConfirmed).toBe(false);
    expect((await trail()).at(-1)).toMatchObject({
      record: { principal: { name: 'service-account:bootstrap' }, outcome: 'allowed', detail: { what: 'kek' } },
    });
    const stale = await test.request('POST', '/v1/keys/recovery/confirm', { body: { kekId: keyEncryptionKey.id } });
    expect(stale.status).toBe(409);
    const { checks } = await test.call<{ checks: { id: string; status: string; hint?: string }[] }>(
      'GET',
      '/v1/doctor',
    );
    expect(checks.find(({ id }) => id === 'recovery-kit')).toMatchObject({
      status: 'amber',
      hint: expect.stringContaining('recovery create'),
    });
    await test.restart();
    expect((await status()).keyEncryptionKey.id).toBe(rotated.keyEncryptionKey.id);
    await test.call('POST', '/v1/domains/finance/secrets', { body: { key: 'another', value } });
  });

  it('show nothing of a value anywhere', async () => {
    await expect(test.assertNoLeak()).resolves.toBeUndefined();
  });

  it('do not start with another key', async () => {
    const path = join(test.dataDir, '..', 'other-kek');
    writeFileSync(path, formatKekText(Buffer.alloc(32, 7)), { mode: 0o600 });
    await expect(test.restart({ STRONGROOM_KEK_FILE: path })).rejects.toMatchObject({ code: 'key_unavailable' });
    await test.restart();
    expect((await test.request('GET', '/healthz', { token: null })).status).toBe(200);
  });
});
