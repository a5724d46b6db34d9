// @needs kubernetes
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Kubernetes, startKubernetes } from '../../../../servers/kubernetes.ts';

const main = fileURLToPath(new URL('../main.ts', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'strongroom-adopt-'));
let kubernetes: Kubernetes;

beforeAll(async () => {
  kubernetes = await startKubernetes();
});
afterAll(async () => {
  await kubernetes.stop();
  rmSync(folder, { recursive: true, force: true });
});

function run(args: readonly string[], variables: Readonly<Record<string, string>>) {
  const env = { PATH: process.env['PATH'], HOME: folder, STRONGROOM_DATA_DIR: folder, ...variables };
  return new Promise<{ code: number | string; out: string; errors: string }>((resolve) => {
    execFile(process.execPath, [main, ...args], { env, cwd: folder }, (error, out, errors) =>
      resolve({ code: error?.code ?? 0, out, errors }),
    );
  });
}

describe('strongroom store adopt', () => {
  it('marks the Secret of an IOMETE install, and nothing else of it changes', async () => {
    await kubernetes.kubectl('create', 'secret', 'generic', 'iomete-secret-store-finance', '--from-literal=KEY=legacy');
    const read = async () => {
      const text = await kubernetes.kubectl('get', 'secret', 'iomete-secret-store-finance', '--output', 'json');
      return JSON.parse(text) as { data: object; metadata: { annotations?: object; resourceVersion: string } };
    };
    const before = await read();
    const variables = {
      STRONGROOM_KUBERNETES_NAMESPACE: 'default',
      STRONGROOM_KUBERNETES_KUBECONFIG_PATH: kubernetes.kubeconfigPath,
      STRONGROOM_KUBERNETES_LAYOUT: 'scope-objects',
      STRONGROOM_KUBERNETES_NAME: 'iomete',
    };
    const adopt = (...options: string[]) => run(['store', 'adopt', '--domain', 'finance', ...options], variables);
    expect(await adopt('--dry-run')).toMatchObject({
      code: 0,
      out: 'iomete-secret-store-finance: would be adopted, 1 key\n',
    });
    expect(await read()).toEqual(before);
    expect(await adopt()).toMatchObject({ code: 0, out: 'iomete-secret-store-finance: adopted, 1 key\n' });
    const after = await read();
    expect(after.data).toEqual(before.data);
    expect(after.metadata.annotations).toEqual({ 'strongroom/identity': 'secret-store/iomete/domain:finance' });
    const again = await adopt('--json');
    expect(JSON.parse(again.out)).toEqual({
      dryRun: false,
      catalogue: 'later',
      items: [{ object: 'iomete-secret-store-finance', isAdopted: false, keys: ['KEY'] }],
    });
    expect(again.errors).toMatch(/a server takes the keys up once this store is the scope/);
    expect(await run(['store', 'adopt', '--global'], variables)).toMatchObject({ code: 4 });
    const credentials = 'iomete-vault-credentials-finance';
    await kubernetes.kubectl('create', 'secret', 'generic', credentials, '--from-literal=secretId=x');
    expect(await adopt('--credentials')).toMatchObject({ code: 0, out: `${credentials}: adopted, 1 key\n` });
  });
});
