import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, codeOf, startTestServer, type TestServer, type TestUser } from '../../testing/app.ts';
import { ephemeralJwk, integrationForm, profileForm } from '../../testing/bodies.ts';
import { Conformance } from '../../testing/conformance.ts';
import { freshName } from '../../testing/samples.ts';

const conformance = new Conformance();
const base = '/v1/domains/finance';
let test: TestServer;
let workload: TestUser;

beforeAll(async () => {
  test = await startTestServer({}, { onAnswer: conformance.see });
  await test.createDomain('finance');
  workload = await test.createServiceAccount('finance', 'etl', { preset: 'MEMBER', grants: ['RESOLVE'] });
});
afterAll(() => test.close());

const secretOf = (key: string) => ({ scope: 'domain', source: 'managed', key }) as const;
const rounds = Array.from({ length: 10 }, (_, index) => index);

async function addSecret(): Promise<string> {
  const key = freshName();
  await test.call('POST', `${base}/secrets`, { body: { key, value: `value of ${key}` } });
  return key;
}

async function launchOf(key: string, token = workload.token): Promise<string> {
  const body = { references: [{ name: 'A', reference: secretOf(key) }] };
  return (await test.call<{ id: string }>('POST', `${base}/launches`, { token, body })).id;
}

const resolve = (launch: string, token = workload.token): Promise<Answer> =>
  test.request('POST', `/v1/launches/${launch}/resolve`, { token, body: { publicKey: ephemeralJwk() } });

describe('at the same time', () => {
  it('a secret is deleted or comes into use, never both', async () => {
    const keys = await Promise.all(rounds.map(addSecret));
    const outcomes = await Promise.all(
      keys.map(async (key) => {
        const environment = [{ name: 'A', secret: secretOf(key) }];
        const [deleted, saved] = await Promise.all([
          test.request('DELETE', `${base}/secrets/${key}`),
          test.request('POST', `${base}/spark-jobs`, { body: { name: freshName(), command: ['true'], environment } }),
        ]);
        return `${deleted.status} ${codeOf(deleted) ?? ''}, ${saved.status} ${codeOf(saved) ?? ''}`;
      }),
    );
    for (const outcome of outcomes) expect(['200 , 422 reference_unresolved', '409 in_use, 201 ']).toContain(outcome);
  });

  it('a secret is deleted or delivered, and not delivered once it is deleted', async () => {
    const outcomes = await Promise.all(
      rounds.map(async () => {
        const key = await addSecret();
        const [launch, later] = await Promise.all([launchOf(key), launchOf(key)]);
        const [delivered] = await Promise.all([
          resolve(launch),
          test.call('DELETE', `${base}/secrets/${key}?force=true`),
        ]);
        expect([200, 422]).toContain(delivered.status);
        return codeOf(await resolve(later));
      }),
    );
    expect(new Set(outcomes)).toEqual(new Set(['launch_refused']));
  });

  it('a right is taken back or used, and not used once it is taken back', async () => {
    const key = await addSecret();
    await Promise.all(
      rounds.slice(0, 6).map(async (round) => {
        const account = await test.createServiceAccount('finance', `short-lived-${round}`, { preset: 'MEMBER' });
        const body = { principal: account.name, permission: 'RESOLVE' };
        const grant = await test.call<{ id: string }>('POST', `${base}/grants`, { body });
        const launches = await Promise.all(Array.from({ length: 4 }, () => launchOf(key, account.token)));
        const [last = '', ...others] = launches;
        const [answers] = await Promise.all([
          Promise.all(others.map((launch) => resolve(launch, account.token))),
          test.call('DELETE', `${base}/grants/${grant.id}`),
        ]);
        for (const { status } of answers) expect([200, 403]).toContain(status);
        expect(codeOf(await resolve(last, account.token))).toBe('permission_missing');
        await expectNothingAfter(account.id, grant.id);
      }),
    );
  });

  /** In the log, which is written in the transaction of each, no delivery follows the end of the right. */
  async function expectNothingAfter(accountId: string, grantId: string): Promise<void> {
    interface Item {
      readonly sequence: number;
      readonly outcome: string;
      readonly object?: { readonly id: string };
      readonly because?: readonly string[];
    }
    const records = async (filter: string): Promise<readonly Item[]> =>
      (await test.call<{ items: Item[] }>('GET', `/v1/audit?limit=200&${filter}`)).items;
    const [ends, resolves] = await Promise.all([
      records('action=access.manage&outcome=allowed'),
      records(`action=launch.resolve&outcome=allowed&principal=${accountId}`),
    ]);
    const end = ends.find(({ object, because }) => object?.id === grantId && because?.[0] === 'delete-grant');
    expect(end?.sequence).toBeGreaterThan(0);
    expect(resolves.filter(({ sequence }) => sequence > (end?.sequence ?? 0))).toEqual([]);
  }

  it('access changes all over the place, and launches go on', async () => {
    const key = await addSecret();
    const launches = await Promise.all(rounds.map(() => launchOf(key)));
    const users = Array.from({ length: 20 }, () => freshName());
    const [made, delivered] = await Promise.all([
      Promise.all(users.map((name) => test.request('POST', '/v1/users', { body: { name } }))),
      Promise.all(launches.map((launch) => resolve(launch))),
    ]);
    expect(made.map(({ status }) => status)).toEqual(users.map(() => 201));
    expect(delivered.map((answer) => [answer.status, codeOf(answer)])).toEqual(launches.map(() => [200, undefined]));
  });

  it('one of many gets a name', async () => {
    const creations: ((name: string) => readonly [string, object])[] = [
      (name) => ['/v1/domains', { name }],
      (name) => ['/v1/users', { name }],
      (name) => ['/v1/groups', { name }],
      (name) => ['/v1/service-accounts', { name }],
      (name) => [`${base}/secrets`, { key: name, value: 'x' }],
      (name) => [`${base}/bundles`, { name }],
      (name) => [`${base}/integrations`, { name, ...integrationForm }],
      (name) => ['/v1/profiles', { name, ...profileForm }],
      (name) => [`${base}/service-accounts`, { name }],
      (name) => [`${base}/spark-jobs`, { name, command: ['true'] }],
    ];
    for (const creation of creations) {
      const [path, body] = creation(freshName());
      const answers = await Promise.all(Array.from({ length: 6 }, () => test.request('POST', path, { body })));
      const outcomes = answers.map((answer) => codeOf(answer) ?? String(answer.status)).toSorted();
      expect([path, ...outcomes]).toEqual([path, '201', ...Array.from({ length: 5 }, () => 'already_exists')]);
    }
  });

  it('every rotation counts, or only the one that saw the last', async () => {
    const key = await addSecret();
    const path = `${base}/secrets/${key}/value`;
    const rotate = (headers: Readonly<Record<string, string>>): Promise<Answer> =>
      test.request('PUT', path, { body: { value: freshName() }, headers });
    const free = await Promise.all(rounds.slice(0, 4).map(() => rotate({})));
    expect(free.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    const { items } = await test.call<{ items: { version: string }[] }>('GET', `${base}/secrets/${key}/versions`);
    expect(items.map(({ version }) => version)).toEqual(['1.5', '1.4', '1.3', '1.2', '1.1']);
    const etag = (await test.request('GET', `${base}/secrets/${key}`)).headers.get('etag') ?? '';
    const bound = await Promise.all(rounds.slice(0, 5).map(() => rotate({ 'if-match': etag })));
    expect(bound.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(bound.filter(({ status }) => status === 412)).toHaveLength(4);
  });

  it('a domain is deleted, and nothing lives on in it', async () => {
    await Promise.all(
      rounds.slice(0, 5).map(async () => {
        const name = freshName();
        await test.createDomain(name);
        const path = `/v1/domains/${name}`;
        // What is there before, so that both orders are seen in every run.
        await test.call('POST', `${path}/spark-jobs`, { body: { name: 'earlier', command: ['true'] } });
        await test.call('POST', `${path}/secrets`, { body: { key: 'earlier', value: 'v' } });
        const earlier = await test.createServiceAccount(name, 'earlier');
        const answers = await Promise.all([
          test.request('DELETE', `${path}?force=true`),
          test.request('POST', `${path}/secrets`, { body: { key: 'k', value: 'v' } }),
          test.request('POST', `${path}/bundles`, { body: { name: 'b' } }),
          test.request('POST', `${path}/integrations`, { body: { name: 'i', ...integrationForm } }),
          test.request('POST', `${path}/spark-jobs`, { body: { name: 'j', command: ['true'] } }),
          test.request('POST', `${path}/service-accounts`, { body: { name: 's' } }),
        ]);
        expect(answers[0]?.status).toBe(204);
        for (const { status } of answers.slice(1)) expect([201, 404]).toContain(status);
        expect((await test.request('GET', '/v1/auth/me', { token: earlier.token })).status).toBe(401);
      }),
    );
    const { db } = test.server.store;
    const dead = db.selectFrom('scopes').select('id').where('deleted_at', 'is not', null);
    // A configuration stays as a deleted row, which its runs still name.
    for (const table of ['configurations', 'secrets', 'principals'] as const) {
      const living = db.selectFrom(table).select('id').where('scope_id', 'in', dead).where('deleted_at', 'is', null);
      expect([table, ...(await living.execute())]).toEqual([table]);
    }
    for (const table of ['members', 'grants', 'bundle_grants', 'bundle_assets', 'uses', 'integrations'] as const)
      expect(await db.selectFrom(table).select('scope_id').where('scope_id', 'in', dead).execute()).toEqual([]);
  });
});

describe('nobody makes themselves more than they are', () => {
  it('by membership, grants, groups, roles or bundles', async () => {
    const [manager, maintainer, secretsAdmin] = await Promise.all([
      test.createUser('manager', { grants: { finance: ['MANAGE_ACCESS'] } }),
      test.createUser('maintainer', { domains: { finance: 'MAINTAINER' } }),
      test.createUser('secrets-admin', { roles: ['SECRETS_ADMIN'] }),
    ]);
    const group = await test.call<{ id: string }>('POST', '/v1/groups', { body: { name: 'owners' } });
    await test.call('POST', `${base}/members`, { body: { principal: 'group:owners', preset: 'OWNER' } });
    const attempts: (readonly [TestUser, string, string, object | undefined])[] = [
      ...[manager, maintainer].flatMap((user): (readonly [TestUser, string, string, object | undefined])[] => [
        [user, 'POST', `${base}/members`, { principal: user.name, preset: 'OWNER' }],
        [user, 'PUT', `${base}/members/${user.name}`, { preset: 'OWNER' }],
        [user, 'POST', `${base}/grants`, { principal: user.name, permission: 'RESOLVE', acknowledge: true }],
        [user, 'POST', `${base}/grants`, { principal: workload.name, permission: 'RESOLVE' }],
      ]),
      ...[manager, maintainer, secretsAdmin].flatMap(
        (user): (readonly [TestUser, string, string, object | undefined])[] => [
          [user, 'PATCH', `/v1/users/${user.id}`, { roles: ['PLATFORM_ADMIN'] }],
          [user, 'PUT', `/v1/groups/${group.id}/members/${user.id}`, undefined],
          [user, 'POST', '/v1/service-accounts', { name: freshName(), roles: ['PLATFORM_ADMIN'] }],
          [user, 'POST', `/v1/users`, { name: freshName(), roles: ['PLATFORM_ADMIN'] }],
        ],
      ),
      [
        manager,
        'POST',
        `${base}/bundles/default/grants`,
        { principal: manager.name, assetType: 'secret', permissions: ['USE'] },
      ],
    ];
    for (const [user, method, path, body] of attempts) {
      const answer = await test.request(method, path, { token: user.token, ...(body === undefined ? {} : { body }) });
      expect([user.name, method, path, body, answer.status]).toEqual([
        user.name,
        method,
        path,
        body,
        expect.toSatisfy((status: number) => status === 403 || status === 404),
      ]);
    }
  });

  it('and of two administrators who remove each other one stays', async () => {
    const [ann, bob] = await Promise.all(
      ['ann', 'bob'].map((name) => test.createUser(name, { roles: ['PLATFORM_ADMIN'] })),
    );
    if (ann === undefined || bob === undefined) throw new Error('They are not there');
    const { items } = await test.call<{ items: { id: string; name: string }[] }>(
      'GET',
      '/v1/service-accounts?name=bootstrap',
    );
    await test.call('DELETE', `/v1/service-accounts/${items[0]?.id}`, { token: ann.token });
    const answers = await Promise.all([
      test.request('PATCH', `/v1/users/${bob.id}`, { token: ann.token, body: { roles: [] } }),
      test.request('DELETE', `/v1/users/${ann.id}`, { token: bob.token }),
    ]);
    expect(answers.filter(({ status }) => status < 300)).toHaveLength(1);
    for (const { status } of answers) expect(status).toBeLessThan(500);
    const left = await Promise.all([ann, bob].map(({ token }) => test.request('GET', '/v1/users', { token })));
    expect(left.filter(({ status }) => status === 200)).toHaveLength(1);
  });
});

describe('every answer so far', () => {
  it('was inside its declaration, and none was the server’s fault', () => {
    expect(conformance.problems).toEqual([]);
    expect(test.logged.filter(({ level }) => level === 'error' || level === 'fatal')).toEqual([]);
  });
});
