import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { startTestServer, type TestServer, type TestUser } from '../../testing/app.ts';
import { integrationForm } from '../../testing/bodies.ts';
import { Canaries } from '../../testing/canaries.ts';
import { allRoutes } from '../../testing/conformance.ts';
import { type LoopbackCluster, openLoopbackCluster } from '../../testing/loopback-cluster.ts';
import { freshName } from '../../testing/samples.ts';
import {
  domainSurfaces,
  platformSamples,
  platformSurfaces,
  storageSample,
  surfacePath,
  surfaceSamples,
} from '../../testing/surface-samples.ts';
import type { ImpactView } from './gather.ts';

let test: TestServer;
let cluster: LoopbackCluster;
let olga: TestUser;
let ann: TestUser;
const canaries = new Canaries();
const base = '/v1/domains/finance';

const put = (path: string, key: string): Promise<unknown> =>
  test.call('POST', `${path}/secrets`, { body: { key, value: canaries.plain(`value of ${path} ${key}`) } });
const impactOf = (path: string, token = test.adminToken): Promise<ImpactView> =>
  test.call<ImpactView>('GET', path, { token });

beforeAll(async () => {
  cluster = await openLoopbackCluster();
  test = await startTestServer({}, { canaries });
  await test.createDomain('finance');
  await test.createDomain('sales');
  for (const [path, key] of [
    [base, 'db-password'],
    [base, 'api-key'],
    ['/v1/global', 'shared'],
    ['/v1/domains/sales', 'theirs'],
  ] as const)
    await put(path, key);
  await test.call('POST', '/v1/admin/secrets', { body: { key: 'cluster-token', value: cluster.token } });
  olga = await test.createUser('olga', { domains: { finance: 'OWNER' } });
  ann = await test.createUser('ann', { domains: { finance: 'MEMBER' } });
});
afterAll(async () => {
  await test.close();
  await cluster.close();
});

describe('what is assigned to domains', () => {
  const domains = ['finance', 'sales'] as const;
  const jobsWith = async (reference: string): Promise<Record<(typeof domains)[number], string>> => {
    const names = { finance: freshName(), sales: freshName() };
    for (const domain of domains)
      await test.call('POST', surfacePath('spark-job', domain), {
        body: { name: names[domain], ...surfaceSamples['spark-job'](reference) },
      });
    return names;
  };
  const namedBy = async (path: string): Promise<string[]> => {
    const { change, configurations } = await impactOf(path);
    expect(change).toBe('revoke');
    return configurations.map(({ configuration }) => configuration).toSorted();
  };

  it('is a secret of Global: what loses it is named, and what has not got it or keeps it is not', async () => {
    const key = freshName();
    await put('/v1/global', key);
    const jobs = await jobsWith(`secret://global/managed/${key}`);
    const mail = { ...platformSamples.email(`secret://global/managed/${key}`) };
    await test.call('PUT', '/v1/platform/email', { body: mail });
    const path = `/v1/global/secrets/${key}/assignments`;
    expect(await namedBy(`${path}/impact?domains=finance`)).toEqual([jobs.sales]);
    expect(await namedBy(`${path}/impact?domains=finance,sales`)).toEqual([]);
    expect(await namedBy(`${path}/impact`)).toEqual([jobs.finance, jobs.sales].toSorted());
    await test.call('PUT', path, { body: { domains: ['finance'] } });
    expect(await namedBy(`${path}/impact?domains=sales`)).toEqual([jobs.finance]);
    expect(await namedBy(`${path}/impact?domains=finance,nowhere`)).toEqual([]);
    for (const query of ['domains=,', 'domains=Finance', 'domains=finance,'])
      expect((await test.request('GET', `${path}/impact?${query}`)).status).toBe(422);
    expect((await test.request('GET', `${path}/impact`, { token: olga.token })).status).toBe(403);
    await test.call('DELETE', '/v1/platform/email');
  });

  it('is an integration of Global', async () => {
    const name = freshName();
    await test.call('POST', '/v1/global/integrations', { body: { name, ...integrationForm } });
    const path = `/v1/global/integrations/${name}/assignments`;
    await test.call('PUT', path, { body: { all: true } });
    const jobs = await jobsWith(`secret://global/${name}/app/db#password`);
    expect(await namedBy(`${path}/impact?domains=sales`)).toEqual([jobs.finance]);
    expect(await namedBy(`${path}/impact`)).toEqual([jobs.finance, jobs.sales].toSorted());
    await test.call('PUT', path, { body: { domains: ['finance'] } });
    expect(await namedBy(`${path}/impact`)).toEqual([jobs.finance]);
    await test.call('PUT', path, { body: { domains: [] } });
    expect(await namedBy(`${path}/impact`)).toEqual([]);
  });
});

describe('a secret', () => {
  it.each(domainSurfaces)('is found in a %s, with the field', async (type) => {
    const [name, key] = [freshName(), freshName()];
    await put(base, key);
    const reference = `secret://domain/managed/${key}`;
    await test.call('POST', surfacePath(type), { body: { name, ...surfaceSamples[type](reference) } });
    const impact = await impactOf(`${base}/secrets/${key}/impact`);
    expect(impact).toMatchObject({
      change: 'delete',
      effect: 'launches-fail',
      configurations: [{ domain: 'finance', surface: type, configuration: name, fields: [{ reference }], running: 0 }],
      workloads: [],
      domains: [{ domain: 'finance', configurations: 1, workloads: 0 }],
      hidden: { configurations: 0, workloads: 0, platform: 0 },
      isComplete: true,
    });
    const used = await test.call<{ items: { name: string; pointer: string }[] }>(
      'GET',
      `${base}/secrets/${key}/used-by`,
    );
    const fields = impact.configurations[0]?.fields.map(({ name: field, pointer }) => ({ name: field, pointer }));
    expect(used.items.map(({ name: field, pointer }) => ({ name: field, pointer }))).toEqual(fields);
  });

  it.each(platformSurfaces)('of the admin scope is found in the %s of the platform', async (type) => {
    const key = freshName();
    await put('/v1/admin', key);
    await test.call('PUT', `/v1/platform/${type}`, { body: platformSamples[type](`secret://admin/managed/${key}`) });
    const impact = await impactOf(`/v1/admin/secrets/${key}/impact?change=rotate`);
    expect(impact).toMatchObject({ change: 'rotate', effect: 'workloads-outdated' });
    expect(impact.configurations).toContainEqual(expect.objectContaining({ surface: type, domain: 'admin' }));
    await test.call('DELETE', `/v1/platform/${type}`);
  });

  it('is found through what uses it: a storage configuration, and what consumes that', async () => {
    const [storage, job] = [freshName(), freshName()];
    const body = { name: storage, ...storageSample(), accessKey: { secret: 'secret://domain/managed/api-key' } };
    await test.call('POST', `${base}/storage-configs`, { body });
    await test.call('POST', `${base}/spark-jobs`, {
      body: { name: job, command: ['true'], storageConfigs: [storage] },
    });
    const { configurations } = await impactOf(`${base}/secrets/api-key/impact`);
    expect(configurations).toContainEqual(
      expect.objectContaining({ configuration: job, fields: [], via: [`storage-config/${storage}`] }),
    );
  });

  it('is found with what runs, which keeps what it got', async () => {
    const [name, key] = [freshName(), freshName()];
    await put(base, key);
    const environment = [{ name: 'TOKEN', secret: `secret://domain/managed/${key}` }];
    await test.call('POST', `${base}/spark-jobs`, { body: { name, command: ['sleep', '300'], environment } });
    const { id } = await test.call<{ id: string }>('POST', `${base}/spark-jobs/${name}/runs`);
    const held = async (): Promise<ImpactView> => {
      const found = await impactOf(`${base}/secrets/${key}/impact?change=rotate`);
      expect(found.workloads).toMatchObject([{ state: 'running' }]);
      return found;
    };
    // It has its values once it has started.
    const impact = await vi.waitFor(held, { timeout: 60_000, interval: 20 });
    expect(impact.workloads).toMatchObject([
      { launch: id, kind: 'run', state: 'running', configuration: name, names: ['TOKEN'], domain: 'finance' },
    ]);
    expect(impact.configurations).toMatchObject([{ configuration: name, running: 1 }]);
    await test.call('POST', `${base}/runs/${id}/stop`);
  });

  it('is found in a cluster, also by where-used, and then is not deleted unless forced', async () => {
    const name = freshName();
    const access = cluster.access('secret://admin/managed/cluster-token');
    await test.call('POST', '/v1/clusters', { body: { name, access } });
    const path = '/v1/admin/secrets/cluster-token';
    expect((await impactOf(`${path}/impact`)).platform).toEqual([
      { kind: 'cluster', name, pointer: '/access/secret', reference: 'secret://admin/managed/cluster-token' },
    ]);
    const used = await test.call<{ items: unknown[] }>('GET', `${path}/used-by`);
    expect(used.items).toMatchObject([{ surface: 'cluster', configuration: name, pointer: '/access/secret' }]);
    const manager = await test.createUser(freshName(), { roles: ['SECRETS_ADMIN'] });
    expect(await impactOf(`${path}/impact`, manager.token)).toMatchObject({ platform: [], hidden: { platform: 1 } });
    expect(await test.call('GET', `${path}/used-by`, { token: manager.token })).toEqual({ items: [] });
    const refused = await test.request('DELETE', path, { token: manager.token });
    expect([refused.status, refused.body]).toMatchObject([409, { code: 'in_use' }]);
    expect(refused.text).toContain('1 cluster.');
    expect(refused.text).not.toContain(name);
    expect((await test.request('DELETE', path)).text).toContain(`cluster ${name} of the platform uses it as `);
    await test.call('DELETE', `/v1/clusters/${name}`);
    await test.call('DELETE', path);
  });

  it('of Global is told with all domains to who manages it; who may not see a configuration gets a count', async () => {
    for (const domain of ['finance', 'sales'])
      await test.call('POST', surfacePath('notebook', domain), {
        body: { name: freshName(), ...surfaceSamples.notebook('secret://global/managed/shared') },
      });
    const manager = await test.createUser(freshName(), { roles: ['SECRETS_ADMIN'] });
    const all = await impactOf('/v1/global/secrets/shared/impact', manager.token);
    expect(all.domains.map(({ domain }) => domain)).toEqual(['finance', 'sales']);
    expect((await test.request('GET', '/v1/global/secrets/shared/impact', { token: olga.token })).status).toBe(403);
    const bundle = freshName();
    const name = freshName();
    const keeper = await test.createUser(freshName(), { grants: { finance: ['LIST_SECRETS', 'MANAGE_SECRETS'] } });
    await test.call('POST', `${base}/bundles`, { body: { name: bundle } });
    const body = { name, bundle, ...surfaceSamples.notebook('secret://domain/managed/db-password') };
    await test.call('POST', `${base}/notebooks`, { body });
    const answer = await test.request('GET', `${base}/secrets/db-password/impact`, { token: keeper.token });
    expect(answer.body).toMatchObject({ configurations: [], hidden: { configurations: 1 } });
    expect(answer.text).not.toContain(name);
  });
});

it('an integration is found with all its keys, for an edit and a deletion', async () => {
  const name = freshName();
  const job = freshName();
  await test.call('POST', `${base}/integrations`, { body: { name, ...integrationForm } });
  const reference = `secret://domain/${name}/app/db#password`;
  await test.call('POST', `${base}/spark-jobs`, { body: { name: job, ...surfaceSamples['spark-job'](reference) } });
  const path = `${base}/integrations/${name}/impact`;
  expect(await impactOf(`${path}?change=edit`)).toMatchObject({
    change: 'edit',
    effect: 'launches-may-fail',
    configurations: [{ configuration: job, fields: [{ name: 'PGPASSWORD', reference }] }],
  });
  expect((await test.request('GET', path, { token: ann.token })).status).toBe(403);
  const usedBy = async (): Promise<unknown[]> => {
    const shown = await test.call<{ usedBy: number }>('GET', `${base}/integrations/${name}`);
    const { items } = await test.call<{ items: { name: string; usedBy: number }[] }>('GET', `${base}/integrations`);
    return [shown.usedBy, items.find((each) => each.name === name)?.usedBy];
  };
  expect(await usedBy()).toEqual([1, 1]);
  const webhook = { url: 'https://hooks.example.org/strongroom', signingSecret: reference };
  await test.call('PUT', `${base}/notices/settings`, { body: { webhook } });
  expect(await usedBy()).toEqual([2, 2]);
});

/** What keeps references, in which scope, and how to save one there. */
interface Keeper {
  readonly kind: string;
  readonly scope: 'admin' | 'global' | 'domain';
  readonly keep: (reference: string) => Promise<unknown>;
  /** Fields that take one, where it is not one: `keep` fills them all. */
  readonly fields?: number;
}

const pathOf = (scope: Keeper['scope']): string => (scope === 'domain' ? base : `/v1/${scope}`);
const keepers: readonly Keeper[] = [
  ...domainSurfaces.map((type): Keeper => ({
    kind: type.replaceAll(/(?:^|-)([a-z])/g, (_, letter: string) => letter.toUpperCase()),
    scope: 'domain',
    keep: (reference) =>
      test.call('POST', surfacePath(type), { body: { name: freshName(), ...surfaceSamples[type](reference) } }),
  })),
  ...platformSurfaces.map((type): Keeper => ({
    kind: type.replace(/^[a-z]/, (letter) => letter.toUpperCase()),
    scope: 'admin',
    keep: (reference) => test.call('PUT', `/v1/platform/${type}`, { body: platformSamples[type](reference) }),
  })),
  ...(['Admin', 'Global', 'Domain'] as const).map((kind): Keeper => {
    const scope = ({ Admin: 'admin', Global: 'global', Domain: 'domain' } as const)[kind];
    return {
      kind: `${kind}NoticeSettings`,
      scope,
      fields: 2,
      keep: (signingSecret) => {
        const webhook = { urlSecret: signingSecret, signingSecret };
        return test.call('PUT', `${pathOf(scope)}/notices/settings`, { body: { webhook } });
      },
    };
  }),
  {
    kind: 'Cluster',
    scope: 'admin',
    keep: (reference) =>
      test.call('POST', '/v1/clusters', { body: { name: freshName(), access: cluster.access(reference) } }),
  },
];

/** Whether a reference, as the contract takes one, is anywhere in a body. */
function takesReference(schema: unknown): boolean {
  if (typeof schema !== 'object' || schema === null) return false;
  if ('description' in schema && schema.description === 'A reference to a secret') return true;
  return Object.values(schema).some(takesReference);
}

describe('what refers to a secret', () => {
  it('is whatever the API takes a reference for, and keeps: nothing else, and nothing is forgotten', () => {
    // Asks with a reference, or keeps it as the record of what was done.
    const isAsking = /^(?:test|check|preflight|explain|scan|resolve|createLaunch$)/;
    const taking = allRoutes
      .filter(({ id, body }) => !isAsking.test(id) && takesReference(body))
      .map(({ id }) => id.replace(/^(?:create|update|put)/, ''));
    // What a connection takes is a matter of its type, of which the contract says where credentials are.
    taking.push('Connection');
    expect([...new Set(taking)].toSorted()).toEqual(keepers.map(({ kind }) => kind).toSorted());
  });

  it.each(keepers)(
    '$kind: found by reference, also to one of its fields, and by key',
    async ({ kind, scope, keep, fields = 1 }) => {
      const key = freshName();
      const part = kind === 'Cluster' ? cluster.token : canaries.plain(`part of ${key}`);
      await test.call('POST', `${pathOf(scope)}/secrets`, { body: { key, fields: { part } } });
      const reference = `secret://${scope}/managed/${key}`;
      await keep(`${reference}#part`);
      const used = async (text: string): Promise<unknown[]> => {
        const query = `reference=${encodeURIComponent(text)}`;
        return (await test.call<{ items: unknown[] }>('GET', `${pathOf(scope)}/used-by?${query}`)).items;
      };
      const each = Array.from({ length: fields }, () => ({ reference: `${reference}#part` }));
      expect(await used(`${reference}#part`)).toMatchObject(each);
      expect(await used(reference)).toHaveLength(fields);
      expect(await used(`${reference}#other`)).toEqual([]);
      const byKey = await test.call<{ items: unknown[] }>('GET', `${pathOf(scope)}/secrets/${key}/used-by`);
      expect(byKey.items).toMatchObject(each);
      expect(await test.call('GET', `${pathOf(scope)}/secrets/${key}`)).toMatchObject({ usedBy: fields });
      expect(await test.call('GET', `${pathOf(scope)}/secrets?q=${key}`)).toMatchObject({
        items: [{ key, usedBy: fields }],
      });
      const { configurations, platform } = await impactOf(`${pathOf(scope)}/secrets/${key}/impact`);
      expect(configurations.length + platform.length).toBe(fields);
    },
  );
});

it('a domain is told with all it holds, to its owners', async () => {
  const domain = freshName();
  await test.createDomain(domain);
  const path = `/v1/domains/${domain}`;
  await put(path, 'db-password');
  await test.createServiceAccount(domain, 'etl');
  await test.call('POST', `${path}/integrations`, { body: { name: 'vault', ...integrationForm } });
  const name = freshName();
  const job = {
    name,
    command: ['sleep', '300'],
    environment: [{ name: 'TOKEN', secret: 'secret://domain/managed/db-password' }],
  };
  await test.call('POST', `${path}/spark-jobs`, { body: job });
  expect(await impactOf(`${path}/impact`)).toMatchObject({
    change: 'delete',
    configurations: [{ configuration: name, domain }],
    contents: { secrets: 1, integrations: 1, serviceAccounts: 1 },
  });
  const { id } = await test.call<{ id: string }>('POST', `${path}/spark-jobs/${name}/runs`);
  const { refusal } = await impactOf(`${path}/impact`);
  expect(refusal).toMatchObject({ code: 'state_conflict' });
  expect(refusal?.detail).toContain('runs of this domain are going on');
  await test.call('POST', `${path}/runs/${id}/stop`);
  const manager = await test.createUser(freshName(), { grants: { [domain]: ['MANAGE_ACCESS'] } });
  expect((await test.request('GET', `${path}/impact`, { token: manager.token })).status).toBe(403);
  expect((await test.request('GET', `${path}/impact`, { token: ann.token })).status).toBe(404);
});

describe('what a change broke', () => {
  interface Broken {
    readonly brokenUses: readonly { readonly domain: string }[];
    readonly isComplete: boolean;
  }
  const many = 250;
  const jobIn = (domain: string, key: string, fields: number): Promise<unknown> =>
    test.call('POST', `/v1/domains/${domain}/spark-jobs`, {
      body: {
        name: freshName(),
        command: ['true'],
        environment: Array.from({ length: fields }, (_, index) => ({
          name: `V${index}`,
          secret: { scope: 'global', source: 'managed', key },
        })),
      },
    });

  it('is named however many fields before it are not broken, and says so where there is more', async () => {
    await put('/v1/global', 'wide');
    await jobIn('finance', 'wide', many);
    await jobIn('sales', 'wide', 1);
    const path = '/v1/global/secrets/wide';
    const assign = (domain: string): Promise<Broken> =>
      test.call('PUT', `${path}/assignments`, { body: { domains: [domain] } });
    expect(await assign('finance')).toMatchObject({ brokenUses: [{ domain: 'sales' }], isComplete: true });
    const lost = await assign('sales');
    expect([lost.brokenUses.length, lost.isComplete]).toEqual([200, false]);
    expect(new Set(lost.brokenUses.map(({ domain }) => domain))).toEqual(new Set(['finance']));
    await test.call('PUT', `${path}/assignments`, { body: { all: true } });
    // Whoever knows of one domain alone is told of its uses, and of all of them.
    expect(await test.call('GET', path, { token: ann.token })).toMatchObject({ usedBy: many });
    const deleted = await test.call<Broken>('DELETE', `${path}?force=true`);
    expect([deleted.brokenUses.length, deleted.isComplete]).toEqual([200, false]);
    const { items } = await test.call<{ items: readonly { readonly detail?: unknown }[] }>(
      'GET',
      '/v1/audit?action=secret.manage&limit=1',
    );
    expect(items[0]?.detail).toMatchObject({ uses: many + 1 });
  });
});

it('no value is in any answer, log or file of the server', async () => {
  await expect(test.assertNoLeak()).resolves.toBeUndefined();
});
