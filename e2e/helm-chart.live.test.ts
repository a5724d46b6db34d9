// @needs helm
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type Helm, openHelm } from '../servers/helm.ts';
import { CommandLine } from './command-line.ts';
import { behindProxy, chart, type Manifest, manifestsOf, onPostgres, withoutKey } from './helm-values.ts';

const metricsListen = '0.0.0.0:9480';
const monitored = { metricsListen, serviceMonitor: { enabled: true } };

let helm: Helm;
const line = new CommandLine();
beforeAll(async () => {
  helm = await openHelm();
});
afterAll(async () => {
  helm.close();
  await line.close();
});

/** JSON is YAML. */
const template = (values: object, name = 'strongroom') =>
  helm.run(['template', name, chart, '--namespace', 'strongroom', '--values', '-'], JSON.stringify(values));

async function rendered(values: object, name?: string): Promise<readonly Manifest[]> {
  const { stdout, stderr } = await template(values, name);
  expect(stderr).toBe('');
  return manifestsOf(stdout);
}

const kindsOf = (manifests: readonly Manifest[]): readonly string[] => manifests.map(({ kind }) => kind).toSorted();

describe('the chart', () => {
  it('is a good one', async () => {
    for (const values of [{}, behindProxy, onPostgres])
      expect(await helm.must(['lint', '--strict', chart, '--values', '-'], JSON.stringify(values))).toContain(
        '0 chart(s) failed',
      );
  });

  it.each([
    ['nothing about TLS', {}, 'say how TLS is ended: tlsCertFile and tlsKeyFile'],
    ['half of a certificate', { tlsCertFile: '/a' }, 'tlsCertFile and tlsKeyFile go together'],
    ['a second writer', { ...behindProxy, replicas: 2 }, 'the embedded store has one writer: set databaseUrlFile'],
    ['a key in a pod', withoutKey, 'set kekFile to {secretName, key} of a Secret'],
    ['KMS’s file in a pod', { ...withoutKey, kekSource: 'aws-kms' }, 'set kekAwsKms.file'],
    ['an address that nobody reaches', { ...behindProxy, listen: '127.0.0.1:8480' }, 'neither the Service nor'],
    ['the process runner', { ...behindProxy, runner: 'process' }, 'jobs would have the rights of the server'],
    ['no runner at all', { ...behindProxy, runner: null }, 'jobs would have the rights of the server'],
    ['data beside the volume', { ...behindProxy, dataDir: '/data' }, 'not on the volume'],
    ['an Ingress for no name', { ...behindProxy, ingress: { enabled: true } }, 'ingress.host is not set'],
    ['a setting as a variable', { ...behindProxy, extraEnv: [{ name: 'STRONGROOM_LISTEN' }] }, 'settings are values'],
    ['the domain admin', { ...behindProxy, rbac: { domains: ['admin'] } }, 'strongroom k8s rbac --scope-objects'],
    ['metrics on no port', { ...behindProxy, serviceMonitor: { enabled: true } }, 'goes with metricsListen'],
    [
      'metrics for nobody',
      { ...behindProxy, ...monitored, networkPolicy: { enabled: true } },
      'name Prometheus in networkPolicy.metricsFrom',
    ],
    ['a misspelt setting', { features: { secretsV2: { enable: true } } }, "additional properties 'enable' not allowed"],
    ['another word', { logLevel: 'loud' }, "value must be one of 'debug', 'info'"],
    ['too few connections', { limits: { connections: 1 } }, 'minimum: got 1, want 10'],
    ['a database’s password', { databaseUrl: 'postgres://u:canary@h/d' }, "additional properties 'databaseUrl'"],
  ])('refuses %s, and says what to do', async (_, values, message) => {
    const { code, stdout, stderr } = await template(values);
    expect(code).not.toBe(0);
    expect(stderr).toContain(message);
    expect(stdout + stderr).not.toContain('canary');
  });

  it('has one pod with a volume over the embedded store', async () => {
    const manifests = await rendered({ ...behindProxy, limits: { runLogsTotalBytes: 1_099_511_627_776 } });
    expect(kindsOf(manifests)).toEqual(['ConfigMap', 'Service', 'ServiceAccount', 'StatefulSet']);
    expect(manifests.find(({ kind }) => kind === 'StatefulSet')?.spec).toMatchObject({
      replicas: 1,
      volumeClaimTemplates: [{ metadata: { name: 'data' } }],
      // Nothing signs in at the cluster; a Service's variables would be settings that there aren't.
      template: { spec: { automountServiceAccountToken: false, enableServiceLinks: false } },
    });
    expect(fileOf(manifests)).toEqual({
      behindTlsProxy: true,
      dataDir: '/var/lib/strongroom/data',
      hosts: ['', '.strongroom', '.strongroom.svc', '.strongroom.svc.cluster.local'].map((end) => `strongroom${end}`),
      kubernetes: { inCluster: true },
      limits: { runLogsTotalBytes: 1_099_511_627_776 },
      listen: '0.0.0.0:8480',
      runner: 'none',
    });
  });

  it('has several without one over PostgreSQL', async () => {
    const ingress = { enabled: true, host: 'strongroom.example.org' };
    const manifests = await rendered({ ...onPostgres, ingress }, 'prod');
    const kinds = ['ConfigMap', 'Deployment', 'Ingress', 'PodDisruptionBudget', 'Service', 'ServiceAccount'];
    expect(kindsOf(manifests)).toEqual(kinds);
    const { spec } = manifests.find(({ kind }) => kind === 'Deployment') ?? {};
    expect(spec?.replicas).toBe(2);
    expect(spec?.template.spec.volumes).toContainEqual({ name: 'data', emptyDir: {} });
    expect(fileOf(manifests)).toMatchObject({
      auditAnchor: 'stdout',
      databaseUrlFile: '/run/secrets/strongroom/databaseUrlFile',
      publicUrl: 'https://strongroom.example.org',
      hosts: expect.arrayContaining(['prod-strongroom.strongroom.svc', 'strongroom.example.org']),
    });
  });

  it('lets only those reach the API and the metrics who are named', async () => {
    const selector = { 'app.kubernetes.io/name': 'strongroom', 'app.kubernetes.io/instance': 'strongroom' };
    const from = (name: string) => [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': name } } }];
    const policyOf = async (networkPolicy: object): Promise<unknown> => {
      const manifests = await rendered({
        ...behindProxy,
        ...monitored,
        networkPolicy: { enabled: true, ...networkPolicy },
      });
      return manifests.find(({ kind }) => kind === 'NetworkPolicy')?.spec;
    };
    const metricsFrom = from('monitoring');
    const metrics = { ports: [{ port: 'metrics' }], from: metricsFrom };
    expect(await policyOf({ metricsFrom })).toEqual({
      podSelector: { matchLabels: selector },
      policyTypes: ['Ingress'],
      ingress: [{ ports: [{ port: 'api' }] }, metrics],
    });
    const egress = [{ ports: [{ port: 53, protocol: 'UDP' }] }];
    expect(await policyOf({ metricsFrom, from: from('ingress'), egress })).toEqual({
      podSelector: { matchLabels: selector },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [{ ports: [{ port: 'api' }], from: from('ingress') }, metrics],
      egress,
    });
    // Without a word for them nobody reaches them.
    const unwatched = await rendered({ ...behindProxy, metricsListen, networkPolicy: { enabled: true } });
    expect(unwatched.find(({ kind }) => kind === 'NetworkPolicy')?.spec).toMatchObject({
      ingress: [{ ports: [{ port: 'api' }] }],
    });
  });

  it('is watched by the Prometheus operator', async () => {
    const manifests = await rendered({
      ...behindProxy,
      metricsListen,
      serviceMonitor: { enabled: true, interval: '1m30s', labels: { release: 'prometheus' } },
    });
    const found = manifests.find(({ kind }) => kind === 'ServiceMonitor');
    expect(found?.metadata.labels).toMatchObject({ release: 'prometheus', 'app.kubernetes.io/name': 'strongroom' });
    expect(found?.spec).toEqual({
      selector: {
        matchLabels: { 'app.kubernetes.io/name': 'strongroom', 'app.kubernetes.io/instance': 'strongroom' },
      },
      endpoints: [{ port: 'metrics', path: '/metrics', interval: '1m30s' }],
    });
    // What it selects has that port.
    expect(manifests.find(({ kind }) => kind === 'Service')).toMatchObject({
      metadata: { labels: { 'app.kubernetes.io/name': 'strongroom' } },
      spec: { ports: [{ name: 'api' }, { name: 'metrics' }] },
    });
  });
});

function fileOf(manifests: readonly Manifest[]): unknown {
  return parse(manifests.find(({ kind }) => kind === 'ConfigMap')?.data?.['strongroom.yaml'] ?? '');
}

const accessKinds = new Set(['ServiceAccount', 'Role', 'RoleBinding', 'ClusterRole', 'ClusterRoleBinding']);

/** Accounts and roles of the server, without what Helm adds, and what says that the pod decides about the token. */
function accessOf(manifests: readonly Manifest[]): readonly object[] {
  return manifests
    .filter(({ kind, metadata }) => accessKinds.has(kind) && !metadata.name.includes('-runtime'))
    .map((manifest) => {
      const { name, namespace } = manifest.metadata;
      const place = namespace === undefined ? { name } : { name, namespace };
      return { ...manifest, metadata: place, automountServiceAccountToken: undefined };
    })
    .toSorted((one, other) => keyOf(one).localeCompare(keyOf(other)));
}

const keyOf = ({ kind, metadata }: Pick<Manifest, 'kind' | 'metadata'>): string => JSON.stringify([kind, metadata]);

describe('its roles are those of strongroom k8s rbac', () => {
  it.each([
    [
      'for the store',
      { stores: { default: 'kubernetes' }, kubernetes: { namespace: 'secrets' } },
      ['--secrets-namespace', 'secrets'],
    ],
    [
      'for the store that OpenMetadata’s block chooses',
      { secretsManagerConfiguration: { secretsManager: 'kubernetes' } },
      [],
    ],
    [
      'for one Secret a scope',
      { rbac: { secrets: true, domains: ['finance', 'sales'] }, kubernetes: { layout: 'scope-objects', name: 'data' } },
      ['--scope-objects', 'data', '--domain', 'finance', '--domain', 'sales'],
    ],
    ['for a legacy install', { secretStore: { type: 'kubernetes' } }, ['--scope-objects', 'iomete']],
    [
      'for the runner',
      { rbac: { runnerNamespaces: ['jobs', 'reports'] } },
      ['--runner', 'jobs', '--runner', 'reports'],
    ],
  ])('%s', async (_, values, args) => {
    const printed = JSON.parse(await line.must(['k8s', 'rbac', '--json', '--namespace', 'strongroom', ...args]));
    const expected = accessOf(printed);
    expect(expected.length).toBeGreaterThan(2);
    expect(accessOf(await rendered({ ...behindProxy, ...values }))).toEqual(expected);
  });

  it('and none where nothing needs one', async () => {
    expect(accessOf(await rendered(behindProxy))).toMatchObject([{ kind: 'ServiceAccount' }]);
    const values = { ...behindProxy, stores: { default: 'kubernetes' } };
    expect(accessOf(await rendered({ ...values, rbac: { create: false } }))).toMatchObject([
      { kind: 'ServiceAccount' },
    ]);
    expect(accessOf(await rendered({ ...values, serviceAccount: { create: false, name: 'theirs' } }))).toMatchObject([
      { kind: 'Role' },
      { kind: 'RoleBinding', subjects: [{ kind: 'ServiceAccount', name: 'theirs', namespace: 'strongroom' }] },
    ]);
  });

  it('and the one Secret that the legacy Vault’s token is in', async () => {
    const tokenSecret = { name: 'vault-token', key: 'token' };
    const vaultSettings = { endpoint: 'https://vault.vault.svc:8200', path: '/v1/secret/data/a', tokenSecret };
    const manifests = await rendered({ ...behindProxy, secretStore: { type: 'vault', vaultSettings } });
    expect(manifests.find(({ kind }) => kind === 'Role')?.rules).toEqual([
      { apiGroups: [''], resources: ['secrets'], resourceNames: ['vault-token'], verbs: ['get'] },
    ]);
  });

  it('and the reviews of tokens, for workload identity', async () => {
    const values = { ...behindProxy, clusters: { inCluster: true }, rbac: { workloadIdentity: true } };
    const bound = (await rendered(values)).filter(({ kind }) => kind === 'ClusterRoleBinding');
    expect(bound.map(({ roleRef }) => roleRef?.name).toSorted()).toEqual([
      'strongroom-cluster',
      'system:auth-delegator',
      'system:service-account-issuer-discovery',
    ]);
  });
});
