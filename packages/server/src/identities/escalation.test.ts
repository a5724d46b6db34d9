import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, startTestServer, type TestServer, type TestUser } from '../../testing/app.ts';

/** Nobody rises by acting as somebody else. */
describe('a service account of a domain', () => {
  let test: TestServer;
  /** MEMBER with MANAGE_ACCESS alone; the same with RESOLVE; OWNER; DOMAIN_MANAGER. */
  let manager: TestUser;
  let resolving: TestUser;
  let owner: TestUser;
  let domainManager: TestUser;
  const accounts = new Map<string, string>();

  beforeAll(async () => {
    test = await startTestServer();
    await test.createDomain('finance');
    await test.createDomain('sales');
    manager = await test.createUser('manager', {
      domains: { finance: 'MEMBER' },
      grants: { finance: ['MANAGE_ACCESS'] },
    });
    resolving = await test.createUser('resolving', { grants: { finance: ['MANAGE_ACCESS', 'RESOLVE'] } });
    owner = await test.createUser('owner', { domains: { finance: 'OWNER' } });
    domainManager = await test.createUser('domain-manager', { roles: ['DOMAIN_MANAGER'] });
    const add = async (name: string, options = {}): Promise<void> => {
      accounts.set(name, (await test.createServiceAccount('finance', name, options)).id);
    };
    await add('empty');
    await add('member', { preset: 'MEMBER' });
    await add('maintainer', { preset: 'MAINTAINER' });
    await add('boss', { preset: 'OWNER' });
    await add('resolver', { grants: ['RESOLVE'] });
    await add('granted', { preset: 'VIEWER' });
    await add('collector', { preset: 'VIEWER' });
    await test.call('POST', '/v1/domains/finance/bundles', { body: { name: 'narrow' } });
    await test.call('POST', '/v1/domains/finance/bundles/narrow/grants', {
      body: { principal: 'service-account:finance/granted', assetType: 'secret', permissions: ['USE'] },
    });
    await test.call('PATCH', '/v1/domains/finance/bundles/narrow', {
      body: { owner: 'service-account:finance/collector' },
    });
  });
  afterAll(() => test.close());

  const path = (name: string): string => `/v1/domains/finance/service-accounts/${accounts.get(name) ?? ''}`;
  const issue = (name: string, user: TestUser): Promise<Answer> =>
    test.request('POST', `${path(name)}/tokens`, { token: user.token, body: { description: 'x' } });
  const change = (name: string, user: TestUser, body: object): Promise<Answer> =>
    test.request('PATCH', path(name), { token: user.token, body });

  it.each(['maintainer', 'boss', 'resolver', 'granted', 'collector'])(
    'gives no token of %s to whoever has MANAGE_ACCESS alone',
    async (name) => {
      const before = await test.call<{ items: unknown[] }>('GET', `${path(name)}/tokens`);
      const answer = await issue(name, manager);
      expect([answer.status, answer.body]).toMatchObject([403, { code: 'permission_missing' }]);
      expect(await test.call('GET', `${path(name)}/tokens`)).toEqual(before);
    },
  );

  it('records the refusal', async () => {
    const { items } = await test.call<{ items: { principal: { name: string }; outcome: string; because: string[] }[] }>(
      'GET',
      '/v1/audit?action=access.manage&outcome=denied&limit=100',
    );
    expect(items.filter(({ principal }) => principal.name === 'user:manager').map(({ because }) => because[0])).toEqual(
      expect.arrayContaining(['missing:MAINTAINER', 'missing:OWNER', 'missing:RESOLVE', 'missing:USE']),
    );
  });

  it.each(['boss', 'resolver'])('is not enabled, disabled or deleted by them where it is %s', async (name) => {
    expect((await change(name, manager, { isDisabled: true })).status).toBe(403);
    expect((await test.request('DELETE', path(name), { token: manager.token })).status).toBe(403);
    expect((await change(name, owner, { isDisabled: true })).status).toBe(200);
    expect((await change(name, manager, { isDisabled: false })).status).toBe(403);
    expect((await change(name, manager, { displayName: 'renamed' })).status).toBe(200);
    expect((await change(name, owner, { isDisabled: false })).status).toBe(200);
  });

  it('gives a token to whoever has as much in the domain', async () => {
    for (const name of ['empty', 'member']) expect([name, (await issue(name, manager)).status]).toEqual([name, 201]);
    expect((await issue('resolver', resolving)).status).toBe(201);
    expect((await issue('boss', resolving)).status).toBe(403);
    for (const name of accounts.keys()) {
      expect([name, (await issue(name, owner)).status]).toEqual([name, 201]);
      expect([name, (await issue(name, domainManager)).status]).toEqual([name, 201]);
    }
  });

  it('may have its tokens revoked by everybody who manages access: that raises nobody', async () => {
    const { body } = await issue('boss', owner);
    const { id } = body as { id: string };
    expect((await test.request('DELETE', `${path('boss')}/tokens/${id}`, { token: manager.token })).text).toBe('');
  });

  it('of elsewhere, and who is none at all, is the same 404', async () => {
    const elsewhere = await test.createServiceAccount('sales', 'boss', { preset: 'OWNER' });
    const platform = await test.call<{ id: string }>('POST', '/v1/service-accounts', {
      body: { name: 'platform', roles: ['PLATFORM_ADMIN'] },
    });
    const answers = await Promise.all(
      [elsewhere.id, platform.id, owner.id, 'sa_00000000000000000000000000'].flatMap((id) => {
        const base = `/v1/domains/finance/service-accounts/${id}`;
        return [
          test.request('POST', `${base}/tokens`, { token: manager.token, body: { description: 'x' } }),
          test.request('PATCH', base, { token: manager.token, body: { isDisabled: false } }),
          test.request('DELETE', base, { token: manager.token }),
        ];
      }),
    );
    const shapes = answers.map(
      ({ status, text, headers }) => `${status} ${text.replace(headers.get('x-request-id') ?? '', '')}`,
    );
    expect(new Set(shapes).size).toBe(1);
    expect(answers[0]?.status).toBe(404);
  });

  it('of the platform, groups and users are the platform administrator’s', async () => {
    const { id } = await test.call<{ id: string }>('POST', '/v1/service-accounts', { body: { name: 'collector' } });
    const group = await test.call<{ id: string }>('POST', '/v1/groups', {
      body: { name: 'admins', roles: ['PLATFORM_ADMIN'] },
    });
    const all = [
      manager,
      owner,
      domainManager,
      await test.createUser('secrets-admin', { roles: ['SECRETS_ADMIN'] }),
      await test.createUser('read-only', { roles: ['READ_ONLY_ADMIN', 'AUDITOR'] }),
    ];
    for (const { token, name, id: own } of all) {
      const statuses = await Promise.all([
        test.request('POST', `/v1/service-accounts/${id}/tokens`, { token, body: { description: 'x' } }),
        test.request('PATCH', `/v1/service-accounts/${id}`, { token, body: { roles: ['PLATFORM_ADMIN'] } }),
        test.request('PUT', `/v1/groups/${group.id}/members/${own}`, { token }),
        test.request('PATCH', `/v1/users/${own}`, { token, body: { roles: ['PLATFORM_ADMIN'] } }),
        test.request('POST', `/v1/users/${owner.id}/sign-in-link`, { token, body: {} }),
      ]);
      expect([name, ...statuses.map(({ status }) => status)]).toEqual([name, 403, 403, 403, 403, 403]);
    }
    // Whom a domain manages joins no group, so that nobody there decides what it may elsewhere.
    const joined = await test.request('PUT', `/v1/groups/${group.id}/members/${accounts.get('empty') ?? ''}`);
    expect(joined.status).toBe(409);
  });
});
