// @needs kubernetes kwok
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Kubernetes, startKubernetes } from '../../../../../servers/kubernetes.ts';
import { type KwokNode, startKwok } from '../../../../../servers/kwok.ts';
import { startTestServer, type TestServer } from '../../../testing/app.ts';
import { Canaries } from '../../../testing/canaries.ts';

let kubernetes: Kubernetes;
let node: KwokNode;
let test: TestServer;
let canaries: Canaries;
let value: string;
const namespace = 'jobs';

beforeAll(async () => {
  kubernetes = await startKubernetes();
  node = await startKwok(kubernetes);
  await kubernetes.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  canaries = new Canaries();
  test = await startTestServer({}, { canaries });
  await test.createDomain('finance');
  await test.call('POST', '/v1/admin/secrets', { body: { key: 'cluster', value: kubernetes.adminToken } });
  const access = {
    kind: 'token',
    address: kubernetes.url,
    caCertificate: kubernetes.caCertificate,
    secret: 'secret://admin/managed/cluster',
  };
  await test.call('POST', '/v1/clusters', { body: { name: 'prod', access } });
  await test.call('PUT', `/v1/clusters/prod/targets/${namespace}`, { body: { domain: 'finance' } });
  value = canaries.text('password');
  await test.call('POST', '/v1/domains/finance/secrets', { body: { key: 'db-password', value } });
});
afterAll(async () => {
  await test.close();
  await node.stop();
  await kubernetes.stop();
});

interface Run {
  readonly state: string;
  readonly exitCode?: number;
  readonly failure?: { readonly code: string; readonly detail: string };
}

const environment = [{ name: 'PGPASSWORD', secret: 'secret://domain/managed/db-password' }];
const base = '/v1/domains/finance';

async function start(name: string, job: object): Promise<string> {
  const body = { name, command: ['run'], image: 'registry.example/job:1', runner: 'kubernetes', environment, ...job };
  await test.call('POST', `${base}/spark-jobs`, { body });
  const { id } = await test.call<{ id: string }>('POST', `${base}/spark-jobs/${name}/runs`);
  return id;
}

const runOf = (id: string): Promise<Run> => test.call<Run>('GET', `${base}/runs/${id}`);
const objectOf = async (plural: string, id: string, group = 'api/v1') =>
  kubernetes.request<Record<string, unknown> & { readonly status?: { readonly phase?: string } }>(
    'GET',
    `/${group}/namespaces/${namespace}/${plural}/strongroom-${id.replace('_', '-')}`,
  );

async function isEnded(id: string, state: string): Promise<Run> {
  await expect.poll(async () => (await runOf(id)).state).toBe(state);
  return runOf(id);
}

describe('a pod', () => {
  it('gets its values from a Secret of its own, and both go when it has ended', async () => {
    const id = await start('pod', { kubernetes: { form: 'pod' } });
    await expect.poll(async () => (await objectOf('pods', id)).body.status?.phase).toBe('Running');
    const { body: secret } = await objectOf('secrets', id);
    expect(secret).toMatchObject({ immutable: true, metadata: { ownerReferences: [{ kind: 'Pod' }] } });
    expect(Object.values(secret['data'] as object)).toContain(Buffer.from(value).toString('base64'));
    expect((await runOf(id)).state).toBe('running');
    await node.end(namespace, `strongroom-${id.replace('_', '-')}`, 0);
    expect(await isEnded(id, 'succeeded')).toMatchObject({ exitCode: 0 });
    await expect.poll(async () => (await objectOf('pods', id)).status).toBe(404);
    await expect.poll(async () => (await objectOf('secrets', id)).status).toBe(404);
  });
});
