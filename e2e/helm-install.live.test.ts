// @needs helm kubernetes
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createToken } from '@strongroom/crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loopbackCertificate } from '../packages/server/testing/certificate.ts';
import { postgresUnavailable, type PostgresServer, startPostgres } from '../packages/server/testing/postgres.ts';
import { freePort } from '../servers/free-port.ts';
import { type Helm, openHelm } from '../servers/helm.ts';
import { httpRequest } from '../servers/http-request.ts';
import { type Kubernetes, startKubernetes } from '../servers/kubernetes.ts';
import { behindProxy, chart, type Manifest, manifestsOf, onPostgres, type PodSpec } from './helm-values.ts';
import { type PodProcess, startPod } from './pod-process.ts';

const namespace = 'strongroom';
const secretsNamespace = 'strongroom-secrets';
const root = mkdtempSync(join(tmpdir(), 'strongroom-pod-'));
const { key: tlsKey, certificate } = loopbackCertificate();
const token = createToken('srt_');
const kekBytes = randomBytes(32).toString('base64url');
const canary = `canary-${randomBytes(12).toString('hex')}`;
const bootstrapTokenFile = { secretName: 'strongroom-bootstrap', key: 'token' };
const values = {
  tlsCertFile: { secretName: 'strongroom-tls', key: 'tls.crt' },
  tlsKeyFile: { secretName: 'strongroom-tls', key: 'tls.key' },
  kekFile: { secretName: 'strongroom-kek', key: 'kek' },
  bootstrapTokenFile,
  stores: { domains: 'kubernetes' },
  kubernetes: {
    // Nothing runs in a pod here: from outside the server signs in as the chart's ServiceAccount all the same.
    inCluster: false,
    kubeconfigPath: { secretName: 'strongroom-kubeconfig', key: 'config' },
    namespace: secretsNamespace,
  },
};

let helm: Helm;
let kubernetes: Kubernetes;
let postgres: PostgresServer | undefined;
let pod: PodProcess | undefined;

beforeAll(async () => {
  kubernetes = await startKubernetes();
  helm = await openHelm(kubernetes.kubeconfigPath);
  const restricted = { 'pod-security.kubernetes.io/enforce': 'restricted' };
  for (const [name, labels] of Object.entries({ [namespace]: restricted, [secretsNamespace]: {} }))
    await kubernetes.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });
  await putSecret('strongroom-tls', { 'tls.crt': certificate, 'tls.key': tlsKey });
  await putSecret('strongroom-kek', { kek: `strongroom-kek-v1:${kekBytes}` });
  await putSecret('strongroom-bootstrap', { token });
});
afterAll(async () => {
  await pod?.process.stop();
  helm.close();
  await Promise.all([postgres?.stop(), kubernetes.stop()]);
  rmSync(root, { recursive: true, force: true });
});

function putSecret(name: string, stringData: Readonly<Record<string, string>>): Promise<void> {
  return kubernetes.apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, stringData });
}

/** JSON is YAML. */
function release(verb: 'install' | 'upgrade', name: string, given: object): Promise<string> {
  return helm.must([verb, name, chart, '--namespace', namespace, '--values', '-'], JSON.stringify(given));
}

/** The pod that a workload in the cluster asks for. */
async function podOf(workload: string): Promise<PodSpec> {
  const path = `/apis/apps/v1/namespaces/${namespace}/${workload}`;
  const { status, body } = await kubernetes.request<Required<Manifest>>('GET', path);
  expect(status).toBe(200);
  return body.spec.template.spec;
}

function call(method: string, path: string, body?: unknown, host = '127.0.0.1') {
  return httpRequest<Record<string, unknown>>(`${pod?.url}${path}`, {
    method,
    body,
    caCertificate: certificate,
    headers: { authorization: `Bearer ${token}`, host },
  });
}

/** For the ServiceAccount that the chart made, with the rights that the chart gave it. */
async function kubeconfigOfChart(): Promise<string> {
  const name = 'strongroom';
  const bearer = await kubernetes.serviceAccountToken(namespace, 'strongroom-server', 'https://kubernetes.default.svc');
  const authority = Buffer.from(kubernetes.caCertificate).toString('base64');
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server: kubernetes.url, 'certificate-authority-data': authority } }],
    users: [{ name, user: { token: bearer } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  });
}

it('is run with what it renders: the feature is off, and the API says that the configuration has turned it off', async () => {
  const given = { ...values, listen: `0.0.0.0:${await freePort()}`, features: { secretsV2: { enabled: false } } };
  expect(await release('install', 'strongroom', given)).toContain('service-account:bootstrap');
  await putSecret('strongroom-kubeconfig', { config: await kubeconfigOfChart() });
  pod = await startPod(kubernetes, namespace, await podOf('statefulsets/strongroom'), root, certificate);
  expect((await call('GET', '/healthz')).status).toBe(200);
  expect((await call('GET', '/v1/settings')).body).toMatchObject({
    features: { secretsV2: { enabled: false, setBy: 'configuration' } },
  });
  expect((await call('GET', '/v1/admin/secrets')).body).toMatchObject({ code: 'feature_disabled' });
  expect((await call('GET', '/v1/global/secrets')).status).toBe(200);
  await pod.process.stop();
});

it('is upgraded: the feature is on, and a domain’s secret is where the settings of the store say', async () => {
  const given = {
    ...values,
    listen: `0.0.0.0:${await freePort()}`,
    features: { secretsV2: { enabled: true } },
    networkPolicy: { enabled: true, from: [{ podSelector: {} }] },
  };
  await release('upgrade', 'strongroom', given);
  const policy = `/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies/strongroom`;
  expect((await kubernetes.request('GET', policy)).body).toMatchObject({
    spec: { ingress: [{ ports: [{ port: 'api' }], from: [{ podSelector: {} }] }], policyTypes: ['Ingress'] },
  });
  pod = await startPod(kubernetes, namespace, await podOf('statefulsets/strongroom'), root, certificate);
  expect((await call('GET', '/v1/settings')).body).toMatchObject({
    features: { secretsV2: { enabled: true, setBy: 'configuration' } },
  });
  const change = { features: { secretsV2: { enabled: false } } };
  expect((await call('PATCH', '/v1/settings', change)).body).toMatchObject({ code: 'state_conflict' });
  expect((await call('POST', '/v1/domains', { name: 'finance' })).status).toBe(201);
  const made = await call('POST', '/v1/domains/finance/secrets', { key: 'db-password', value: canary });
  expect(made.body).toMatchObject({ key: 'db-password' });
  const { body } = await kubernetes.request<{ items: readonly { data: Readonly<Record<string, string>> }[] }>(
    'GET',
    `/api/v1/namespaces/${secretsNamespace}/secrets`,
  );
  expect(body.items.map(({ data }) => data)).toEqual([{ value: Buffer.from(canary).toString('base64') }]);
});

it('keeps no secret in the release', async () => {
  const stored = await helm.must(['get', 'all', 'strongroom', '--namespace', namespace]);
  const lineOfKey = tlsKey.split('\n')[1] ?? '';
  expect(lineOfKey).toHaveLength(64);
  for (const secret of [token, kekBytes, canary, lineOfKey]) expect(stored).not.toContain(secret);
  expect(stored).toContain('strongroom-kek');
});

it.each([
  ['the embedded store', behindProxy, [{ name: 'data', persistentVolumeClaim: { claimName: 'data-strongroom-0' } }]],
  ['PostgreSQL', onPostgres, []],
])('has pods that Pod Security’s level restricted lets in: %s', async (_, given, claims) => {
  const text = await helm.must(['template', 'strongroom', chart, '--values', '-'], JSON.stringify(given));
  const workload = manifestsOf(text).find(({ kind }) => kind === 'StatefulSet' || kind === 'Deployment');
  const spec = workload?.spec?.template.spec;
  const create = (changed: object) =>
    kubernetes.request<{ readonly message?: string }>('POST', `/api/v1/namespaces/${namespace}/pods?dryRun=All`, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { generateName: 'strongroom-' },
      spec: { ...spec, volumes: [...(spec?.volumes ?? []), ...claims], ...changed },
    });
  expect(await create({})).toMatchObject({ status: 201 });
  expect((await create({ hostNetwork: true })).body.message).toContain('violates PodSecurity "restricted');
});

const missing = postgresUnavailable();

it.skipIf(missing !== undefined)(
  `answers to the names of its Service, and has nothing in a pod that must survive it, over PostgreSQL${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  async () => {
    await pod?.process.stop();
    postgres = await startPostgres();
    await putSecret('strongroom-database', { url: await postgres.createDatabase('code-point') });
    const listen = `0.0.0.0:${await freePort()}`;
    await release('install', 'prod', { ...onPostgres, bootstrapTokenFile, listen });
    const spec = await podOf('deployments/prod-strongroom');
    pod = await startPod(kubernetes, namespace, spec, join(root, 'one'));
    for (const host of ['prod-strongroom', 'prod-strongroom.strongroom.svc:8480'])
      expect((await call('GET', '/v1/settings', undefined, host)).status).toBe(200);
    expect((await call('GET', '/v1/settings', undefined, 'other.example.org')).status).toBe(421);
    expect((await call('POST', '/v1/global/secrets', { key: 'kept', value: canary })).status).toBe(201);
    await pod.process.stop();
    pod = await startPod(kubernetes, namespace, spec, join(root, 'two'));
    expect((await call('GET', '/v1/global/secrets')).body).toMatchObject({ items: [{ key: 'kept' }] });
    // The anchor of the audit log is on the standard output, for the cluster to collect.
    expect(pod.process.output).toMatch(/^\{"type":"strongroom.audit.anchor"/m);
  },
);
