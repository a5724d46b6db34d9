import { generateKeyPairSync, randomUUID } from 'node:crypto';
import type { RouteDeclaration } from '@strongroom/contract';
import { freshName, plainSchema, sample } from './samples.ts';

/** An X25519 public key as a workload sends it. */
export function ephemeralJwk(): Record<string, string> {
  const { crv, kty, x } = generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' });
  return { kty: String(kty), crv: String(crv), x: String(x) };
}

const password = { scope: 'domain', source: 'managed', key: 'db-password' } as const;

/** Bodies that mean something, where the smallest one that the schema takes does not; each call gives fresh names. */
const bodies: Readonly<Record<string, () => unknown>> = {
  addMember: () => ({ principal: 'user:second', preset: 'VIEWER' }),
  addGrant: () => ({ principal: 'user:second', permission: 'CREATE_COMPUTE' }),
  updateBundle: () => ({ description: freshName() }),
  addBundleGrant: () => ({ principal: 'user:second', assetType: 'secret', permissions: ['USE'] }),
  addBundleAsset: () => ({ type: 'secret', key: freshName() }),
  moveBundleAsset: () => ({ bundle: 'second' }),
  explain: () => ({ action: 'use', domain: 'finance', reference: 'secret://domain/managed/db-password' }),
  setOwnPassword: () => ({ newPassword: `a long password ${freshName()}` }),
  updateUser: () => ({ displayName: freshName() }),
  updateGroup: () => ({ displayName: freshName() }),
  updateServiceAccount: () => ({ displayName: freshName() }),
  updateDomainServiceAccount: () => ({ displayName: freshName() }),
  updateDomain: () => ({ description: freshName() }),
  rotateKeys: () => ({ what: 'terms', scope: 'admin' }),
  updateSettings: () => ({ features: { secretsV2: { enabled: true } } }),
  putAssignments: () => ({ all: true }),
  createProfile: () => ({ name: freshName(), ...profileForm }),
  updateProfile: () => ({ description: freshName() }),
  putIntegrationAssignments: () => ({ all: true }),
  bindWorkload: () => bodyOfWorkload('prod', 'jobs'),
  createCluster: () => ({ name: freshName(), ...clusterForm }),
  updateCluster: () => ({ description: freshName() }),
  putClusterTarget: () => ({ domain: 'finance' }),
  createSparkJob: () => ({ name: freshName(), command: ['true'] }),
  updateSparkJob: () => ({ command: ['true'], description: freshName() }),
  createComputeCluster: () => ({ name: freshName() }),
  updateComputeCluster: () => ({ description: freshName() }),
  createNotebook: () => ({ name: freshName() }),
  updateNotebook: () => ({ description: freshName() }),
  createStorageConfig: () => ({ name: freshName(), ...storageForm(freshName()) }),
  updateStorageConfig: () => ({ ...storageForm(freshName()), secretKey: { set: freshName() } }),
  putEmail: () => ({ ...emailForm, description: freshName() }),
  putLdap: () => ({ ...ldapForm, description: freshName() }),
  testLdap: () => ({ ...ldapForm, what: 'connection' }),
  testEmail: () => ({ ...emailForm, recipient: 'ann@example.org' }),
  createConnection: () => ({ name: freshName(), ...connectionForm }),
  updateConnection: () => ({ ...connectionForm, description: freshName() }),
  testConnectionForm: () => connectionForm,
  testConnection: () => connectionForm,
  testStorageConfigForm: () => storageForm(freshName()),
  testStorageConfig: () => storageForm(freshName()),
  scanPlaceholders: () => ({}),
  scanPlatformPlaceholders: () => ({}),
  migratePlaceholders: () => ({ dryRun: true }),
  migratePlatformPlaceholders: () => ({ dryRun: true }),
  undoPlaceholders: () => ({ dryRun: true }),
  undoPlatformPlaceholders: () => ({ dryRun: true }),
  putNoticeSettings: () => noticeForm,
  createLaunch: () => ({ references: [{ name: 'PGPASSWORD', reference: password }] }),
  redeployDrift: () => ({ all: true }),
  resolveLaunch: () => ({ publicKey: ephemeralJwk() }),
};

/** The same for the secrets of all three scopes. */
const secretBodies: Readonly<Record<string, () => unknown>> = {
  createSecret: () => ({ key: freshName(), value: 'a value' }),
  updateSecret: () => ({ description: freshName() }),
  rotateSecret: () => ({ value: `another value ${freshName()}` }),
  rollBackSecret: () => ({ version: '1.1' }),
  importSecrets: () => ({ format: 'env', content: `${freshName().toUpperCase()}=value\n` }),
};

/** A form of an integration that nobody answers. */
export const integrationForm = {
  type: 'VAULT',
  settings: {
    address: 'http://127.0.0.1:9',
    path: '/v1/secret/data/app',
    authentication: { method: 'token' },
  },
  credentials: { token: 'a token' },
} as const;

/** A connection to a host where nobody answers. */
export const connectionForm = {
  type: 'mssql',
  config: { username: 'ann', hostPort: '127.0.0.1:9', database: 'sales' },
} as const;

/** A storage configuration of a bucket that nobody answers for; each place can be had once. */
export function storageForm(place: string | number) {
  return {
    provider: 's3-compatible',
    endpoint: 'http://127.0.0.1:9',
    bucket: 'data',
    basePath: `at-${place}`,
  } as const;
}

/** A mail server that nobody answers for. */
export const emailForm = {
  host: '127.0.0.1',
  port: 9,
  security: 'none',
  senderAddress: 'strongroom@example.org',
} as const;

/** Somebody who is told. */
export const noticeForm = { recipients: ['ann@example.org'] } as const;

/** A directory that nobody answers for, synced once a week. */
export const ldapForm = {
  url: 'ldap://127.0.0.1:9',
  baseDn: 'dc=example,dc=org',
  syncPeriodSeconds: 604_800,
} as const;

/** A profile that integrations of `finance` may name. */
export const profileForm = {
  type: 'VAULT',
  settings: { address: 'https://vault.example.org', role: 'strongroom' },
  bindings: [{ scope: 'domain', domain: 'finance' }],
} as const;

/** Pods that nobody else has bound. */
export function bodyOfWorkload(cluster: string, namespace: string) {
  return { cluster, namespace, serviceAccount: 'job', uid: randomUUID() };
}

/** A cluster that nobody answers for, until a world has one that does. */
export const clusterForm: { access: object } = {
  access: { kind: 'token', address: 'https://127.0.0.1:9', secret: 'secret://admin/managed/cluster-token' },
};

/** And for the integrations. */
const integrationBodies: Readonly<Record<string, () => unknown>> = {
  createIntegration: () => ({ name: freshName(), ...integrationForm }),
  updateIntegration: () => ({ description: freshName() }),
  testIntegrationForm: () => integrationForm,
};

/** `createAdminSecret` → `createSecret`: what the routes of all three scopes have in common. */
export function withoutScope({ id }: RouteDeclaration): string {
  return id.replace(/(?:Admin|Global|Domain)(?=Secret|Integration|Notice)/, '');
}

/** A body that the route takes; `undefined` for routes without one. */
export function bodyFor(route: RouteDeclaration): unknown {
  if (route.body === undefined) return undefined;
  const name = withoutScope(route);
  const own = bodies[route.id] ?? bodies[name] ?? secretBodies[name] ?? integrationBodies[name];
  return own === undefined ? sample(plainSchema(route.body)) : own();
}

/** Queries that mean something, of routes that require one. */
const queries: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  showConnectionWorkflow: { hostPort: 'https://openmetadata.example.org/api' },
  showBundleAdditionImpact: { type: 'secret', key: 'db-password' },
  listDomainReferenceUses: { reference: 'secret://domain/managed/db-password' },
  listGlobalReferenceUses: { reference: 'secret://global/managed/global-key' },
  listAdminReferenceUses: { reference: 'secret://admin/managed/cluster-token' },
};

/** The query a route requires, with its question mark; empty for all that require none. */
export function queryFor(route: RouteDeclaration): string {
  const required = sample(plainSchema(route.query ?? { type: 'object' })) as Readonly<Record<string, unknown>>;
  const parts = Object.entries({ ...required, ...queries[route.id] });
  return parts.length === 0
    ? ''
    : `?${parts.map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`).join('&')}`;
}
