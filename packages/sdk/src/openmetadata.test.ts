import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadSettings, openSecretReader } from './openmetadata.ts';

const folder = mkdtempSync(join(tmpdir(), 'strongroom-runtime-'));
let server: Server;
const asked: string[] = [];
const answers: Readonly<Record<string, readonly [status: number, body: string]>> = {
  good: [200, JSON.stringify({ data: { value: Buffer.from('pässword').toString('base64') } })],
  empty: [200, JSON.stringify({ data: null })],
  other: [200, JSON.stringify({ data: { password: 'eA==' } })],
  binary: [200, JSON.stringify({ data: { value: '/w==' } })],
  broken: [200, '{'],
  denied: [403, '{}'],
  failing: [500, '{}'],
};

beforeAll(async () => {
  server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    const [status, body] = answers[request.url?.split('/').at(-1) ?? ''] ?? [404, '{}'];
    response.writeHead(status).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster: { server: `http://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'u', user: { token: 't' } }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  };
  writeFileSync(join(folder, 'kubeconfig'), JSON.stringify(config));
  writeFileSync(join(folder, 'namespace'), 'of-the-pod\n');
  const section = '[core]\nkubernetes_namespace = wrong\n[openmetadata_secrets_manager]\nkubernetes_namespace = ours\n';
  writeFileSync(join(folder, 'airflow.cfg'), `${section}kubernetes_kubeconfig_path =\nkubernetes_in_cluster = True\n`);
});
afterAll(async () => {
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true });
});

describe('loaders', () => {
  it('env reads its variables; the namespace is the pod’s when none is said', async () => {
    const environment = { KUBERNETES_IN_CLUSTER: 'true', KUBERNETES_KUBECONFIG_PATH: '' };
    expect(await loadSettings('env', { environment, serviceAccountPath: folder })).toEqual({
      namespace: 'of-the-pod',
      inCluster: true,
      kubeconfigPath: '',
    });
    const nowhere = join(folder, 'nowhere');
    expect(await loadSettings('env', { environment: {}, serviceAccountPath: nowhere })).toMatchObject({
      namespace: 'default',
      inCluster: false,
    });
  });

  it('airflow reads its section of the file, and variables before it', async () => {
    const file = { AIRFLOW_HOME: folder };
    expect(await loadSettings('airflow', { environment: file })).toEqual({
      namespace: 'ours',
      inCluster: true,
      kubeconfigPath: '',
    });
    const environment = { ...file, AIRFLOW__OPENMETADATA_SECRETS_MANAGER__KUBERNETES_NAMESPACE: 'theirs' };
    expect(await loadSettings('airflow', { environment })).toMatchObject({ namespace: 'theirs', inCluster: true });
  });

  it('noop says that it can not read Kubernetes', async () => {
    await expect(loadSettings('noop', { environment: {} })).rejects.toMatchObject({ code: 'not_supported' });
  });

  it.each([{ KUBERNETES_IN_CLUSTER: 'yes' }, { KUBERNETES_NAMESPACE: '../x' }])('refuse %j', async (environment) => {
    await expect(loadSettings('env', { environment })).rejects.toMatchObject({ code: 'validation_failed' });
  });
});

describe('the reader', () => {
  const reader = () =>
    openSecretReader({ namespace: 'ours', inCluster: false, kubeconfigPath: join(folder, 'kubeconfig') });

  it('gets the value of one Secret, and does nothing else', async () => {
    asked.length = 0;
    expect(await reader().get('secret:good')).toBe('pässword');
    expect(asked).toEqual(['GET /api/v1/namespaces/ours/secrets/good']);
  });

  it.each([
    ['absent', 'not_found'],
    ['denied', 'backend_denied'],
    ['failing', 'backend_unavailable'],
    ['empty', 'backend_malformed'],
    ['other', 'backend_malformed'],
    ['binary', 'backend_malformed'],
    ['broken', 'backend_malformed'],
    ['../x', 'validation_failed'],
  ])('tells %s as %s', async (name, code) => {
    await expect(reader().get(name)).rejects.toMatchObject({ code });
  });

  it('tells a cluster that is not reached, and a file that is not there', async () => {
    const settings = { namespace: 'ours', inCluster: false, kubeconfigPath: join(folder, 'nowhere') };
    await expect(openSecretReader(settings).get('x')).rejects.toMatchObject({ code: 'validation_failed' });
  });
});
