// @needs kubernetes
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Kubernetes, startKubernetes } from '../../../../servers/kubernetes.ts';
import {
  type Account,
  applyRbac,
  encode,
  LiveSecrets,
  LiveStores,
  text,
  write as writeOptions,
} from '../../testing/live-kubernetes.ts';
import type { Expectation } from '../backend.ts';
import { leakIn } from '../conformance/index.ts';
import { createEgress } from '../egress/index.ts';
import type { ManagedKubernetesSettings } from './index.ts';
import { scopeObjectName } from './names.ts';
import { detectNamespace } from './namespace.ts';
import { readSecretKey } from './read-key.ts';
import { OperatorConnection } from './operator-connection.ts';
import { SecretApi } from './secret-api.ts';
import { openTypedCluster, readTypedKubeconfig } from './typed-kubeconfig.ts';

const namespaces = { namespace: 'strongroom', secretsNamespace: 'strongroom-secrets' };
const namespace = namespaces.secretsNamespace;
const signal = AbortSignal.timeout(500_000);

let kubernetes: Kubernetes;
let server: Account;
let runtime: Account;
let secrets: LiveSecrets;
let stores: LiveStores;

beforeAll(async () => {
  kubernetes = await startKubernetes();
  ({ server, runtime } = await applyRbac(kubernetes, namespaces));
  secrets = new LiveSecrets(kubernetes, namespace);
  stores = new LiveStores(kubernetes, namespace);
});
afterAll(async () => {
  await stores.close();
  await kubernetes.stop();
});

const open = (settings: Partial<ManagedKubernetesSettings>, account = server) => stores.open(account, settings);
const write = (expectation?: Expectation) => writeOptions(signal, expectation);

describe('the printed roles', () => {
  const attempts = [
    ['get', 'GET', `/api/v1/namespaces/${namespace}/secrets/none`, undefined],
    ['create', 'POST', `/api/v1/namespaces/${namespace}/secrets?dryRun=All`, { metadata: { name: 'trial' } }],
    ['update', 'PUT', `/api/v1/namespaces/${namespace}/secrets/none`, { metadata: { name: 'none' } }],
    ['delete', 'DELETE', `/api/v1/namespaces/${namespace}/secrets/none`, undefined],
    ['list', 'GET', `/api/v1/namespaces/${namespace}/secrets`, undefined],
    ['watch', 'GET', `/api/v1/namespaces/${namespace}/secrets?watch=1&timeoutSeconds=1`, undefined],
    ['delete all', 'DELETE', `/api/v1/namespaces/${namespace}/secrets`, undefined],
    ['get elsewhere', 'GET', '/api/v1/namespaces/default/secrets/none', undefined],
    ['get in its own namespace', 'GET', `/api/v1/namespaces/${namespaces.namespace}/secrets/none`, undefined],
    ['config maps', 'GET', `/api/v1/namespaces/${namespace}/configmaps/none`, undefined],
    ['namespaces', 'GET', `/api/v1/namespaces/${namespace}`, undefined],
    ['roles', 'POST', `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/roles`, { metadata: { name: 'x' } }],
  ] as const;
  const allowedFor = async (token: string) => {
    const statuses = attempts.map(async ([what, method, path, body]) => {
      const { status } = await kubernetes.request(method, path, body, token);
      return [what, status] as const;
    });
    return (await Promise.all(statuses)).filter(([, status]) => status !== 403).map(([what]) => what);
  };

  it('allow the server to create, get, update and delete, and nothing else', async () => {
    expect(await allowedFor(server.token)).toEqual(['get', 'create', 'update', 'delete']);
  });

  it('allow a workload to get, and nothing else', async () => {
    expect(await allowedFor(runtime.token)).toEqual(['get']);
  });

  it('grant by the cluster’s own account no verb besides', async () => {
    const rulesOf = async (token: string) => {
      const review = { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectRulesReview', spec: { namespace } };
      const path = '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews';
      const { body } = await kubernetes.request<{
        status: { resourceRules: { verbs: string[]; apiGroups: string[]; resources: string[] }[] };
      }>('POST', path, review, token);
      return body.status.resourceRules
        .filter(({ resources }) => !resources.some((each) => each.startsWith('selfsubject')))
        .map(({ verbs, apiGroups, resources }) => [verbs, apiGroups, resources]);
    };
    expect(await rulesOf(server.token)).toEqual([[['create', 'get', 'update', 'delete'], [''], ['secrets']]]);
    expect(await rulesOf(runtime.token)).toEqual([[['get'], [''], ['secrets']]]);
  });

  it('let a workload read what the server wrote, and say what it may not do', async () => {
    const [writer, reader] = [await open({}), await open({}, runtime)];
    await writer.put('shared', text('for the workload'), write());
    expect((await reader.get('shared', { signal }))?.value.revealText()).toBe('for the workload');
    await expect(reader.put('shared', text('no'), write())).rejects.toMatchObject({ code: 'backend_denied' });
    const line = (await reader.check({ signal })).find(({ outcome }) => outcome === 'failed');
    expect(line).toMatchObject({ step: 'write', code: 'backend_denied' });
    expect(line?.message).toContain('create, update, delete');
  });
});

describe('the printed roles that name each Secret', () => {
  const finance = { kind: 'domain', name: 'finance' } as const;
  const sales = { kind: 'domain', name: 'sales' } as const;
  const iomete = { name: 'iomete', layout: 'scope-objects' } as const;
  const credentials = { ...iomete, purpose: 'vault-credentials' } as const;
  let named: { readonly server: Account; readonly runtime: Account };

  beforeAll(async () => {
    const server = (['secret-store', 'vault-credentials'] as const).flatMap((kind) =>
      ([{ kind: 'global' }, finance] as const).map((scope) => scopeObjectName('iomete', kind, scope)),
    );
    const runtime = [scopeObjectName('iomete', 'secret-store', finance)];
    const secretsNamespace = 'iomete';
    named = await applyRbac(kubernetes, {
      ...namespaces,
      secretsNamespace,
      name: 'named',
      secrets: { server, runtime },
    });
  });
  const at = { namespace: 'iomete' };

  it('are enough for secrets and for what integrations sign in with', async () => {
    for (const settings of [iomete, credentials]) {
      const store = await open({ ...settings, ...at, scope: finance }, named.server);
      await store.put('a.token.1.1', text('first'), write({ kind: 'absent' }));
      await store.put('a.token.1.2', text('second'), write({ kind: 'absent' }));
      expect((await store.get('a.token.1.2', { signal }))?.value.revealText()).toBe('second');
      await store.delete('a.token.1.1', { signal, expect: { kind: 'any' } });
      expect((await store.list({ signal, limit: 10 })).items).toEqual([{ key: 'a.token.1.2' }]);
      expect((await store.check({ signal })).filter(({ outcome }) => outcome !== 'ok')).toEqual([]);
    }
    const made = new LiveSecrets(kubernetes, 'iomete');
    expect((await made.get('iomete-vault-credentials-finance'))?.data).toEqual({ 'a.token.1.2': encode('second') });
  });

  it('have no verb that the layout does not use', async () => {
    const path = `/api/v1/namespaces/iomete/secrets/${scopeObjectName('iomete', 'secret-store', finance)}`;
    expect((await kubernetes.request('GET', path, undefined, named.server.token)).status).toBe(200);
    expect((await kubernetes.request('DELETE', path, undefined, named.server.token)).status).toBe(403);
    expect((await kubernetes.request('PATCH', path, {}, named.server.token)).status).toBe(403);
  });

  it('lead to no other domain, and workloads to no credential', async () => {
    const denied = { code: 'backend_denied' };
    const other = await open({ ...iomete, ...at, scope: sales }, named.server);
    await expect(other.get('a', { signal })).rejects.toMatchObject(denied);
    const reader = await open({ ...iomete, ...at, scope: finance }, named.runtime);
    expect((await reader.get('a.token.1.2', { signal }))?.value.revealText()).toBe('second');
    const line = (await reader.check({ signal })).find(({ outcome }) => outcome === 'failed');
    expect(line).toMatchObject({ step: 'write', code: 'backend_denied' });
    expect(line?.message).toContain('iomete: create, update.');
    for (const settings of [
      { ...credentials, scope: finance },
      { ...iomete, scope: sales },
      { ...iomete, scope: { kind: 'global' } as const },
    ])
      await expect((await open({ ...settings, ...at }, named.runtime)).get('a', { signal })).rejects.toMatchObject(
        denied,
      );
  });

  it('has an object of an install before ours adopted by a command of its own', async () => {
    const made = new LiveSecrets(kubernetes, 'iomete');
    await made.create({ metadata: { name: 'iomete-vault-credentials' }, data: { theirs: encode('kept') } });
    const store = await open({ ...credentials, ...at }, named.server);
    await expect(store.put('ours', text('x'), write())).rejects.toMatchObject({
      code: 'state_conflict',
      hint: 'To have it written: strongroom store adopt --global --credentials',
    });
    await store.adopt([], { signal, isTrial: false });
    await store.put('ours', text('x'), write());
    expect((await made.get('iomete-vault-credentials'))?.data).toEqual({ theirs: encode('kept'), ours: encode('x') });
  });
});

describe('signing in', () => {
  const canary = `canary${randomUUID()}`;
  const kubeconfig = (name: string, config: object | string): string => {
    const path = join(dirname(kubernetes.kubeconfigPath), name);
    writeFileSync(path, typeof config === 'string' ? config : JSON.stringify(config), { mode: 0o600 });
    return path;
  };
  const configOf = (cluster: object, user: object) => ({
    clusters: [{ name: 'c', cluster }],
    users: [{ name: 'u', user }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  });
  const authority = () => ({
    'certificate-authority-data': Buffer.from(kubernetes.caCertificate).toString('base64'),
  });

  it('fails at the step that it is about, and repeats nothing of the kubeconfig', async () => {
    const { url } = kubernetes;
    const failures = [
      ['address', 'validation_failed', '/absent/kubeconfig'],
      ['address', 'validation_failed', kubeconfig('broken', `users: [${canary}`)],
      [
        'address',
        'validation_failed',
        kubeconfig('plain', configOf({ server: 'http://cluster.example.com' }, { token: canary })),
      ],
      [
        'address',
        'validation_failed',
        kubeconfig('proxy', configOf({ server: url, 'proxy-url': 'http://127.0.0.1:1' }, { token: canary })),
      ],
      [
        'address',
        'backend_denied',
        kubeconfig(
          'exec',
          configOf(
            { server: url, ...authority() },
            { exec: { apiVersion: 'client.authentication.k8s.io/v1', command: 'false', args: [canary] } },
          ),
        ),
      ],
      [
        'reachable',
        'backend_unavailable',
        kubeconfig('closed', configOf({ server: 'https://127.0.0.1:1', ...authority() }, { token: canary })),
      ],
      ['tls', 'backend_unavailable', kubeconfig('stranger', configOf({ server: url }, { token: canary }))],
      ['login', 'backend_denied', kubeconfig('unknown', configOf({ server: url, ...authority() }, { token: canary }))],
    ] as const;
    for (const [step, code, kubeconfigPath] of failures) {
      const backend = await open({ kubeconfigPath });
      const lines = await backend.check({ signal });
      expect(lines.find(({ outcome }) => outcome === 'failed')).toMatchObject({ step, code });
      const error: unknown = await backend.get('x', { signal }).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code });
      expect(leakIn(error, [canary])).toBeNull();
      expect(JSON.stringify(lines)).not.toContain(canary);
    }
  });

  it('works through the egress guard for a kubeconfig that a user typed', async () => {
    const typed = configOf({ server: kubernetes.url, ...authority() }, { token: server.token });
    const egress = createEgress({ allow: [], allowLoopback: true });
    const connection = openTypedCluster(readTypedKubeconfig(JSON.stringify(typed)), egress);
    stores.keep(connection);
    stores.keep(egress);
    const api = new SecretApi(connection, namespace);
    await secrets.create({ metadata: { name: 'typed' }, data: { a: encode('1') } });
    expect((await api.get('typed', signal))?.data).toEqual({ a: encode('1') });
    expect(await api.get('absent', signal)).toBeNull();
  });

  it('works as the ServiceAccount of a pod', async () => {
    const root = mkdtempSync(join(dirname(kubernetes.kubeconfigPath), 'pod-'));
    const folder = join(root, 'var/run/secrets/kubernetes.io/serviceaccount');
    mkdirSync(folder, { recursive: true });
    const files = { token: `${server.token}\n`, 'ca.crt': kubernetes.caCertificate, namespace };
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content, { mode: 0o600 });
    const { hostname, port } = new URL(kubernetes.url);
    vi.stubEnv('KUBERNETES_SERVICE_HOST', hostname);
    vi.stubEnv('KUBERNETES_SERVICE_PORT', port);
    const connection = new OperatorConnection({ inCluster: true, kubeconfigPath: '' }, Date.now, root);
    stores.keep(connection);
    await secrets.create({ metadata: { name: 'in-cluster' }, data: { a: encode('1') } });
    const api = new SecretApi(connection, await detectNamespace(join(folder, 'namespace')));
    expect((await api.get('in-cluster', signal))?.data).toEqual({ a: encode('1') });
    vi.unstubAllEnvs();
  });

  it('gives the server one key of a Secret that the operator named, and says what is not there', async () => {
    await secrets.create({ metadata: { name: 'vault-token' }, data: { token: encode('hvs.token') } });
    const access = { namespace, kubeconfigPath: server.kubeconfig(kubernetes.url) };
    const read = (name: string, key: string) => readSecretKey(access, { name, key }, Date.now, signal);
    expect((await read('vault-token', 'token')).revealText()).toBe('hvs.token');
    await expect(read('vault-token', 'none')).rejects.toMatchObject({
      code: 'key_unavailable',
      detail: `The namespace ${namespace} has no Secret vault-token with the key none.`,
    });
    await expect(read('none', 'token')).rejects.toMatchObject({ code: 'key_unavailable' });
  });

  it('says so where there is no pod', async () => {
    const connection = new OperatorConnection({ inCluster: true, kubeconfigPath: '' }, Date.now, '/absent');
    await expect(new SecretApi(connection, namespace).get('x', signal)).rejects.toMatchObject({
      code: 'validation_failed',
    });
  });
});
