import { setTimeout as delay } from 'node:timers/promises';
import { type PlatformRole, type Preset, StrongroomError } from '@strongroom/contract';
import { createToken } from '@strongroom/crypto';
import { codeOf, startTestServer, type TestServer, type TestUser } from './app.ts';
import {
  emailForm,
  bodyOfWorkload,
  clusterForm,
  connectionForm,
  integrationForm,
  ldapForm,
  noticeForm,
  profileForm,
  storageForm,
} from './bodies.ts';
import { openLoopbackCluster } from './loopback-cluster.ts';
import { Conformance } from './conformance.ts';

/** One of everything that a path can name, in one domain. */
export interface Things {
  readonly domain: string;
  readonly key: string;
  readonly bundle: string;
  readonly grant: string;
  readonly bundleGrant: string;
  readonly asset: string;
  readonly principal: string;
  readonly serviceAccount: string;
  readonly token: string;
  readonly job: string;
  readonly cluster: string;
  readonly notebook: string;
  readonly storageConfig: string;
  readonly connection: string;
  readonly integration: string;
  readonly run: string;
  readonly launch: string;
  readonly workload: string;
}

export interface PlatformThings {
  readonly user: string;
  readonly group: string;
  readonly groupMember: string;
  readonly serviceAccount: string;
  readonly token: string;
  readonly session: string;
  readonly profile: string;
}

/** Everybody who calls: a name for the failure's message, a token, and who it is. */
export interface MatrixCaller {
  readonly name: string;
  readonly token: string;
  readonly principalId: string;
}

/**
 * A whole server with two domains that have one of everything, a deleted one, and a caller for every standing there is.
 * `sales` is the other domain: nobody of `finance` stands there.
 */
export interface MatrixWorld {
  readonly test: TestServer;
  readonly conformance: Conformance;
  readonly finance: Things;
  readonly sales: Things;
  readonly platform: PlatformThings;
  readonly callers: readonly MatrixCaller[];
  caller(name: string): MatrixCaller;
  /** Tokens that were good once, or never were. */
  readonly badTokens: Readonly<Record<string, string>>;
  /** Platform administrators with RESOLVE in `finance`, to take turns with where a route is limited to some calls a minute. */
  readonly admins: readonly string[];
}

const presetCallers = { viewer: 'VIEWER', member: 'MEMBER', maintainer: 'MAINTAINER', owner: 'OWNER' } as const;
const roleCallers = {
  platformAdmin: 'PLATFORM_ADMIN',
  secretsAdmin: 'SECRETS_ADMIN',
  domainManager: 'DOMAIN_MANAGER',
  readOnlyAdmin: 'READ_ONLY_ADMIN',
  auditor: 'AUDITOR',
} as const satisfies Record<string, PlatformRole>;

/** @param settings of the server, besides what the world needs */
export async function openMatrixWorld(settings: Readonly<Record<string, string>> = {}): Promise<MatrixWorld> {
  const conformance = new Conformance();
  const test = await startTestServer(
    // Every request may then come from a network of its own.
    { STRONGROOM_TRUSTED_PROXIES: '127.0.0.1', STRONGROOM_LIMITS_CONCURRENT_RUNS: '4', ...settings },
    { onAnswer: conformance.see },
  );
  await Promise.all(['finance', 'sales', 'gone'].map((name) => test.createDomain(name)));
  const [callers, badTokens, admins, platform] = await Promise.all([
    makeCallers(test),
    makeBadTokens(test),
    makeAdmins(test),
    makePlatformThings(test),
  ]);
  await test.call('POST', '/v1/domains/gone/secrets', { body: { key: 'db-password', value: 'gone' } });
  await test.call('DELETE', '/v1/domains/gone?force=true');
  await purgeDeleted(test);
  await Promise.all(
    admins.map((_, index) =>
      test.call('POST', '/v1/domains/finance/grants', {
        body: { principal: `service-account:admin-${index}`, permission: 'RESOLVE' },
      }),
    ),
  );
  await makeClusters(test);
  const [finance, sales] = await Promise.all(['finance', 'sales'].map((domain) => fillDomain(test, domain)));
  if (finance === undefined || sales === undefined) throw new Error('The domains are not there');
  for (const [scope, key] of [
    ['admin', 'admin-key'],
    ['admin', 'admin-key-2'],
    ['global', 'global-key'],
    ['global', 'global-key-2'],
    ['global', 'sales-only'],
  ])
    await test.call('POST', `/v1/${scope}/secrets`, { body: { key, value: `value of ${key}` } });
  for (const place of ['admin', 'global', 'domains/finance', 'domains/sales'])
    await test.call('PUT', `/v1/${place}/notices/settings`, { body: noticeForm });
  for (const [scope, name] of [
    ['admin', 'admin-vault'],
    ['admin', 'admin-vault-2'],
    ['global', 'global-vault'],
    ['global', 'global-vault-2'],
  ])
    await test.call('POST', `/v1/${scope}/integrations`, { body: { name, ...integrationForm } });
  for (const name of ['vault-ambient', 'vault-ambient-2'])
    await test.call('POST', '/v1/profiles', { body: { name, ...profileForm } });
  await test.call('PUT', '/v1/platform/email', { body: emailForm });
  await test.call('PUT', '/v1/platform/ldap', { body: ldapForm });
  await syncDirectory(test);
  await test.call('PUT', '/v1/global/integrations/global-vault/assignments', { body: { domains: ['sales'] } });
  await test.call('PUT', '/v1/global/secrets/sales-only/assignments', { body: { domains: ['sales'] } });
  return {
    test,
    conformance,
    finance,
    sales,
    platform,
    callers,
    badTokens,
    admins,
    caller(name) {
      const found = callers.find((caller) => caller.name === name);
      if (found === undefined) throw new Error(`There is no caller ${name}`);
      return found;
    },
  };
}

/** It is due no more while tests count rows. The server may be at it already, by itself. */
async function syncDirectory(test: TestServer): Promise<void> {
  const sync = () => test.request('POST', '/v1/platform/ldap/sync');
  let answer = await sync();
  for (; codeOf(answer) === 'state_conflict'; answer = await sync()) await delay(20);
  if (answer.status >= 300) throw new Error(`The directory is not synchronised: ${answer.status} ${answer.text}`);
}

/** What the server would purge some seconds after its start, while tests count rows, is purged now. */
async function purgeDeleted(test: TestServer): Promise<void> {
  const { store } = test.server;
  const due = await store.db.selectFrom('secrets').select('id').where('purge_after', 'is not', null).execute();
  for (const { id } of due)
    await store.execute('secret.purge', { secretId: id }).catch((error: unknown) => {
      if (!(error instanceof StrongroomError && error.code === 'not_found')) throw error;
    });
}

async function makeCallers(test: TestServer): Promise<MatrixCaller[]> {
  const user = async (name: string, options: Parameters<TestServer['createUser']>[1]): Promise<MatrixCaller> =>
    asCaller(name, await test.createUser(name.toLowerCase(), options));
  return Promise.all([
    user('nobody', {}),
    user('outsider', { domains: { sales: 'OWNER' } }),
    ...Object.entries(presetCallers).map(([name, preset]) =>
      user(name, { domains: { finance: preset satisfies Preset } }),
    ),
    ...Object.entries(roleCallers).map(([name, role]) => user(name, { roles: [role] })),
    user('lister', { grants: { finance: ['LIST_SECRETS'] } }),
    user('accessManager', { grants: { finance: ['MANAGE_ACCESS'] } }),
    test
      .createServiceAccount('finance', 'workload', { preset: 'MEMBER', grants: ['RESOLVE'] })
      .then((account) => asCaller('workload', account)),
  ]);
}

function asCaller(name: string, { id, token }: TestUser): MatrixCaller {
  return { name, token, principalId: id };
}

async function makeBadTokens(test: TestServer): Promise<Record<string, string>> {
  const [disabled, deleted, signedOut] = await Promise.all([
    test.createUser('disabled', { domains: { finance: 'OWNER' } }),
    test.createUser('deleted', { domains: { finance: 'OWNER' } }),
    test.createUser('signed-out', { domains: { finance: 'OWNER' } }),
  ]);
  await test.call('PATCH', `/v1/users/${disabled.id}`, { body: { isDisabled: true } });
  await test.call('DELETE', `/v1/users/${deleted.id}`);
  await test.call('DELETE', '/v1/auth/session', { token: signedOut.token });
  const account = await test.createServiceAccount('finance', 'revoked', { preset: 'OWNER' });
  const path = `/v1/domains/finance/service-accounts/${account.id}/tokens`;
  const { items } = await test.call<{ items: { id: string }[] }>('GET', path);
  await test.call('DELETE', `${path}/${items[0]?.id}`);
  return {
    disabled: disabled.token,
    deleted: deleted.token,
    signedOut: signedOut.token,
    revoked: account.token,
    unknown: createToken('srt_'),
    malformed: 'srt_wrong',
  };
}

async function makeAdmins(test: TestServer): Promise<string[]> {
  return Promise.all(
    Array.from({ length: 24 }, async (_, index) => {
      const { id } = await test.call<{ id: string }>('POST', '/v1/service-accounts', {
        body: { name: `admin-${index}`, roles: ['PLATFORM_ADMIN'] },
      });
      const path = `/v1/service-accounts/${id}/tokens`;
      return (await test.call<{ token: string }>('POST', path, { body: {} })).token;
    }),
  );
}

async function makePlatformThings(test: TestServer): Promise<PlatformThings> {
  const [spare, group, account] = await Promise.all([
    test.createUser('spare'),
    test.call<{ id: string }>('POST', '/v1/groups', { body: { name: 'analysts' } }),
    test.call<{ id: string }>('POST', '/v1/service-accounts', { body: { name: 'etl' } }),
    test.call('POST', '/v1/groups', { body: { name: 'writers' } }),
  ]);
  const second = await test.createUser('second');
  await test.call('PUT', `/v1/groups/${group.id}/members/${spare.id}`);
  await test.call('PUT', `/v1/groups/${group.id}/members/${second.id}`);
  const token = await test.call<{ id: string }>('POST', `/v1/service-accounts/${account.id}/tokens`, { body: {} });
  const sessions = await test.call<{ items: { id: string }[] }>('GET', '/v1/auth/sessions', { token: spare.token });
  return {
    user: spare.id,
    group: group.id,
    groupMember: spare.id,
    serviceAccount: account.id,
    token: token.id,
    session: sessions.items[0]?.id ?? '',
    profile: 'vault-ambient',
  };
}

async function makeClusters(test: TestServer): Promise<void> {
  const cluster = await openLoopbackCluster({ isAlwaysAnother: true });
  const key = 'cluster-token';
  await test.call('POST', '/v1/admin/secrets', { body: { key, value: cluster.token } });
  clusterForm.access = cluster.access(`secret://admin/managed/${key}`);
  for (const name of ['prod', 'staging']) await test.call('POST', '/v1/clusters', { body: { name, ...clusterForm } });
  for (const namespace of ['jobs', 'more-jobs'])
    await test.call('PUT', `/v1/clusters/prod/targets/${namespace}`, { body: { domain: 'finance' } });
  await test.call('PUT', '/v1/clusters/prod/targets/sales-jobs', { body: { domain: 'sales' } });
}

async function fillDomain(test: TestServer, domain: string): Promise<Things> {
  const base = `/v1/domains/${domain}`;
  const post = <Body = { id: string }>(path: string, body?: unknown): Promise<Body> =>
    test.call<Body>('POST', `${base}${path}`, body === undefined ? {} : { body });
  const endOf = async (id: string): Promise<void> => {
    for (let state = 'queued'; state === 'queued' || state === 'running'; await delay(20))
      ({ state } = await test.call<{ state: string }>('GET', `${base}/runs/${id}`));
  };
  const key = 'db-password';
  // Two of each, so that lists have a second page.
  await Promise.all([
    ...[key, 'api-key', 'for-drift'].map((name) => post('/secrets', { key: name, value: `value of ${name}` })),
    ...['vault-prod', 'vault-two'].map((name) => post('/integrations', { name, ...integrationForm })),
    post('/bundles', { name: 'analytics' }),
    post('/bundles', { name: 'second' }),
    post('/members', { principal: 'group:analysts', preset: 'VIEWER' }),
    post('/members', { principal: 'user:spare', preset: 'VIEWER' }),
    post('/grants', { principal: 'group:writers', permission: 'CREATE_COMPUTE' }),
  ]);
  const [grant, bundleGrant, asset] = await Promise.all([
    post('/grants', { principal: 'user:spare', permission: 'CREATE_NOTEBOOK' }),
    post('/bundles/analytics/grants', { principal: 'user:spare', assetType: 'secret', permissions: ['USE'] }),
    post('/bundles/analytics/assets', { type: 'secret', key: 'only-in-analytics' }),
    post('/bundles/analytics/grants', { principal: 'group:writers', assetType: 'secret', permissions: ['USE'] }),
    post('/bundles/analytics/assets', { type: 'secret', prefix: 'analytics-' }),
  ]);
  const workload = await test.createServiceAccount(domain, 'job-runner', { preset: 'MEMBER', grants: ['RESOLVE'] });
  const tokens = await test.call<{ items: { id: string }[] }>('GET', `${base}/service-accounts/${workload.id}/tokens`);
  const secret = { scope: 'domain', source: 'managed', key } as const;
  for (const name of ['nightly', 'weekly'])
    await post('/spark-jobs', { name, command: ['true'], environment: [{ name: 'PGPASSWORD', secret }] });
  for (const [index, name] of ['raw', 'curated'].entries())
    await post('/storage-configs', { name, ...storageForm(index), accessKey: { secret }, secretKey: { set: 'typed' } });
  for (const name of ['warehouse', 'lake']) await post('/connections', { name, ...connectionForm });
  for (const name of ['shared', 'spare']) {
    // Nothing is found there, whatever this machine has: their runs end at once.
    const environment = [
      { name: 'PGPASSWORD', secret },
      { name: 'PATH', value: '/nonexistent' },
    ];
    await post('/compute-clusters', { name, environment, storageConfigs: ['raw'] });
    await post('/notebooks', { name, environment });
  }
  for (const path of ['/compute-clusters/shared/runs', '/notebooks/shared/runs']) {
    await endOf((await post(path)).id);
    await endOf((await post(path)).id);
  }
  const run = await post('/spark-jobs/nightly/runs');
  await post('/spark-jobs/nightly/runs');
  const launch = await test.call<{ id: string }>('POST', `${base}/launches`, {
    token: workload.token,
    body: { references: [{ name: 'PGPASSWORD', reference: secret }] },
  });
  const bound = await post(
    `/service-accounts/${workload.id}/workloads`,
    bodyOfWorkload('prod', domain === 'finance' ? 'jobs' : 'sales-jobs'),
  );
  return {
    domain,
    key,
    bundle: 'analytics',
    grant: grant.id,
    bundleGrant: bundleGrant.id,
    asset: asset.id,
    principal: 'user:spare',
    serviceAccount: workload.id,
    token: tokens.items[0]?.id ?? '',
    job: 'nightly',
    cluster: 'shared',
    notebook: 'shared',
    storageConfig: 'raw',
    connection: 'warehouse',
    integration: 'vault-prod',
    run: run.id,
    launch: launch.id,
    workload: bound.id,
  };
}
