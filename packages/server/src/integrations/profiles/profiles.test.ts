import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, codeOf, startTestServer, type TestServer, type TestUser } from '../../../testing/app.ts';
import { type LoopbackVault, openLoopbackVault } from '../../../testing/loopback-vault.ts';
import { freshName } from '../../../testing/samples.ts';
import type { ImpactView } from '../../impact/gather.ts';

let test: TestServer;
let vault: LoopbackVault;
let maintainer: TestUser;
const base = '/v1/domains/finance';

beforeAll(async () => {
  vault = await openLoopbackVault();
  test = await startTestServer();
  await Promise.all(['finance', 'sales'].map((name) => test.createDomain(name)));
  maintainer = await test.createUser('maintainer', { domains: { finance: 'MAINTAINER', sales: 'MAINTAINER' } });
});
afterAll(async () => {
  await test.close();
  await vault.close();
});

interface Profile {
  readonly name: string;
  readonly externalId: string;
  readonly revision: number;
  readonly usedBy: number;
}

const profileOf = (prefix = ''): object => ({
  type: 'VAULT',
  settings: { address: vault.url, role: 'strongroom' },
  bindings: [{ scope: 'domain', domain: 'finance', prefix }],
});
const ambient = (role = 'strongroom'): object => ({
  type: 'VAULT',
  settings: { address: vault.url, path: '/v1/secret/data/app', authentication: { method: 'kubernetes', role } },
});

async function addProfile(body: object = profileOf()): Promise<string> {
  const name = freshName();
  await test.call('POST', '/v1/profiles', { body: { name, ...body } });
  return name;
}

const integrate = (body: object, domain = 'finance'): Promise<Answer> =>
  test.request('POST', `/v1/domains/${domain}/integrations`, {
    token: maintainer.token,
    body: { name: freshName(), ...body },
  });
const pointers = ({ body }: Answer): string[] =>
  ((body as { errors?: { pointer: string }[] }).errors ?? []).map(({ pointer }) => pointer);

describe('a profile', () => {
  it('is made by platform administrators, with an external id that never changes', async () => {
    const name = await addProfile();
    const made = await test.call<Profile>('GET', `/v1/profiles/${name}`);
    expect(made.externalId).toMatch(/^strongroom-[0-9a-f-]{36}$/);
    const changed = await test.call<Profile>('PATCH', `/v1/profiles/${name}`, {
      body: { description: 'x', bindings: [{ scope: 'global' }], settings: { address: vault.url, role: 'other' } },
    });
    expect(changed).toMatchObject({
      externalId: made.externalId,
      revision: 2,
      bindings: [{ scope: 'global', prefix: '' }],
      settings: { role: 'other' },
    });
    const settings = { roleArn: 'arn:aws:iam::123456789012:role/x' };
    expect(pointers(await test.request('PATCH', `/v1/profiles/${name}`, { body: { settings } }))).toEqual([
      '/settings',
    ]);
    const forced = await test.request('POST', '/v1/profiles', {
      body: { name: freshName(), ...profileOf(), externalId: 'mine' },
    });
    expect(forced.status).toBe(422);
    const denied = await test.request('POST', '/v1/profiles', {
      token: maintainer.token,
      body: { name: freshName(), ...profileOf() },
    });
    expect(denied.status).toBe(403);
    await test.call('DELETE', `/v1/profiles/${name}`);
    expect((await test.request('GET', `/v1/profiles/${name}`)).status).toBe(404);
  });

  it('is bound to scopes that are there, each once, and leads where the egress guard says yes', async () => {
    const bad = async (change: object): Promise<string[]> =>
      pointers(await test.request('POST', '/v1/profiles', { body: { name: freshName(), ...profileOf(), ...change } }));
    expect(await bad({ bindings: [{ scope: 'domain', domain: 'absent' }] })).toEqual(['/bindings/0/domain']);
    expect(await bad({ bindings: [{ scope: 'domain' }] })).toEqual(['/bindings/0/domain']);
    expect(await bad({ bindings: [{ scope: 'admin' }, { scope: 'admin' }] })).toEqual(['/bindings/1']);
    expect(await bad({ settings: { address: 'http://10.1.2.3', role: 'x' } })).toEqual(['/settings/address']);
  });
});

describe('an integration that signs in as the server', () => {
  it('names a profile that its scope is bound to, for exactly these settings', async () => {
    const profile = await addProfile();
    expect(pointers(await integrate(ambient()))).toEqual(['/profile']);
    const made = await integrate({ ...ambient(), profile });
    expect(made.body).toMatchObject({ profile, credentials: [] });
    const unbound = await integrate({ ...ambient(), profile }, 'sales');
    const absent = await integrate({ ...ambient(), profile: 'absent' }, 'sales');
    expect([pointers(unbound), unbound.status]).toEqual([['/profile'], 422]);
    expect((unbound.body as { errors: object[] }).errors).toEqual((absent.body as { errors: object[] }).errors);
    expect(pointers(await integrate({ ...ambient('another'), profile }))).toEqual(['/settings/authentication/role']);
    const token = { ...ambient(), credentials: { token: 'x' } };
    const withToken = {
      ...token,
      settings: { address: vault.url, path: '/v1/secret/data/app', authentication: { method: 'token' } },
    };
    expect(pointers(await integrate({ ...withToken, profile }))).toEqual(['/profile']);
    const { items } = await test.call<{ items: { name: string }[] }>('GET', `${base}/profiles`, {
      token: maintainer.token,
    });
    expect(items.map(({ name }) => name)).toContain(profile);
    const used = await test.request('DELETE', `/v1/profiles/${profile}`);
    expect([used.status, codeOf(used)]).toEqual([409, 'in_use']);
  });

  it('assumes in AWS the role of its profile, in any region unless the profile says one', async () => {
    const roleArn = 'arn:aws:iam::123456789012:role/finance';
    const bindings = [{ scope: 'domain', domain: 'finance' }];
    const anywhere = await addProfile({ type: 'AWS', settings: { roleArn }, bindings });
    const oneRegion = await addProfile({ type: 'AWS', settings: { roleArn, region: 'eu-west-1' }, bindings });
    const authentication = { method: 'default-chain', roleArn };
    const aws = { type: 'AWS', settings: { region: 'eu-central-1', authentication } };
    expect((await integrate({ ...aws, profile: anywhere })).status).toBe(201);
    expect(pointers(await integrate({ ...aws, profile: oneRegion }))).toEqual(['/settings/region']);
    const elsewhere = { ...aws.settings, stsEndpoint: 'https://sts.example.com' };
    expect(pointers(await integrate({ ...aws, settings: elsewhere, profile: anywhere }))).toEqual([
      '/settings/stsEndpoint',
    ]);
    const another = { ...aws.settings, authentication: { ...authentication, roleArn: `${roleArn}-2` } };
    expect(pointers(await integrate({ ...aws, settings: another, profile: anywhere }))).toEqual([
      '/settings/authentication/roleArn',
    ]);
    expect(pointers(await integrate(aws))).toEqual(['/profile']);
  });

  it('is named with what refers to it before its profile is changed, lent to fewer or deleted', async () => {
    const bindings = ['finance', 'sales'].map((domain) => ({ scope: 'domain', domain }));
    const profile = await addProfile({ ...profileOf(), bindings });
    const jobs: Record<string, string> = {};
    for (const domain of ['finance', 'sales']) {
      const { name } = (await integrate({ ...ambient(), profile }, domain)).body as { name: string };
      const job = await test.call<{ name: string }>('POST', `/v1/domains/${domain}/spark-jobs`, {
        body: {
          name: freshName(),
          command: ['true'],
          environment: [{ name: 'DB', secret: `secret://domain/${name}/db` }],
        },
      });
      jobs[domain] = job.name;
    }
    const impact = (query: string) => test.request('GET', `/v1/profiles/${profile}/impact${query}`);
    const hits = async (query: string) => {
      const { body } = await impact(query);
      const { change, effect, configurations, refusal } = body as ImpactView;
      return [change, effect, configurations.map(({ configuration }) => configuration), refusal?.code];
    };
    const both = [jobs['finance'], jobs['sales']];
    expect(await hits('')).toEqual(['delete', 'launches-fail', both, 'in_use']);
    expect(await hits('?change=edit')).toEqual(['edit', 'launches-may-fail', both, undefined]);
    expect(await hits('?change=revoke')).toEqual(['revoke', 'launches-fail', both, undefined]);
    expect(await hits('?change=revoke&domains=finance,global')).toEqual([
      'revoke',
      'launches-fail',
      [jobs['sales']],
      undefined,
    ]);
    expect(await hits('?change=revoke&domains=finance,sales')).toEqual(['revoke', 'launches-fail', [], undefined]);
    expect(pointers(await impact('?change=edit&domains=finance'))).toEqual(['domains']);
    expect((await test.request('GET', '/v1/profiles/absent/impact')).status).toBe(404);
  });

  it('has that identity no longer than its profile lends it', async () => {
    const profile = await addProfile(profileOf('app-'));
    const { name } = (await integrate({ ...ambient(), profile })).body as { name: string };
    const path = `${base}/integrations/${name}`;
    const { id } = await test.call<{ id: string }>('GET', path);
    const { backends } = test.server.services;
    const backend = await backends.open(id);
    await expect(backend.get('other', { signal: AbortSignal.timeout(60_000) })).rejects.toMatchObject({
      code: 'backend_denied',
    });
    // This server runs in no pod: it has no such identity to show.
    await expect(backend.get('app-db', { signal: AbortSignal.timeout(60_000) })).rejects.toMatchObject({
      code: 'key_unavailable',
    });
    const tested = await test.call<{ ok: boolean; lines: { step: string; code?: string }[] }>('POST', `${path}/test`);
    expect(tested.lines.find(({ code }) => code !== undefined)).toMatchObject({
      step: 'login',
      code: 'key_unavailable',
    });
    expect(vault.requests.some((request) => request.includes('kubernetes'))).toBe(false);
    await test.call('PATCH', `/v1/profiles/${profile}`, { body: { bindings: [] } });
    await expect(backends.open(id)).rejects.toMatchObject({ code: 'state_conflict' });
    const refused = await test.request('POST', `${path}/test`);
    expect([refused.status, codeOf(refused)]).toEqual([409, 'state_conflict']);
  });
});
