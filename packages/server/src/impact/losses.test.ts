import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer, type TestUser } from '../../testing/app.ts';
import { integrationForm } from '../../testing/bodies.ts';
import { freshName } from '../../testing/samples.ts';
import { domainSurfaces, platformSamples, surfacePath, surfaceSamples } from '../../testing/surface-samples.ts';
import type { ImpactView } from './gather.ts';

let test: TestServer;
let olga: TestUser;
let ann: TestUser;
const base = '/v1/domains/finance';

const put = (path: string, key: string): Promise<unknown> =>
  test.call('POST', `${path}/secrets`, { body: { key, value: `value of ${path} ${key}` } });
const impactOf = (path: string, token = test.adminToken): Promise<ImpactView> =>
  test.call<ImpactView>('GET', path, { token });

beforeAll(async () => {
  test = await startTestServer();
  await test.createDomain('finance');
  await test.createDomain('sales');
  await put(base, 'db-password');
  await put('/v1/domains/sales', 'theirs');
  olga = await test.createUser('olga', { domains: { finance: 'OWNER' } });
  ann = await test.createUser('ann', { domains: { finance: 'MEMBER' } });
});
afterAll(() => test.close());

describe('taking access away', () => {
  const grantsOf = async (principal: string): Promise<string> => {
    const { items } = await test.call<{ items: { id: string; principal: string }[] }>('GET', `${base}/grants`);
    return items.find((each) => each.principal === principal)?.id ?? '';
  };

  it.each(domainSurfaces)('names a %s that stands on it', async (type) => {
    const person = await test.createUser(freshName(), { domains: { finance: 'MAINTAINER' } });
    const name = freshName();
    const options = { token: person.token, body: { name, ...surfaceSamples[type]() } };
    await test.call('POST', surfacePath(type), options);
    const path = `${base}/members/${person.name}/impact`;
    expect(await impactOf(path, olga.token)).toMatchObject({
      change: 'revoke',
      effect: 'launches-fail',
      configurations: [
        {
          surface: type,
          configuration: name,
          fields: [{ reference: 'secret://domain/managed/db-password' }],
          losses: [{ principal: person.name, permission: 'USE' }],
        },
      ],
    });
    // A lesser preset that still has USE loses nothing; one without does.
    expect((await impactOf(`${path}?preset=MEMBER`)).configurations).toEqual([]);
    expect((await impactOf(`${path}?preset=VIEWER`)).configurations).toHaveLength(1);
    expect((await test.request('GET', path, { token: ann.token })).status).toBe(403);
  });

  it('names nothing that somebody has through a group, too', async () => {
    const person = await test.createUser(freshName(), { domains: { finance: 'MEMBER' } });
    const { id, name: group } = await test.call<{ id: string; name: string }>('POST', '/v1/groups', {
      body: { name: freshName() },
    });
    await test.call('PUT', `/v1/groups/${id}/members/${person.id}`);
    await test.call('POST', `${base}/notebooks`, {
      token: person.token,
      body: { name: freshName(), ...surfaceSamples.notebook() },
    });
    const path = `${base}/members/${person.name}/impact`;
    expect((await impactOf(path)).configurations).toHaveLength(1);
    await test.call('POST', `${base}/members`, { body: { principal: `group:${group}`, preset: 'MEMBER' } });
    expect((await impactOf(path)).configurations).toEqual([]);
    await test.call('DELETE', `${base}/members/${person.name}`);
    expect((await impactOf(`${base}/members/group:${group}/impact`)).configurations).toHaveLength(1);
  });

  it('names what somebody starts', async () => {
    const person = await test.createUser(freshName(), { domains: { finance: 'MEMBER' } });
    const name = freshName();
    await test.call('POST', `${base}/spark-jobs`, { body: { name, command: ['true'] } });
    await test.call('POST', `${base}/spark-jobs/${name}/runs`, { token: person.token });
    expect((await impactOf(`${base}/members/${person.name}/impact`)).configurations).toMatchObject([
      { configuration: name, losses: [{ principal: person.name, permission: 'RUN', on: `spark-job/${name}` }] },
    ]);
  });

  it('is told for single grants and those on bundles, and is a 404 for what is not there', async () => {
    const [person, bundle, key, name] = [await test.createUser(freshName()), freshName(), freshName(), freshName()];
    await put(base, key);
    await test.call('POST', `${base}/grants`, { body: { principal: person.name, permission: 'CREATE_NOTEBOOK' } });
    await test.call('POST', `${base}/bundles`, { body: { name: bundle } });
    await test.call('POST', `${base}/bundles/${bundle}/assets`, { body: { type: 'secret', key } });
    const grant = { principal: person.name, assetType: 'secret', permissions: ['USE'] };
    const { id } = await test.call<{ id: string }>('POST', `${base}/bundles/${bundle}/grants`, { body: grant });
    const reference = `secret://domain/managed/${key}`;
    const body = { name, ...surfaceSamples.notebook(reference) };
    await test.call('POST', `${base}/notebooks`, { token: person.token, body });
    expect((await impactOf(`${base}/bundles/${bundle}/grants/${id}/impact`)).configurations).toMatchObject([
      { configuration: name, losses: [{ principal: person.name, permission: 'USE', on: reference }] },
    ]);
    const single = await grantsOf(person.name);
    expect((await impactOf(`${base}/grants/${single}/impact`)).configurations).toEqual([]);
    const foreign = ['/v1/domains/sales', base].map((path) => `${path}/grants/${path === base ? id : single}/impact`);
    for (const path of [...foreign, `${base}/bundles/default/grants/${id}/impact`])
      expect((await test.request('GET', path)).status).toBe(404);
    expect((await test.request('GET', `${base}/members/user:nobody/impact`)).status).toBe(404);
  });
});

describe('taking less than all', () => {
  it('platform roles: what stands on them alone, of a user, a group or a service account', async () => {
    const person = await test.createUser(freshName(), { roles: ['DOMAIN_MANAGER', 'AUDITOR'] });
    const job = await putJob(person.token);
    const path = `/v1/users/${person.id}/impact?change=revoke`;
    const impact = await impactOf(`${path}&roles=AUDITOR`);
    expect(impact).toMatchObject({
      change: 'revoke',
      effect: 'launches-fail',
      configurations: [{ configuration: job, losses: [{ principal: person.name, permission: 'USE' }] }],
    });
    expect(impact).not.toHaveProperty('refusal');
    expect(named(await impactOf(path))).toEqual([job]);
    expect(named(await impactOf(`${path}&roles=`))).toEqual([job]);
    expect(named(await impactOf(`${path}&roles=DOMAIN_MANAGER`))).toEqual([]);
    // PLATFORM_ADMIN includes it.
    expect(named(await impactOf(`${path}&roles=PLATFORM_ADMIN`))).toEqual([]);
    await test.call('PATCH', `/v1/users/${person.id}`, { body: { roles: ['AUDITOR'] } });
    expect(await failing([job])).toEqual([job]);
    const group = await test.call<{ id: string }>('POST', '/v1/groups', {
      body: { name: freshName(), roles: ['DOMAIN_MANAGER'] },
    });
    await test.call('PUT', `/v1/groups/${group.id}/members/${person.id}`);
    expect(await failing([job])).toEqual([]);
    expect(named(await impactOf(`/v1/groups/${group.id}/impact?change=revoke`))).toEqual([job]);
    expect(named(await impactOf(`${path}&roles=`))).toEqual([]);
    const account = await test.call<{ id: string }>('POST', '/v1/service-accounts', {
      body: { name: freshName(), roles: ['DOMAIN_MANAGER'] },
    });
    const issued = await test.call<{ token: string }>('POST', `/v1/service-accounts/${account.id}/tokens`, {
      body: {},
    });
    const theirs = await putJob(issued.token);
    expect(named(await impactOf(`/v1/service-accounts/${account.id}/impact?change=revoke`))).toEqual([theirs]);
    for (const query of ['roles=AUDITOR', 'change=revoke&roles=auditor', 'change=revoke&roles=AUDITOR,', 'change=edit'])
      for (const of of [`users/${person.id}`, `groups/${group.id}`, `service-accounts/${account.id}`])
        expect((await test.request('GET', `/v1/${of}/impact?${query}`)).status).toBe(422);
    expect((await test.request('GET', `/v1/users/${group.id}/impact?change=revoke`)).status).toBe(404);
  });

  it('permissions of a grant on a bundle, and owning one', async () => {
    const [person, other, bundle, key] = [
      await test.createUser(freshName(), { grants: { finance: ['CREATE_SPARK_JOB', 'LIST_SECRETS'] } }),
      await test.createUser(freshName()),
      freshName(),
      freshName(),
    ];
    await put(base, key);
    const path = `${base}/bundles/${bundle}`;
    await test.call('POST', `${base}/bundles`, { body: { name: bundle, owner: person.name } });
    await test.call('POST', `${path}/assets`, { body: { type: 'secret', key } });
    const owned = await putJob(person.token, key);
    expect(await impactOf(`${path}/impact?owner=${other.name}`, olga.token)).toMatchObject({
      change: 'revoke',
      configurations: [{ configuration: owned, losses: [{ principal: person.name, permission: 'USE' }] }],
    });
    expect(named(await impactOf(`${path}/impact?owner=user:nobody`))).toEqual([owned]);
    expect(named(await impactOf(`${path}/impact?owner=${person.name}`))).toEqual([]);
    expect((await impactOf(`${base}/bundles/default/impact?owner=${other.name}`)).refusal).toMatchObject({
      code: 'state_conflict',
    });
    await test.call('PATCH', path, { body: { owner: other.name } });
    expect(await failing([owned])).toEqual([owned]);
    const job = await putJob(olga.token);
    await test.call('POST', `${path}/assets`, { body: { type: 'spark-job', name: job } });
    const permissions = ['VIEW', 'UPDATE', 'RUN'];
    const grant = await test.call<{ id: string }>('POST', `${path}/grants`, {
      body: { principal: person.name, assetType: 'spark-job', permissions },
    });
    await test.call('POST', `${base}/spark-jobs/${job}/runs`, { token: person.token });
    const kept = (words: string): Promise<ImpactView> =>
      impactOf(`${path}/grants/${grant.id}/impact?permissions=${words}`, other.token);
    expect(named(await kept('VIEW,UPDATE'))).toEqual([job]);
    expect(named(await kept(''))).toEqual([job]);
    expect(named(await kept('RUN'))).toEqual([]);
    expect((await test.request('GET', `${path}/grants/${grant.id}/impact?permissions=RUN,NOTHING`)).status).toBe(422);
  });
});

/** Of spark jobs of `finance`, those that can't be launched. */
const failing = async (names: readonly string[]): Promise<string[]> => {
  const answers = await Promise.all(
    names.map((name) => test.call<{ ok: boolean }>('POST', `${base}/spark-jobs/${name}/preflight`)),
  );
  return names.filter((_, index) => answers[index]?.ok !== true).toSorted();
};
const named = ({ configurations }: ImpactView): string[] => configurations.map((each) => each.configuration).toSorted();
const putJob = async (token: string, key = 'db-password', bundle = 'default'): Promise<string> => {
  const name = freshName();
  await test.call('POST', `${base}/spark-jobs`, {
    token,
    body: { name, bundle, ...surfaceSamples['spark-job'](`secret://domain/managed/${key}`) },
  });
  return name;
};

describe('what ends somebody', () => {
  it.each(['disable', 'delete'] as const)('%s a user: everywhere, as it then turns out', async (change) => {
    const person = await test.createUser(freshName(), { domains: { finance: 'MEMBER', sales: 'MEMBER' } });
    const [lost, kept] = [await putJob(person.token), await putJob(olga.token)];
    const body = { name: freshName(), ...surfaceSamples.notebook('secret://domain/managed/theirs') };
    await test.call('POST', surfacePath('notebook', 'sales'), { token: person.token, body });
    const path = `/v1/users/${person.id}`;
    const impact = await impactOf(`${path}/impact?change=${change}`);
    expect(impact).toMatchObject({ change, effect: 'launches-fail', isComplete: true });
    expect(impact.configurations).toMatchObject([
      { domain: 'finance', configuration: lost, losses: [{ principal: person.name, permission: 'USE' }] },
      { domain: 'sales', configuration: body.name },
    ]);
    expect(impact).not.toHaveProperty('refusal');
    expect(await failing([lost, kept])).toEqual([]);
    if (change === 'disable') await test.call('PATCH', path, { body: { isDisabled: true } });
    else await test.call('DELETE', path);
    expect(await failing([lost, kept])).toEqual([lost]);
    // Of who is disabled nothing stands any more; of who is deleted nothing is known.
    const after = await test.request('GET', `${path}/impact`);
    expect(change === 'disable' ? named(after.body as ImpactView) : after.status).toEqual(
      change === 'disable' ? [] : 404,
    );
  });

  it('a user: what the platform has by it, and which notices go to its address', async () => {
    const person = await test.createUser(freshName(), { roles: ['PLATFORM_ADMIN'] });
    const address = `${freshName()}@example.org`;
    await test.call('PATCH', `/v1/users/${person.id}`, { body: { email: address } });
    const key = freshName();
    await put('/v1/admin', key);
    const reference = `secret://admin/managed/${key}`;
    const { token } = person;
    await test.call('PUT', '/v1/platform/email', { token, body: platformSamples.email(reference) });
    const webhook = { url: 'https://hooks.example.org', signingSecret: reference };
    const notices = { recipients: [address.toUpperCase()], webhook };
    await test.call('PUT', '/v1/admin/notices/settings', { token, body: notices });
    const impact = await impactOf(`/v1/users/${person.id}/impact`);
    expect(impact).toMatchObject({
      configurations: [{ domain: 'admin', surface: 'email' }],
      platform: [{ kind: 'notices', name: 'admin', reference }],
      recipients: [{ scope: 'admin', address }],
    });
    await test.call('DELETE', '/v1/admin/notices/settings');
    await test.call('DELETE', '/v1/platform/email');
  });

  it('the last administrator is told beforehand, in the words of the refusal', async () => {
    const { items } = await test.call<{ items: { id: string }[] }>('GET', '/v1/service-accounts?name=bootstrap');
    const path = `/v1/service-accounts/${items[0]?.id}`;
    const admins = await test.call<{ items: { id: string; roles: string[] }[] }>('GET', '/v1/users?limit=200');
    for (const { id } of admins.items.filter(({ roles }) => roles.includes('PLATFORM_ADMIN')))
      await test.call('PATCH', `/v1/users/${id}`, { body: { roles: [] } });
    const refused = await test.request('DELETE', path);
    expect(refused.status).toBe(409);
    const { code, detail } = refused.body as { code: string; detail?: string; title: string };
    expect(code).toBe('last_admin');
    for (const change of ['delete', 'disable', 'revoke', 'revoke&roles=DOMAIN_MANAGER'])
      expect((await impactOf(`${path}/impact?change=${change}`)).refusal).toMatchObject({
        code,
        ...(detail && { detail }),
      });
    // Another one by a group alone: then the group is the last, and its member in it, and the account is not.
    const boss = await test.createUser(freshName());
    const group = await test.call<{ id: string }>('POST', '/v1/groups', {
      body: { name: freshName(), roles: ['PLATFORM_ADMIN'] },
    });
    await test.call('PUT', `/v1/groups/${group.id}/members/${boss.id}`);
    expect(await impactOf(`${path}/impact`)).not.toHaveProperty('refusal');
    expect(await impactOf(`${path}/impact?change=revoke`)).not.toHaveProperty('refusal');
    expect(await impactOf(`/v1/groups/${group.id}/impact`)).not.toHaveProperty('refusal');
    const link = await test.call<{ token: string }>('POST', `/v1/users/${boss.id}/sign-in-link`, { body: {} });
    const session = await test.call<{ token: string }>('POST', '/v1/auth/link', {
      token: null,
      body: { token: link.token },
    });
    await test.call('PATCH', path, { token: session.token, body: { roles: [] } });
    for (const last of [`groups/${group.id}`, `groups/${group.id}/members/${boss.id}`, `users/${boss.id}`])
      expect((await impactOf(`/v1/${last}/impact`, session.token)).refusal).toMatchObject({ code: 'last_admin' });
    const revoked = (last: string): Promise<ImpactView> => impactOf(`/v1/${last}/impact?change=revoke`, session.token);
    expect((await revoked(`groups/${group.id}`)).refusal).toMatchObject({ code: 'last_admin' });
    // It has the role by the group, not of its own.
    expect(await revoked(`users/${boss.id}`)).not.toHaveProperty('refusal');
    await test.call('PATCH', path, { token: session.token, body: { roles: ['PLATFORM_ADMIN'] } });
    expect(await impactOf(`/v1/groups/${group.id}/impact`)).not.toHaveProperty('refusal');
  });

  it('a service account, or its last token: what it saved or starts, and what it launches itself', async () => {
    const name = freshName();
    const account = await test.createServiceAccount('finance', name, { preset: 'MEMBER', grants: ['RESOLVE'] });
    const { token } = account;
    const saved = await putJob(token);
    const started = await putJob(olga.token);
    await test.call('POST', `${base}/spark-jobs/${started}/runs`, { token });
    const body = { references: [{ name: 'PGPASSWORD', reference: 'secret://domain/managed/db-password' }] };
    await test.call('POST', `${base}/launches`, { token, body });
    const path = `${base}/service-accounts/${account.id}`;
    const launchers = [{ principal: account.name, domain: 'finance', launches: 1 }];
    const impact = await impactOf(`${path}/impact?change=disable`, olga.token);
    expect(impact).toMatchObject({ change: 'disable', launchers });
    expect(named(impact)).toEqual([saved, started].toSorted());
    expect(named(await impactOf(`/v1/service-accounts/${account.id}/impact`))).toEqual([saved, started].toSorted());
    const { items } = await test.call<{ items: { id: string }[] }>('GET', `${path}/tokens`);
    const last = `tokens/${items[0]?.id}/impact`;
    // What it saved stands on it still.
    const revoked = await impactOf(`${path}/${last}`, olga.token);
    expect(revoked).toMatchObject({ change: 'revoke', launchers });
    expect(named(revoked)).toEqual([started]);
    await test.call('POST', `${path}/tokens`, { body: {} });
    expect(await impactOf(`/v1/service-accounts/${account.id}/${last}`)).toMatchObject({
      configurations: [],
      workloads: [],
      hidden: { configurations: 0, launchers: 0 },
    });
    expect((await test.request('GET', `${path}/tokens/${olga.id}/impact`)).status).toBe(404);
    // Who manages access, and has less than the account, may neither end it nor see what that would hit.
    const manager = await test.createUser(freshName(), { grants: { finance: ['MANAGE_ACCESS'] } });
    expect((await test.request('GET', `${path}/impact`, { token: manager.token })).status).toBe(403);
    expect((await test.request('GET', `/v1/domains/sales/service-accounts/${account.id}/impact`)).status).toBe(404);
  });

  it('a group, or leaving it: what its members have by it alone, as it then turns out', async () => {
    const [one, two] = [await test.createUser(freshName()), await test.createUser(freshName())];
    const { id, name } = await test.call<{ id: string; name: string }>('POST', '/v1/groups', {
      body: { name: freshName() },
    });
    for (const each of [one, two]) await test.call('PUT', `/v1/groups/${id}/members/${each.id}`);
    await test.call('POST', `${base}/members`, { body: { principal: `group:${name}`, preset: 'MEMBER' } });
    const jobs = [await putJob(one.token), await putJob(two.token)] as const;
    expect(named(await impactOf(`/v1/groups/${id}/impact`))).toEqual(jobs.toSorted());
    const path = `/v1/groups/${id}/members/${one.id}`;
    expect(await impactOf(`${path}/impact`)).toMatchObject({ change: 'remove', configurations: [{}] });
    expect(named(await impactOf(`${path}/impact`))).toEqual([jobs[0]]);
    await test.call('DELETE', path);
    expect(await failing(jobs)).toEqual([jobs[0]]);
    expect((await test.request('GET', `${path}/impact`)).status).toBe(404);
    // Somebody who has it otherwise, too, loses nothing.
    await test.call('POST', `${base}/members`, { body: { principal: two.name, preset: 'MEMBER' } });
    expect(named(await impactOf(`/v1/groups/${id}/impact`))).toEqual([]);
  });

  it('is told to nobody who may not do it', async () => {
    for (const path of [`/v1/users/${ann.id}`, `/v1/groups/${ann.id}`, `/v1/service-accounts/${ann.id}`])
      expect((await test.request('GET', `${path}/impact`, { token: olga.token })).status).toBe(403);
    expect((await test.request('GET', `/v1/groups/${ann.id}/impact`)).status).toBe(404);
  });
});

describe('bundles', () => {
  it('are told with what their grants hold up, and what moves with their assets, as it then turns out', async () => {
    const [person, viewer, key, bundle, other] = [
      await test.createUser(freshName(), { grants: { finance: ['CREATE_SPARK_JOB', 'LIST_SECRETS'] } }),
      await test.createUser(freshName(), { domains: { finance: 'MEMBER' } }),
      freshName(),
      freshName(),
      freshName(),
    ];
    await put(base, key);
    for (const name of [bundle, other]) await test.call('POST', `${base}/bundles`, { body: { name } });
    const byPreset = await putJob(viewer.token, key);
    const addition = `${base}/bundles/${bundle}/assets/impact?type=secret&key=${key}`;
    expect(named(await impactOf(addition, olga.token))).toEqual([byPreset]);
    const asset = await test.call<{ id: string }>('POST', `${base}/bundles/${bundle}/assets`, {
      body: { type: 'secret', key },
    });
    const grant = { principal: person.name, assetType: 'secret', permissions: ['USE'] };
    await test.call('POST', `${base}/bundles/${bundle}/grants`, { body: grant });
    const byGrant = await putJob(person.token, key);
    const jobs = [byPreset, byGrant];
    expect(await failing(jobs)).toEqual([byPreset]);
    for (const path of [
      `${bundle}/impact`,
      `${bundle}/assets/${asset.id}/impact`,
      `${bundle}/assets/${asset.id}/impact?to=${other}`,
    ]) {
      expect(named(await impactOf(`${base}/bundles/${path}`, olga.token))).toEqual([byGrant]);
      expect((await test.request('GET', `${base}/bundles/${path}`, { token: ann.token })).status).toBe(403);
    }
    await test.call('DELETE', `${base}/bundles/${bundle}?force=true`);
    expect(await failing(jobs)).toEqual([byGrant]);
    expect((await impactOf(`${base}/bundles/default/impact`)).refusal).toMatchObject({ code: 'state_conflict' });
  });

  it('are told with configurations and integrations that move, and who starts or uses those', async () => {
    const [bundle, name] = [freshName(), freshName()];
    await test.call('POST', `${base}/bundles`, { body: { name: bundle } });
    await test.call('POST', `${base}/integrations`, { body: { name, ...integrationForm } });
    const person = await test.createUser(freshName(), { domains: { finance: 'MEMBER' } });
    const body = { name: freshName(), ...surfaceSamples['spark-job'](`secret://domain/${name}/app/db#password`) };
    await test.call('POST', `${base}/spark-jobs`, { token: person.token, body });
    const job = await putJob(olga.token);
    await test.call('POST', `${base}/spark-jobs/${job}/runs`, { token: person.token });
    const of = (query: string): Promise<ImpactView> => impactOf(`${base}/bundles/${bundle}/assets/impact?${query}`);
    expect((await of(`type=integration&name=${name}`)).configurations).toMatchObject([
      { configuration: body.name, losses: [{ principal: person.name, permission: 'USE' }] },
    ]);
    expect((await of(`type=spark-job&name=${job}`)).configurations).toMatchObject([
      { configuration: job, losses: [{ principal: person.name, permission: 'RUN', on: `spark-job/${job}` }] },
    ]);
    expect((await test.request('GET', `${base}/bundles/${bundle}/assets/impact?type=secret`)).status).toBe(422);
  });
});
