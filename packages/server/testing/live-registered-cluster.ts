import type { Kubernetes } from '../../../servers/kubernetes.ts';
import { startTestServer, type TestServer } from './app.ts';
import { Canaries } from './canaries.ts';

export interface RegisteredCluster {
  readonly test: TestServer;
  readonly canaries: Canaries;
  /** What tokens of pods are to be for. */
  readonly audience: string;
}

/**
 * A server that knows a real API server as `prod`, whose namespace is the domain `finance`’s. It signs in with a token that is a
 * canary.
 * @param grant gives the server what the test is about, and its token
 */
export async function registeredCluster(
  kubernetes: Kubernetes,
  namespace: string,
  grant: () => Promise<string>,
): Promise<RegisteredCluster> {
  const canaries = new Canaries();
  const test = await startTestServer({}, { canaries });
  await test.createDomain('finance');
  const token = await grant();
  canaries.add('token of the server', token);
  await test.call('POST', '/v1/admin/secrets', { body: { key: 'cluster', value: token } });
  const access = {
    kind: 'token',
    address: kubernetes.url,
    caCertificate: kubernetes.caCertificate,
    secret: 'secret://admin/managed/cluster',
  };
  const { audience } = await test.call<{ audience: string }>('POST', '/v1/clusters', {
    body: { name: 'prod', access },
  });
  await test.call('PUT', `/v1/clusters/prod/targets/${namespace}`, { body: { domain: 'finance' } });
  return { test, canaries, audience };
}
