// @needs kubernetes
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Kubernetes, startKubernetes } from './kubernetes.ts';

let kubernetes: Kubernetes;
beforeAll(async () => {
  kubernetes = await startKubernetes();
});
afterAll(() => kubernetes.stop());

interface Reviewed {
  readonly status: {
    readonly authenticated?: boolean;
    readonly audiences?: readonly string[];
    readonly user?: { readonly username: string };
  };
}

async function review(token: string, audience: string): Promise<Reviewed['status']> {
  const { body } = await kubernetes.request<Reviewed>('POST', '/apis/authentication.k8s.io/v1/tokenreviews', {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenReview',
    spec: { token, audiences: [audience] },
  });
  return body.status;
}

it('is the version that is pinned', async () => {
  const { body } = await kubernetes.request<{ gitVersion: string }>('GET', '/version');
  expect(body.gitVersion).toBe('v1.34.4');
});

it('makes and shows a Secret through kubectl', async () => {
  const canary = randomUUID();
  await kubernetes.kubectl('create', 'secret', 'generic', 'db', `--from-literal=password=${canary}`);
  const shown = await kubernetes.kubectl('get', 'secret', 'db', '--output', 'jsonpath={.data.password}');
  expect(Buffer.from(shown, 'base64').toString('utf8')).toBe(canary);
  await expect(kubernetes.kubectl('get', 'secret', 'absent')).rejects.toThrow(/NotFound/);
});

it('applies a manifest', async () => {
  const metadata = { name: 'settings', namespace: 'default' };
  await kubernetes.apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { a: '1' } });
  const { body } = await kubernetes.request<{ data: unknown }>('GET', '/api/v1/namespaces/default/configmaps/settings');
  expect(body.data).toEqual({ a: '1' });
});

it('knows the token of a ServiceAccount for its audience alone', async () => {
  const token = await kubernetes.serviceAccountToken('jobs', 'runner', 'strongroom');
  expect(await review(token, 'strongroom')).toMatchObject({
    authenticated: true,
    audiences: ['strongroom'],
    user: { username: 'system:serviceaccount:jobs:runner' },
  });
  expect((await review(token, 'elsewhere')).authenticated ?? false).toBe(false);
});

it('lets a ServiceAccount do what a Role allows', async () => {
  const token = await kubernetes.serviceAccountToken('jobs', 'reader', 'https://kubernetes.default.svc');
  const path = '/api/v1/namespaces/jobs/secrets';
  expect((await kubernetes.request('GET', path, undefined, token)).status).toBe(403);
  await kubernetes.kubectl('create', 'role', 'reader', '--verb=list', '--resource=secrets', '--namespace=jobs');
  const binding = [
    'create',
    'rolebinding',
    'reader',
    '--role=reader',
    '--serviceaccount=jobs:reader',
    '--namespace=jobs',
  ];
  await kubernetes.kubectl(...binding);
  await expect
    .poll(async () => (await kubernetes.request('GET', path, undefined, token)).status, { timeout: 10_000 })
    .toBe(200);
});
