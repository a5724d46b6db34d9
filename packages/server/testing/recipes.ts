import type { RouteDeclaration } from '@strongroom/contract';
import { codeOf } from './app.ts';
import {
  bodyFor,
  bodyOfWorkload,
  clusterForm,
  connectionForm,
  emailForm,
  ephemeralJwk,
  integrationForm,
  ldapForm,
  noticeForm,
  profileForm,
  storageForm,
  withoutScope,
} from './bodies.ts';
import type { MatrixWorld } from './matrix-world.ts';
import { pathTo } from './route-paths.ts';
import { freshName } from './samples.ts';

/** A call that should succeed. */
export interface GoodCall {
  readonly path: string;
  readonly body?: unknown;
  /** `null`: nobody signed in. */
  readonly token: string | null;
}

/** What a recipe makes for one call: targets of its own, so that calls don't get into each other's way. */
interface Made {
  readonly params?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly token?: string | null;
}

type Recipe = (world: MatrixWorld, route: RouteDeclaration) => Promise<Made>;

/** A call of this route that should succeed, with targets of its own where it changes or ends them. */
export async function goodCall(world: MatrixWorld, route: RouteDeclaration): Promise<GoodCall> {
  const own = recipes[route.id] ?? recipes[withoutScope(route)];
  const { params, token = world.test.adminToken, ...made } = own === undefined ? {} : await own(world, route);
  const body = 'body' in made ? made.body : bodyFor(route);
  const path = pathTo(route, world.finance, world.platform, params);
  return { path, token, ...(body === undefined ? {} : { body }) };
}

type Identified = { readonly id: string };
const inFinance = '/v1/domains/finance';

async function post<Body = Identified>(world: MatrixWorld, path: string, body?: unknown): Promise<Body> {
  return world.test.call<Body>('POST', path, body === undefined ? {} : { body });
}

async function user(world: MatrixWorld): Promise<{ readonly id: string; readonly name: string }> {
  const name = freshName();
  const { user: made } = await post<{ user: Identified }>(world, '/v1/users', { name });
  return { id: made.id, name: `user:${name}` };
}

async function account(world: MatrixWorld, base: string): Promise<string> {
  return (await post(world, `${base}/service-accounts`, { name: freshName() })).id;
}

async function member(world: MatrixWorld): Promise<string> {
  const { name } = await user(world);
  await post(world, `${inFinance}/members`, { principal: name, preset: 'VIEWER' });
  return name;
}

async function bundle(world: MatrixWorld): Promise<string> {
  const name = freshName();
  await post(world, `${inFinance}/bundles`, { name });
  return name;
}

async function secret(world: MatrixWorld, { path }: RouteDeclaration, isDeleted = false): Promise<Made> {
  const base = path.slice(0, path.indexOf('/secrets')).replace('{domain}', 'finance');
  const key = freshName();
  await post(world, `${base}/secrets`, { key, value: 'a value' });
  if (isDeleted) await world.test.call('DELETE', `${base}/secrets/${key}`);
  return { params: { key } };
}

async function integration(world: MatrixWorld, { path }: RouteDeclaration): Promise<Made> {
  const base = path.slice(0, path.indexOf('/integrations')).replace('{domain}', 'finance');
  const name = freshName();
  await post(world, `${base}/integrations`, { name, ...integrationForm });
  return { params: { name } };
}

async function job(world: MatrixWorld, command: readonly string[] = ['true']): Promise<string> {
  const name = freshName();
  await post(world, `${inFinance}/spark-jobs`, { name, command });
  return name;
}

/** Another configuration of the kind that the route is about. */
async function configuration(world: MatrixWorld, { path }: RouteDeclaration): Promise<Made> {
  const kind = path.split('/')[4] ?? '';
  const name = freshName();
  const forms: Readonly<Record<string, object>> = { 'storage-configs': storageForm(name), connections: connectionForm };
  await post(world, `${inFinance}/${kind}`, { name, ...forms[kind] });
  return { params: { name } };
}

async function launch(world: MatrixWorld, isResolved: boolean): Promise<Made> {
  const { token } = world.caller('workload');
  const reference = { scope: 'domain', source: 'managed', key: world.finance.key };
  const body = { references: [{ name: 'PGPASSWORD', reference }] };
  const { id } = await world.test.call<Identified>('POST', `${inFinance}/launches`, { token, body });
  if (isResolved) {
    const resolve = { publicKey: ephemeralJwk() };
    await world.test.call('POST', `/v1/launches/${id}/resolve`, { token, body: resolve });
  }
  return { token, params: { id } };
}

async function tokenOf(world: MatrixWorld, base: string): Promise<Made> {
  const serviceAccount = await account(world, base);
  const { id } = await post(world, `${base}/service-accounts/${serviceAccount}/tokens`, {});
  return { params: { serviceAccount, token: id } };
}

/** Somebody signed in, for what a caller does to itself. */
async function signedIn(world: MatrixWorld): Promise<{ readonly id: string; readonly token: string }> {
  return world.test.createUser(freshName());
}

const withUser: Recipe = async (world) => ({ params: { user: (await user(world)).id } });
const withAccount: Recipe = async (world) => ({ params: { serviceAccount: await account(world, '/v1') } });
const withDomainAccount: Recipe = async (world) => ({ params: { serviceAccount: await account(world, inFinance) } });
const withGroup: Recipe = async (world) => ({
  params: { group: (await post(world, '/v1/groups', { name: freshName() })).id },
});
const withJob: Recipe = async (world) => ({ params: { name: await job(world) } });
const withEmail: Recipe = async (world) => {
  await world.test.call('PUT', '/v1/platform/email', { body: emailForm });
  return {};
};
const withLdap: Recipe = async (world) => {
  await world.test.call('PUT', '/v1/platform/ldap', { body: ldapForm });
  return {};
};
const withNotices: Recipe = async (world, { path }) => {
  const settings = `${path.slice(0, path.indexOf('/notices')).replace('{domain}', 'finance')}/notices/settings`;
  await world.test.call('PUT', settings, { body: noticeForm });
  return {};
};
const withMember: Recipe = async (world) => ({ params: { principal: await member(world) } });
const withAsset: Recipe = async (world) => {
  const path = `${inFinance}/bundles/analytics/assets`;
  return { params: { asset: (await post(world, path, { type: 'secret', key: freshName() })).id } };
};
const withSecret: Recipe = (world, route) => secret(world, route);
const withIntegration: Recipe = (world, route) => integration(world, route);
const withProfile: Recipe = async (world) => {
  const profile = freshName();
  await post(world, '/v1/profiles', { name: profile, ...profileForm });
  return { params: { profile } };
};
const withCluster: Recipe = async (world) => {
  const cluster = freshName();
  // Its credential is resolved, which others who change access all the time can put off.
  for (let answer; answer?.status !== 201;) {
    answer = await world.test.request('POST', '/v1/clusters', { body: { name: cluster, ...clusterForm } });
    if (answer.status !== 201 && codeOf(answer) !== 'version_conflict') throw new Error(answer.text);
  }
  return { params: { cluster } };
};
const withTarget: Recipe = async (world) => {
  const namespace = freshName();
  await world.test.call('PUT', `/v1/clusters/prod/targets/${namespace}`, { body: { domain: 'finance' } });
  return { params: { namespace } };
};
const withDeletedSecret: Recipe = (world, route) => secret(world, route, true);

/** By route id; secrets and integrations of all three scopes share theirs, without the scope's name. */
const recipes: Readonly<Record<string, Recipe>> = {
  updateDomain: async (world) => ({ params: { domain: await domain(world) } }),
  deleteDomain: async (world) => ({ params: { domain: await domain(world) } }),
  addMember: async (world) => ({ body: { principal: (await user(world)).name, preset: 'VIEWER' } }),
  putMember: withMember,
  deleteMember: withMember,
  addGrant: async (world) => ({ body: { principal: (await user(world)).name, permission: 'CREATE_COMPUTE' } }),
  deleteGrant: async (world) => {
    const body = { principal: (await user(world)).name, permission: 'CREATE_COMPUTE' };
    return { params: { grant: (await post(world, `${inFinance}/grants`, body)).id } };
  },
  updateBundle: async (world) => ({ params: { bundle: await bundle(world) } }),
  deleteBundle: async (world) => ({ params: { bundle: await bundle(world) } }),
  addBundleGrant: async (world) => ({
    body: { principal: (await user(world)).name, assetType: 'secret', permissions: ['USE'] },
  }),
  deleteBundleGrant: async (world) => {
    const body = { principal: (await user(world)).name, assetType: 'secret', permissions: ['USE'] };
    return { params: { grant: (await post(world, `${inFinance}/bundles/analytics/grants`, body)).id } };
  },
  moveBundleAsset: withAsset,
  deleteBundleAsset: withAsset,
  signInWithPassword: async (world) => {
    const credentials = { name: freshName(), password: `long enough ${freshName()}` };
    await post(world, '/v1/users', credentials);
    return { token: null, body: credentials };
  },
  signInWithLink: async (world) => {
    const { id } = await user(world);
    const { token } = await post<{ token: string }>(world, `/v1/users/${id}/sign-in-link`, {});
    return { token: null, body: { token } };
  },
  signOut: async (world) => ({ token: (await signedIn(world)).token }),
  setOwnPassword: async (world) => ({ token: (await signedIn(world)).token }),
  listOwnSessions: async (world) => ({ token: (await signedIn(world)).token }),
  revokeOwnSession: async (world) => {
    const { token } = await signedIn(world);
    const { items } = await world.test.call<{ items: Identified[] }>('GET', '/v1/auth/sessions', { token });
    return { token, params: { session: items[0]?.id ?? '' } };
  },
  updateUser: withUser,
  deleteUser: withUser,
  createSignInLink: withUser,
  revokeUserSessions: withUser,
  updateGroup: withGroup,
  deleteGroup: withGroup,
  addGroupMember: async (world) => ({ params: { principal: (await user(world)).id } }),
  deleteGroupMember: async (world) => {
    const { id } = await user(world);
    await world.test.call('PUT', `/v1/groups/${world.platform.group}/members/${id}`);
    return { params: { principal: id } };
  },
  updateServiceAccount: withAccount,
  deleteServiceAccount: withAccount,
  issueToken: withAccount,
  revokeToken: (world) => tokenOf(world, '/v1'),
  updateDomainServiceAccount: withDomainAccount,
  deleteDomainServiceAccount: withDomainAccount,
  issueDomainToken: withDomainAccount,
  revokeDomainToken: (world) => tokenOf(world, inFinance),
  confirmRecoveryKit: async (world) => {
    const status = await world.test.call<{ keyEncryptionKey: Identified }>('GET', '/v1/keys');
    return { body: { kekId: status.keyEncryptionKey.id } };
  },
  updateSecret: withSecret,
  rotateSecret: withSecret,
  rollBackSecret: withSecret,
  deleteSecret: withSecret,
  restoreSecret: withDeletedSecret,
  purgeSecret: withDeletedSecret,
  putAssignments: withSecret,
  updateIntegration: withIntegration,
  deleteIntegration: withIntegration,
  testIntegration: withIntegration,
  refreshIntegration: withIntegration,
  checkIntegrationConformance: withIntegration,
  putIntegrationAssignments: withIntegration,
  updateProfile: withProfile,
  deleteProfile: withProfile,
  bindWorkload: withDomainAccount,
  unbindWorkload: async (world) => {
    const serviceAccount = await account(world, inFinance);
    const path = `${inFinance}/service-accounts/${serviceAccount}/workloads`;
    const { id } = await post(world, path, bodyOfWorkload('prod', 'jobs'));
    return { params: { serviceAccount, workload: id } };
  },
  updateCluster: withCluster,
  deleteCluster: withCluster,
  putClusterTarget: async () => ({ params: { namespace: freshName() } }),
  deleteClusterTarget: withTarget,
  updateSparkJob: withJob,
  suspendSparkJob: withJob,
  deleteSparkJob: withJob,
  runSparkJob: withJob,
  updateComputeCluster: configuration,
  deleteComputeCluster: configuration,
  runComputeCluster: configuration,
  updateNotebook: configuration,
  deleteNotebook: configuration,
  runNotebook: configuration,
  updateStorageConfig: configuration,
  deleteStorageConfig: configuration,
  updateConnection: configuration,
  deleteConnection: configuration,
  restoreConnection: configuration,
  putEmail: withEmail,
  deleteEmail: withEmail,
  preflightEmail: withEmail,
  putNoticeSettings: withNotices,
  deleteNoticeSettings: withNotices,
  testNoticeSettings: withNotices,
  showNoticeSettings: withNotices,
  putLdap: withLdap,
  deleteLdap: withLdap,
  preflightLdap: withLdap,
  syncLdap: withLdap,
  stopRun: async (world) => {
    const name = await job(world, ['sleep', '300']);
    return { params: { id: (await post(world, `${inFinance}/spark-jobs/${name}/runs`)).id } };
  },
  createLaunch: async (world) => ({ token: world.caller('workload').token }),
  resolveLaunch: (world) => launch(world, false),
  renewLaunch: (world) => launch(world, true),
  endLaunch: (world) => launch(world, true),
};

async function domain(world: MatrixWorld): Promise<string> {
  const name = freshName();
  await world.test.createDomain(name);
  return name;
}
