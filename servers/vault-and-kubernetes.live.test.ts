// @needs vault kubernetes
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Kubernetes, startKubernetes } from './kubernetes.ts';
import type { Vault } from './vault-server.ts';
import { startVault } from './vault.ts';

let vault: Vault;
let kubernetes: Kubernetes;
beforeAll(async () => {
  [vault, kubernetes] = await Promise.all([startVault(), startKubernetes()]);
});
afterAll(() => Promise.all([vault.stop(), kubernetes.stop()]));

it('logs a ServiceAccount in to Vault, which asks Kubernetes whose token that is', async () => {
  await vault.request('POST', 'sys/auth/kubernetes', { type: 'kubernetes' });
  const config = {
    kubernetes_host: kubernetes.url,
    kubernetes_ca_cert: kubernetes.caCertificate,
    token_reviewer_jwt: kubernetes.adminToken,
    disable_local_ca_jwt: true,
  };
  expect((await vault.request('POST', 'auth/kubernetes/config', config)).status).toBe(204);
  const role = {
    bound_service_account_names: ['runner'],
    bound_service_account_namespaces: ['jobs'],
    audience: 'vault',
  };
  await vault.request('POST', 'auth/kubernetes/role/jobs', role);
  const logIn = async (jwt: string): Promise<number> =>
    (await vault.request('POST', 'auth/kubernetes/login', { role: 'jobs', jwt }, '')).status;
  expect(await logIn(await kubernetes.serviceAccountToken('jobs', 'runner', 'vault'))).toBe(200);
  expect(await logIn(await kubernetes.serviceAccountToken('jobs', 'runner', 'strongroom'))).toBe(403);
  expect(await logIn(await kubernetes.serviceAccountToken('jobs', 'other', 'vault'))).toBe(403);
});
