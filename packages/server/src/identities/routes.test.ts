import {
  authRoutes,
  domainServiceAccountRoutes,
  groupRoutes,
  serviceAccountRoutes,
  userRoutes,
} from '@strongroom/contract';
import type { InjectOptions } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sampleApp } from '../../testing/http-app.ts';
import { openTestStore, type TestStore } from '../../testing/stores.ts';
import { createAccess } from '../access/service.ts';
import type { App, AppParts } from '../http/app.ts';
import { bootstrapIdentities } from './bootstrap.ts';
import { type Identities, openIdentities } from './index.ts';
import { goodPassword } from './testing/world.ts';
import type { commands } from './testing/program.ts';

const routes = [...authRoutes, ...userRoutes, ...groupRoutes, ...serviceAccountRoutes, ...domainServiceAccountRoutes];

let test: TestStore<typeof commands>;
let identities: Identities;
let app: App;
let adminToken: string;
const denials: string[] = [];

beforeAll(async () => {
  test = await openTestStore<typeof commands>({ program: new URL('testing/program.ts', import.meta.url) });
  const access = createAccess(test.store);
  identities = openIdentities(test.store, test.keys, access, {
    denials: { count: (action) => denials.push(action) },
    onError: (error) => {
      throw error;
    },
  });
  const { signInLink } = await bootstrapIdentities(test.store, test.keys);
  const { authentication } = identities;
  const handlers = identities.handlers as unknown as AppParts['handlers'];
  ({ app } = sampleApp({ routes, handlers, authentication, access, keys: test.keys }));
  const opened = await send('POST', '/v1/auth/link', { payload: { token: signInLink?.link.token } });
  adminToken = opened.json<{ token: string }>().token;
});
afterAll(async () => {
  await app.stop(0);
  await identities.close();
  await test.close();
});

interface Sent {
  readonly payload?: object | undefined;
  readonly token?: string;
  readonly headers?: Record<string, string>;
}

function send(method: InjectOptions['method'] & string, url: string, { payload, token, headers }: Sent = {}) {
  return app.fastify.inject({
    method,
    url,
    headers: {
      host: 'localhost:8480',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(payload === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(payload === undefined ? {} : { payload }),
  });
}
const asAdmin = (method: InjectOptions['method'] & string, url: string, sent: Sent = {}) =>
  send(method, url, { ...sent, token: adminToken });

async function newUser(name: string, body: object = { password: goodPassword }): Promise<string> {
  const answer = await asAdmin('POST', '/v1/users', { payload: { name, ...body } });
  expect(answer.statusCode).toBe(201);
  return answer.json<{ user: { id: string } }>().user.id;
}
async function tokenOf(name: string): Promise<string> {
  const answer = await send('POST', '/v1/auth/login', { payload: { name, password: goodPassword } });
  expect(answer.statusCode).toBe(200);
  return answer.json<{ token: string }>().token;
}

describe('signing in over HTTP', () => {
  it('gives the command line a token in the body and no cookie', async () => {
    await newUser('cli');
    const answer = await send('POST', '/v1/auth/login', { payload: { name: 'CLI', password: goodPassword } });
    expect(answer.json()).toEqual({
      principal: { id: expect.any(String), kind: 'user', name: 'cli', displayName: 'cli' },
      transport: 'bearer',
      expiresAt: expect.any(String),
      idleSeconds: 3600,
      token: expect.stringMatching(/^srs_/),
    });
    expect(answer.headers['set-cookie']).toBeUndefined();
  });

  it('gives the console a cookie it can’t read and a token for the tab', async () => {
    await newUser('console');
    const payload = { name: 'console', password: goodPassword, transport: 'cookie' };
    const answer = await send('POST', '/v1/auth/login', { payload });
    const body = answer.json<{ tabToken: string; token?: string }>();
    expect(body.token).toBeUndefined();
    const setCookie = String(answer.headers['set-cookie']);
    expect(setCookie).toMatch(/^strongroom=srs_\w+; Max-Age=43200; Path=\/; HttpOnly; SameSite=Strict$/);
    expect(answer.body).not.toContain(/srs_\w+/.exec(setCookie)?.[0]);
    const cookie = setCookie.split(';')[0] ?? '';
    const tab = { cookie, 'x-strongroom-tab': body.tabToken };
    expect((await send('GET', '/v1/auth/me', { headers: tab })).json()).toMatchObject({
      principal: { name: 'console' },
    });
    expect((await send('GET', '/v1/auth/me', { headers: { cookie } })).json()).toMatchObject({ code: 'csrf_failed' });
    const out = await send('DELETE', '/v1/auth/session', { headers: tab });
    expect(out.statusCode).toBe(204);
    expect(out.headers['set-cookie']).toMatch(/^strongroom=; Max-Age=0;/);
    expect((await send('GET', '/v1/auth/me', { headers: tab })).statusCode).toBe(401);
  });

  it('answers a wrong password without a word about what was wrong', async () => {
    const known = await send('POST', '/v1/auth/login', { payload: { name: 'cli', password: 'canary-wrong-password' } });
    const unknown = await send('POST', '/v1/auth/login', { payload: { name: 'nobody', password: 'canary-wrong-pw' } });
    const without = (problem: Record<string, unknown>) => ({ ...problem, requestId: '' });
    expect(known.statusCode).toBe(401);
    expect(without(known.json())).toEqual(without(unknown.json()));
    expect(known.body + unknown.body).not.toContain('canary');
  });

  it.each([
    ['an undeclared field', { name: 'ann', password: goodPassword, roles: ['PLATFORM_ADMIN'] }],
    ['no password', { name: 'ann' }],
    ['a list for a name', { name: ['ann'], password: goodPassword }],
    ['another transport', { name: 'ann', password: goodPassword, transport: 'query' }],
    ['an endless password', { name: 'ann', password: 'canary'.repeat(1000) }],
  ])('refuses %s and does not repeat it', async (_, payload) => {
    const answer = await send('POST', '/v1/auth/login', { payload });
    expect(answer.json()).toMatchObject({ code: 'validation_failed' });
    expect(answer.body).not.toContain('canary');
    expect(answer.body).not.toContain(goodPassword);
  });

  it('tells who is signed in', async () => {
    const id = await newUser('mia');
    await test.store.execute('test.addDomain', { id: 'dom_mia', name: 'mias-domain', ownerId: id });
    const me = await send('GET', '/v1/auth/me', { token: await tokenOf('mia') });
    expect(me.json()).toMatchObject({
      principal: { id, kind: 'user', name: 'mia' },
      hasPassword: true,
      roles: [],
      groups: [],
      domains: [{ name: 'mias-domain', presets: ['OWNER'] }],
      hasMoreDomains: false,
      credential: { type: 'session' },
    });
  });

  it('changes one’s own password and goes on with a fresh session', async () => {
    await newUser('otto');
    const token = await tokenOf('otto');
    const payload = { currentPassword: goodPassword, newPassword: 'a new good password' };
    const changed = await send('PUT', '/v1/auth/password', { token, payload });
    expect((await send('GET', '/v1/auth/me', { token })).statusCode).toBe(401);
    const fresh = changed.json<{ token: string }>().token;
    const sessions = await send('GET', '/v1/auth/sessions', { token: fresh });
    expect(sessions.json()).toMatchObject({ items: [{ isCurrent: true, transport: 'bearer' }] });
  });
});

describe('managing identities over HTTP', () => {
  it('carries ETags', async () => {
    const id = await newUser('etag');
    const shown = await asAdmin('GET', `/v1/users/${id}`);
    expect(shown.json()).toMatchObject({ actions: [{ action: 'identity.manage', allowed: true }] });
    expect(shown.headers['etag']).toBe('"1"');
    const change = (ifMatch: string) =>
      asAdmin('PATCH', `/v1/users/${id}`, { payload: { displayName: 'E' }, headers: { 'if-match': ifMatch } });
    expect((await change('"1"')).headers['etag']).toBe('"2"');
    expect((await change('"1"')).json()).toMatchObject({ code: 'revision_mismatch', status: 412 });
    expect((await asAdmin('DELETE', `/v1/users/${id}`, { headers: { 'if-match': '"1"' } })).statusCode).toBe(412);
    expect((await asAdmin('DELETE', `/v1/users/${id}`)).statusCode).toBe(204);
  });

  it.each([
    ['an id', { name: 'x1', id: 'usr_0' }],
    ['who created it', { name: 'x2', createdBy: 'usr_0' }],
    ['a hash', { name: 'x3', passwordHash: '$argon2id$' }],
    ['a role in lower case', { name: 'x4', roles: ['platform_admin'] }],
    ['an unknown role', { name: 'x5', roles: ['ROOT'] }],
    ['a role twice', { name: 'x6', roles: ['AUDITOR', 'AUDITOR'] }],
    ['a short password', { name: 'x7', password: 'elevenchars' }],
    ['a name with a zero-width character', { name: 'x\u200b8' }],
    ['mail with a line end', { name: 'x9', email: 'a@b\r\nBcc: c@d' }],
  ])('refuses a user with %s', async (_, payload) => {
    expect((await asAdmin('POST', '/v1/users', { payload })).json()).toMatchObject({ code: 'validation_failed' });
  });

  it('is not for everybody, and says the same of what is and what isn’t there', async () => {
    const id = await newUser('plain');
    const token = await tokenOf('plain');
    const answers = await Promise.all(
      [
        `/v1/users/${id}`,
        '/v1/users/usr_00000000000000000000000000',
        '/v1/users',
        '/v1/groups',
        '/v1/service-accounts',
      ].map(async (url) => (await send('GET', url, { token })).json<{ code: string; detail?: string }>()),
    );
    expect(new Set(answers.map(({ code, detail }) => `${code} ${detail}`)).size).toBe(1);
    const made = await send('POST', '/v1/users', { token, payload: { name: 'evil', roles: ['PLATFORM_ADMIN'] } });
    expect([403, 404]).toContain(made.statusCode);
    expect((await send('GET', '/v1/users')).statusCode).toBe(401);
    const counted = denials.length;
    const mistyped = `${token.slice(0, -1)}${token.endsWith('0') ? '1' : '0'}`;
    expect((await send('GET', '/v1/users', { token: mistyped })).statusCode).toBe(401);
    expect(denials.slice(counted)).toEqual(['authenticate']);
  });

  it('shows a token once, however often it is asked for with one key', async () => {
    const made = await asAdmin('POST', '/v1/service-accounts', { payload: { name: 'once' } });
    const url = `/v1/service-accounts/${made.json<{ id: string }>().id}/tokens`;
    const issue = () => asAdmin('POST', url, { payload: {}, headers: { 'idempotency-key': 'k1' } });
    const first = await issue();
    expect(first.statusCode).toBe(201);
    const { token, id } = first.json<{ token: string; id: string }>();
    expect((await issue()).json()).toMatchObject({ code: 'replayed_issue', detail: expect.stringContaining(id) });
    const list = await asAdmin('GET', url);
    expect(list.json()).toMatchObject({ items: [{ id, prefix: 'srt_', lastFour: token.slice(-4) }] });
    expect(list.body).not.toContain(token);
    expect((await send('GET', '/v1/auth/me', { token })).json()).toMatchObject({ credential: { type: 'token', id } });
    expect((await send('DELETE', '/v1/auth/session', { token })).json()).toMatchObject({ code: 'state_conflict' });
    expect((await asAdmin('DELETE', `${url}/${id}`)).statusCode).toBe(204);
    expect((await send('GET', '/v1/auth/me', { token })).statusCode).toBe(401);
  });

  it.each([0, 366, 1.5, '90', -1])('refuses a token for %j days', async (expiresInDays) => {
    const made = await asAdmin('POST', '/v1/service-accounts', {
      payload: { name: `days-${String(expiresInDays).length}` },
    });
    const { id } = made.statusCode === 201 ? made.json<{ id: string }>() : { id: 'sa_00000000000000000000000000' };
    const answer = await asAdmin('POST', `/v1/service-accounts/${id}/tokens`, { payload: { expiresInDays } });
    expect(answer.json()).toMatchObject({ code: 'validation_failed' });
  });
});

describe('service accounts of a domain', () => {
  const accounts = '/v1/domains/finance/service-accounts';
  let owner: string;
  let account: string;

  beforeAll(async () => {
    const id = await newUser('owner');
    await test.store.execute('test.addDomain', { id: 'dom_finance', name: 'finance', ownerId: id });
    const other = await newUser('other-owner');
    await test.store.execute('test.addDomain', { id: 'dom_sales', name: 'sales', ownerId: other });
    owner = await tokenOf('owner');
    const made = await send('POST', accounts, { token: owner, payload: { name: 'etl' } });
    account = made.json<{ id: string }>().id;
  });

  it('are managed by those who manage access there', async () => {
    const shown = await send('GET', `${accounts}/${account}`, { token: owner });
    expect(shown.json()).toMatchObject({
      id: account,
      name: 'etl',
      domain: 'finance',
      roles: [],
      actions: [{ action: 'access.manage', allowed: true }],
    });
    const issued = await send('POST', `${accounts}/${account}/tokens`, {
      token: owner,
      payload: { expiresInDays: null },
    });
    const { token } = issued.json<{ token: string }>();
    const me = await send('GET', '/v1/auth/me', { token });
    expect(me.json()).toMatchObject({ principal: { name: 'finance/etl', kind: 'service-account' }, domains: [] });
    const disabled = await send('PATCH', `${accounts}/${account}`, { token: owner, payload: { isDisabled: true } });
    expect(disabled.json()).toMatchObject({ isDisabled: true });
    expect((await send('GET', '/v1/auth/me', { token })).statusCode).toBe(401);
    await send('PATCH', `${accounts}/${account}`, { token: owner, payload: { isDisabled: false } });
    expect((await send('GET', accounts, { token: owner })).json()).toMatchObject({ items: [{ id: account }] });
  });

  it('don’t exist for another domain, not even their names', async () => {
    const stranger = await tokenOf('other-owner');
    const absent = 'sa_00000000000000000000000000';
    const attempts = ['/v1/domains/sales/service-accounts', accounts, '/v1/domains/nowhere/service-accounts'].flatMap(
      (base) =>
        [account, absent].flatMap((id) => [
          send('GET', `${base}/${id}`, { token: stranger }),
          send('PATCH', `${base}/${id}`, { token: stranger, payload: { displayName: 'mine' } }),
          send('DELETE', `${base}/${id}`, { token: stranger }),
          send('POST', `${base}/${id}/tokens`, { token: stranger, payload: {} }),
          send('GET', `${base}/${id}/tokens`, { token: stranger }),
        ]),
    );
    const bodies = (await Promise.all(attempts)).map((answer) => {
      return JSON.stringify({ ...answer.json<Record<string, unknown>>(), requestId: '' });
    });
    expect(new Set(bodies).size).toBe(1);
    expect(bodies[0]).toContain('not_found');
    const sameName = await send('POST', '/v1/domains/sales/service-accounts', {
      token: stranger,
      payload: { name: 'etl' },
    });
    expect(sameName.statusCode).toBe(201);
    const twice = await send('POST', accounts, { token: owner, payload: { name: 'etl' } });
    expect(twice.json()).toMatchObject({ code: 'already_exists' });
  });

  it('get no roles and join no groups, by nobody’s hand', async () => {
    const byOwner = await send('PATCH', `${accounts}/${account}`, {
      token: owner,
      payload: { roles: ['PLATFORM_ADMIN'] },
    });
    expect(byOwner.json()).toMatchObject({ code: 'validation_failed' });
    const roles = ['PLATFORM_ADMIN'];
    const url = `/v1/service-accounts/${account}`;
    expect((await asAdmin('PATCH', url, { payload: { roles } })).json()).toMatchObject({ code: 'state_conflict' });
    const payload = { name: 'with-roles', domain: 'finance', roles };
    expect((await asAdmin('POST', '/v1/service-accounts', { payload })).json()).toMatchObject({
      code: 'state_conflict',
    });
    const group = (await asAdmin('POST', '/v1/groups', { payload: { name: 'any' } })).json<{ id: string }>();
    const joined = await asAdmin('PUT', `/v1/groups/${group.id}/members/${account}`);
    expect(joined.json()).toMatchObject({ code: 'state_conflict' });
    const named = await send('POST', accounts, { token: owner, payload: { name: 'sneaky', domain: 'sales' } });
    expect(named.json()).toMatchObject({ code: 'validation_failed' });
  });

  it('stop when their domain is deleted', async () => {
    const { token } = (await send('POST', `${accounts}/${account}/tokens`, { token: owner, payload: {} })).json<{
      token: string;
    }>();
    expect((await send('GET', '/v1/auth/me', { token })).statusCode).toBe(200);
    await test.store.execute('test.deleteDomain', { id: 'dom_finance' });
    expect((await send('GET', '/v1/auth/me', { token })).statusCode).toBe(401);
  });
});
