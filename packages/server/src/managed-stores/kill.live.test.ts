// @needs vault kubernetes
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kekFromBytes } from '@strongroom/crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Kubernetes, startKubernetes } from '../../../../servers/kubernetes.ts';
import type { Vault } from '../../../../servers/vault-server.ts';
import { startVault } from '../../../../servers/vault.ts';
import { allPairs, drill, type DrilledStore } from '../../testing/managed-kills.ts';
import type { ManagedSettings } from '../config/managed-settings.ts';

let vault: Vault;
let kubernetes: Kubernetes;
const folder = mkdtempSync(join(tmpdir(), 'strongroom-intents-'));

beforeAll(async () => {
  [vault, kubernetes] = await Promise.all([startVault(), startKubernetes()]);
  writeFileSync(join(folder, 'token'), vault.rootToken, { mode: 0o600 });
}, 300_000);
afterAll(async () => {
  await Promise.all([vault.stop(), kubernetes.stop()]);
  rmSync(folder, { recursive: true });
});

const none: ManagedSettings = {
  stores: { admin: undefined, global: undefined, domains: undefined },
  kubernetes: {},
  vault: null,
  legacyTable: null,
};

const stores: Readonly<Record<string, () => DrilledStore>> = {
  vault: () => ({
    kind: 'real',
    type: 'VAULT',
    settings: {
      ...none,
      vault: {
        address: vault.url,
        path: '/v1/secret/data/managed/drill',
        authentication: { method: 'token' },
        credentialFile: join(folder, 'token'),
      },
    },
  }),
  'an object for each secret': () => inKubernetes({ layout: 'object-per-secret' }),
  'an object for the scope': () => inKubernetes({ layout: 'scope-objects' }),
};

function inKubernetes(layout: Pick<ManagedSettings['kubernetes'], 'layout'>): DrilledStore {
  const access = { kubeconfigPath: kubernetes.kubeconfigPath, namespace: 'default', clusterName: 'drill' };
  return { kind: 'real', type: 'KUBERNETES', settings: { ...none, kubernetes: { ...layout, ...access } } };
}

it.each(Object.keys(stores))(
  'leaves the old state or the new one, whole, wherever it is killed: %s',
  async (name) => {
    const store = stores[name]?.();
    if (store === undefined) throw new Error(name);
    const directory = mkdtempSync(join(folder, 'data-'));
    const outcomes = await drill({ directory, kek: kekFromBytes(randomBytes(32)), store }, allPairs);
    expect(outcomes).toHaveLength(allPairs.length);
  },
  300_000,
);
