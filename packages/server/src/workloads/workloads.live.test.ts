// @needs kubernetes
import { execFile } from 'node:child_process';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { decodeJwt, decodeProtectedHeader, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Kubernetes, startKubernetes } from '../../../../servers/kubernetes.ts';
import { codeOf, type TestServer } from '../../testing/app.ts';
import type { Canaries } from '../../testing/canaries.ts';
import { registeredCluster } from '../../testing/live-registered-cluster.ts';
import { strongroomProgram } from '../../testing/programs.ts';
import { freshName } from '../../testing/samples.ts';

let kubernetes: Kubernetes;
let test: TestServer;
let canaries: Canaries;
let audience: string;
const namespace = 'jobs';

beforeAll(async () => {
  kubernetes = await startKubernetes();
  await kubernetes.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  ({ test, canaries, audience } = await registeredCluster(kubernetes, namespace, serverToken));
});
afterAll(async () => {
  await test.close();
  await kubernetes.stop();
});

/** The roles of docs/guides/workload-identity.md, and nothing else. */
async function serverToken(): Promise<string> {
  const token = await kubernetes.serviceAccountToken('strongroom', 'server', 'https://kubernetes.default.svc');
  const group = 'rbac.authorization.k8s.io';
  const subjects = [{ kind: 'ServiceAccount', name: 'server', namespace: 'strongroom' }];
  const roles = ['strongroom-cluster', 'system:auth-delegator', 'system:service-account-issuer-discovery'];
  await kubernetes.apply({
    apiVersion: `${group}/v1`,
    kind: 'ClusterRole',
    metadata: { name: 'strongroom-cluster' },
    rules: [{ apiGroups: [''], resources: ['namespaces'], resourceNames: ['kube-system'], verbs: ['get'] }],
  });
  for (const name of roles)
    await kubernetes.apply({
      apiVersion: `${group}/v1`,
      kind: 'ClusterRoleBinding',
      metadata: { name: `strongroom-${name.replaceAll(':', '-')}` },
      subjects,
      roleRef: { apiGroup: group, kind: 'ClusterRole', name },
    });
  return token;
}

interface Running {
  readonly serviceAccount: string;
  readonly uid: string;
  readonly pod: string;
}

const path = (kind: string, name = '', of = namespace): string =>
  `/api/v1/namespaces/${of}/${kind}${name === '' ? '' : `/${name}`}`;

async function create(kind: string, object: object): Promise<string> {
  const { status, body } = await kubernetes.request<{ metadata: { uid: string } }>('POST', path(kind), object);
  expect(status).toBe(201);
  return body.metadata.uid;
}

async function startPod(serviceAccount: string = freshName()): Promise<Running> {
  const pod = freshName();
  const uid = await create('serviceaccounts', { metadata: { name: serviceAccount } });
  await createPod(pod, serviceAccount);
  return { serviceAccount, uid, pod };
}

async function createPod(name: string, serviceAccountName: string): Promise<void> {
  const containers = [{ name: 'main', image: 'none' }];
  await create('pods', { metadata: { name }, spec: { serviceAccountName, containers } });
}

/** As the kubelet asks for it, for a projected volume. */
async function projected({ serviceAccount, pod }: Running, audiences: readonly string[] = [audience]): Promise<string> {
  const { body: found } = await kubernetes.request<{ metadata: { uid: string } }>('GET', path('pods', pod));
  const boundObjectRef = { kind: 'Pod', apiVersion: 'v1', name: pod, uid: found.metadata.uid };
  return ask(serviceAccount, { audiences, boundObjectRef });
}

async function ask(serviceAccount: string, spec: object): Promise<string> {
  const { status, body } = await kubernetes.request<{ status: { token: string } }>(
    'POST',
    `${path('serviceaccounts', serviceAccount)}/token`,
    { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 3600, ...spec } },
  );
  expect(status).toBe(201);
  const { token } = body.status;
  canaries.add(`token ${createHash('sha256').update(token).digest('hex')}`, token);
  return token;
}

async function bind({ serviceAccount, uid }: Pick<Running, 'serviceAccount' | 'uid'>): Promise<string> {
  const account = await test.createServiceAccount('finance', freshName(), { preset: 'MEMBER', grants: ['RESOLVE'] });
  await test.call('POST', `/v1/domains/finance/service-accounts/${account.id}/workloads`, {
    body: { cluster: 'prod', namespace, serviceAccount, uid },
  });
  return account.id;
}

const statusOf = async (token: string): Promise<number> => (await test.request('GET', '/v1/auth/me', { token })).status;

describe('a pod’s token, checked by the API server', () => {
  it('acts as the service account its ServiceAccount is bound to', async () => {
    const pod = await startPod();
    const account = await bind(pod);
    const me = await test.call<{ principal: { id: string } }>('GET', '/v1/auth/me', { token: await projected(pod) });
    expect(me.principal.id).toBe(account);
    expect(await test.call('POST', '/v1/clusters/prod/test')).toMatchObject({ ok: true });
    const { body } = await kubernetes.request<{ metadata: { uid: string } }>('GET', '/api/v1/namespaces/kube-system');
    const registered = { issuer: 'https://kubernetes.default.svc', uid: body.metadata.uid };
    expect(await test.call('GET', '/v1/clusters/prod')).toMatchObject(registered);
  });

  it('gives values to strongroom run and to the reader for Node, by the file that the pod has it in', async () => {
    const pod = await startPod();
    await bind(pod);
    const value = canaries.plain('delivered to a pod');
    const digest = createHash('sha256').update(value).digest('hex');
    await test.call('POST', '/v1/domains/finance/secrets', { body: { key: 'in-a-pod', value } });
    const home = mkdtempSync(join(tmpdir(), 'strongroom-pod-'));
    const file = join(home, 'token');
    const env = { PATH: process.env['PATH'], HOME: home, STRONGROOM_URL: test.url, STRONGROOM_TOKEN_FILE: file };
    const start = async (...program: readonly string[]): Promise<string[]> => {
      const { stdout } = await promisify(execFile)(process.execPath, program, { env, cwd: import.meta.dirname });
      return stdout.split('\n');
    };
    try {
      writeFileSync(file, await projected(pod), { mode: 0o600 });
      const reference = 'secret://domain/managed/in-a-pod';
      const started = 'printf %s "$PHRASE" | sha256sum; echo "it is $PHRASE, $STRONGROOM_TOKEN_FILE"';
      const run = ['run', '--domain', 'finance', '--env', `PHRASE=${reference}`, '--', 'sh', '-c', started];
      expect(await start(strongroomProgram(), ...run)).toEqual([
        expect.stringContaining(digest),
        'it is [redacted:PHRASE], ',
        '',
      ]);
      const reading = `
        import { createHash } from 'node:crypto';
        import { readSecrets } from '@strongroom/sdk/reader';
        await using secrets = await readSecrets({ phrase: '${reference}' }, { domain: 'finance' });
        console.log(createHash('sha256').update(secrets.get('phrase')).digest('hex'));`;
      expect(await start('--input-type=module', '--eval', reading)).toEqual([digest, '']);
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  });

  it('is refused for another audience, without a pod, and when the API server did not sign it', async () => {
    const pod = await startPod();
    await bind(pod);
    const good = await projected(pod);
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const { alg, kid } = decodeProtectedHeader(good);
    const header = { alg: String(alg), ...(kid === undefined ? {} : { kid }) };
    const [head, , signature] = good.split('.');
    const later = Buffer.from(JSON.stringify({ ...decodeJwt(good), exp: Math.floor(Date.now() / 1000) + 99_999 }));
    const bad = {
      'another audience': await projected(pod, ['https://kubernetes.default.svc']),
      'the cluster’s other audience': await projected(pod, ['strongroom']),
      'several audiences': await projected(pod, [audience, 'https://kubernetes.default.svc']),
      'no pod': await ask(pod.serviceAccount, { audiences: [audience] }),
      'another cluster’s key': await new SignJWT(decodeJwt(good)).setProtectedHeader(header).sign(privateKey),
      'changed claims': `${head}.${later.toString('base64url')}.${signature}`,
    };
    const answers = await Promise.all(
      Object.entries(bad).map(async ([name, token]) => [name, await statusOf(token)] as const),
    );
    expect(Object.fromEntries(answers)).toEqual(Object.fromEntries(Object.keys(bad).map((name) => [name, 401])));
    expect(await statusOf(good)).toBe(200);
  });

  it('is refused once its pod is gone, also when another pod has its name', async () => {
    const pod = await startPod();
    await bind(pod);
    const token = await projected(pod);
    await kubernetes.request('DELETE', `${path('pods', pod.pod)}?gracePeriodSeconds=0`);
    expect(await statusOf(token)).toBe(401);
    await createPod(pod.pod, pod.serviceAccount);
    expect(await statusOf(token)).toBe(401);
    expect(await statusOf(await projected(pod))).toBe(200);
  });

  it('is refused once its ServiceAccount is gone; one of the same name has to be bound anew', async () => {
    const pod = await startPod();
    await bind(pod);
    const token = await projected(pod);
    await kubernetes.request('DELETE', path('serviceaccounts', pod.serviceAccount));
    const again = await startPod(pod.serviceAccount);
    expect(again.uid).not.toBe(pod.uid);
    expect(await statusOf(token)).toBe(401);
    const renewed = await projected(again);
    expect(await statusOf(renewed)).toBe(401);
    await bind(again);
    expect(await statusOf(renewed)).toBe(200);
  });

  it('is refused when nobody bound its ServiceAccount', async () => {
    expect(await statusOf(await projected(await startPod()))).toBe(401);
  });

  it('leaves no token anywhere', async () => {
    await expect(test.assertNoLeak()).resolves.toBeUndefined();
  });
});

describe('a cluster that does not let us have tokens checked', () => {
  it('is an outage to the workload, and told to the administrator', async () => {
    const pod = await startPod();
    await bind(pod);
    const token = await projected(pod);
    const binding = '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/strongroom-system-auth-delegator';
    await kubernetes.request('DELETE', binding);
    await expect
      .poll(async () => codeOf(await test.request('GET', '/v1/auth/me', { token })))
      .toBe('backend_unavailable');
    const { lines } = await test.call<{ lines: { step: string; outcome: string }[] }>('POST', '/v1/clusters/prod/test');
    expect(lines.at(-1)).toMatchObject({ step: 'token-review', outcome: 'failed', code: 'backend_denied' });
  });
});
