// @needs vault kubernetes
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadKekFile } from '@strongroom/crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Kubernetes, startKubernetes } from '../../../../servers/kubernetes.ts';
import type { Vault } from '../../../../servers/vault-server.ts';
import { startVault } from '../../../../servers/vault.ts';
import { codeOf } from '../../testing/keys-world.ts';
import { managedCaller, managedScope, managedSourceId, ManagedWorld } from '../../testing/managed-world.ts';
import { loadConfiguration, type LoadedConfiguration } from '../config/load.ts';
import { IntegrationCredentials } from '../integrations/credentials.ts';
import { lazyEgress } from '../integrations/lazy-egress.ts';
import { OutsideCredentials } from '../integrations/outside-credentials.ts';
import { newId } from '../store/ids.ts';
import { adoptStore } from './adopt.ts';
import { createOpenCredentialStore, createOpenManagedStore } from './open-managed-store.ts';

/** Installs of IOMETE as its documentation describes them, over the real things. */
const folder = mkdtempSync(join(tmpdir(), 'strongroom-legacy-'));
const signal = AbortSignal.timeout(500_000);
const place = { sourceId: managedSourceId, scopeId: managedScope.id };
const globalScope = { kind: 'global' } as const;

let vault: Vault;
let kubernetes: Kubernetes;

beforeAll(async () => {
  [vault, kubernetes] = await Promise.all([startVault(), startKubernetes()]);
  await kubernetes.kubectl('create', 'secret', 'generic', 'vault-token', `--from-literal=token=${vault.rootToken}`);
}, 300_000);
afterAll(async () => {
  await Promise.all([vault.stop(), kubernetes.stop()]);
  rmSync(folder, { recursive: true });
});

function configure(block: string): LoadedConfiguration {
  const directory = mkdtempSync(join(folder, 'install-'));
  const file = join(directory, 'values.yaml');
  const access = `kubernetes: { namespace: default, kubeconfigPath: ${kubernetes.kubeconfigPath} }\n`;
  writeFileSync(file, `dataDir: ${join(directory, 'data')}\n${access}${block}`);
  return loadConfiguration({ variables: {}, workingDirectory: directory }, { configFile: file });
}

/** The Global scope of an installation with these settings. */
async function openWorld(configuration: LoadedConfiguration, type: 'VAULT' | 'KUBERNETES') {
  const { settings, secrets } = configuration;
  mkdirSync(settings.dataDir, { recursive: true, mode: 0o700 });
  const egress = lazyEgress(configuration);
  const world = await ManagedWorld.open({
    type,
    place: { directory: settings.dataDir, kek: await loadKekFile(join(settings.dataDir, 'kek'), { create: true }) },
    open: (kind, scope, { keys }) =>
      createOpenManagedStore({
        settings: settings.managed,
        keys,
        egress: egress.open,
        legacyVaultToken: secrets.legacyVaultToken,
      })(kind, scope),
  });
  return {
    world,
    close: async () => {
      await world.close();
      await egress.close();
    },
  };
}

it('takes an install over whose secrets are in Vault', async () => {
  for (const [key, value] of Object.entries({ EXAMPLE_KEY: 'sensitive_data', 'with blank': 'odd', OTHER: 'other' }))
    await vault.request('POST', `secret/data/iomete/poc/${encodeURIComponent(key)}`, { data: { value } });
  const configuration = configure(`
secretStore:
  type: vault
  vaultSettings:
    endpoint: ${vault.url}
    path: /v1/secret/data/iomete/poc
    tokenSecret: { name: vault-token, key: token }
`);
  const first = await openWorld(configuration, 'VAULT');
  expect((await first.world.managed.finder.look(place, signal)).found.toSorted()).toEqual([
    'EXAMPLE_KEY',
    'OTHER',
    'with blank',
  ]);
  expect(await first.world.launch('EXAMPLE_KEY')).toBe('sensitive_data 1.1');
  expect(await first.world.launch('with blank')).toBe('odd 1.1');
  expect(await codeOf(first.world.rotate('EXAMPLE_KEY', 'ours'))).toBe('state_conflict');
  // Beside a server: the marks are set, and it follows them.
  const [trial, one] = [
    await adoptStore(configuration, { scope: globalScope, keys: [], isTrial: true }),
    await adoptStore(configuration, { scope: globalScope, keys: ['EXAMPLE_KEY'], isTrial: false }),
  ];
  expect(trial.items.map(({ object, isAdopted }) => [object, isAdopted]).toSorted()).toEqual([
    ['EXAMPLE_KEY', true],
    ['OTHER', true],
    ['with blank', true],
  ]);
  expect(one).toMatchObject({ store: 'vault', catalogue: 'left-to-server' });
  expect((await first.world.managed.finder.look(place, signal)).adopted).toBe(1);
  await first.world.rotate('EXAMPLE_KEY', 'ours');
  expect(await first.world.launch('EXAMPLE_KEY')).toBe('ours 1.2');
  await first.world.secrets.rollback(managedCaller, managedScope, 'EXAMPLE_KEY', '1.1', undefined);
  expect(await first.world.launch('EXAMPLE_KEY')).toBe('sensitive_data 1.3');
  await first.close();
  // Without one: it is all done when the command ends, and again it does nothing.
  const rest = await adoptStore(configuration, { scope: globalScope, keys: [], isTrial: false });
  expect(rest).toMatchObject({ catalogue: 'updated' });
  expect(rest.items.map(({ object }) => object).toSorted()).toEqual(['OTHER', 'with blank']);
  expect((await adoptStore(configuration, { scope: globalScope, keys: [], isTrial: false })).items).toEqual([]);
  const missing = adoptStore(configuration, { scope: globalScope, keys: ['NONE'], isTrial: true });
  expect(await codeOf(missing)).toBe('not_found');
  const second = await openWorld(configuration, 'VAULT');
  await second.world.rotate('OTHER', 'ours');
  expect(await second.world.launch('OTHER')).toBe('ours 1.2');
  expect(await second.world.show('OTHER')).not.toHaveProperty('isUnmarked');
  const { body } = await vault.request<{ data: { data: object } }>('GET', 'secret/data/iomete/poc/OTHER');
  expect(body.data.data).toMatchObject({ value: 'ours' });
  await second.close();
}, 120_000);

it('takes an install over whose secrets are in Kubernetes', async () => {
  const name = 'iomete-secret-store';
  const literals = [
    '--from-literal=SMTP_PASSWORD=legacy',
    '--from-literal=smtp_password=clash',
    '--from-literal=_x=odd',
  ];
  await kubernetes.kubectl('create', 'secret', 'generic', name, ...literals);
  const dataOf = async () => {
    const text = await kubernetes.kubectl('get', 'secret', name, '--output', 'json');
    return (JSON.parse(text) as { data: Record<string, string> }).data;
  };
  const configuration = configure('secretStore: { type: kubernetes }\n');
  expect(configuration.settings.managed.kubernetes).toMatchObject({ name: 'iomete', layout: 'scope-objects' });
  const { world, close } = await openWorld(configuration, 'KUBERNETES');
  await world.managed.finder.look(place, signal);
  const { items } = await world.reader.list(managedCaller, managedScope, {});
  const found = items.flatMap((item) => ('isReadOnly' in item ? [] : [item]));
  expect(found.map(({ key, nameProblem, isUnmarked }) => [key, nameProblem, isUnmarked]).toSorted()).toEqual([
    ['SMTP_PASSWORD', undefined, true],
    ['_x', 'odd', true],
    ['smtp_password', 'clash', true],
  ]);
  expect(await world.launch('SMTP_PASSWORD')).toBe('legacy 1.1');
  expect(await world.launch('smtp_password')).toBe('clash 1.1');
  expect(await codeOf(world.rotate('SMTP_PASSWORD', 'ours'))).toBe('state_conflict');
  // Edited by hand in an object that all keys share: another version.
  await kubernetes.kubectl('patch', 'secret', name, '--patch', '{"stringData":{"SMTP_PASSWORD":"edited"}}');
  expect(await world.launch('SMTP_PASSWORD')).toBe('edited 1.2');
  const before = await dataOf();
  expect(await adoptStore(configuration, { scope: globalScope, keys: [], isTrial: false })).toMatchObject({
    store: 'kubernetes',
    catalogue: 'left-to-server',
    items: [{ object: name, isAdopted: true }],
  });
  expect(await dataOf()).toEqual(before);
  expect((await world.managed.finder.look(place, signal)).adopted).toBe(3);
  await world.rotate('smtp_password', 'ours');
  expect(await world.launch('smtp_password')).toBe('ours 1.2');
  expect(await world.launch('SMTP_PASSWORD')).toBe('edited 1.2');
  await world.delete('SMTP_PASSWORD');
  await world.purge('SMTP_PASSWORD');
  expect(Object.keys(await dataOf()).toSorted()).toEqual(['_x', 'smtp_password']);
  await close();
}, 120_000);

it('keeps what integrations sign in with in the object that the install has for it', async () => {
  const name = 'iomete-vault-credentials';
  await kubernetes.kubectl('create', 'secret', 'generic', name, '--from-literal=theirs=kept');
  const configuration = configure('secretStore: { type: kubernetes }\n');
  const { world, close } = await openWorld(configuration, 'KUBERNETES');
  const { store, keys } = world.test;
  const open = createOpenCredentialStore({ settings: configuration.settings.managed, keys });
  const outside = new OutsideCredentials({ store, open, isUsed: true });
  const credentials = new IntegrationCredentials(store, keys, outside);
  const owner = {
    id: newId('source'),
    scopeId: managedScope.id,
    type: 'VAULT',
    settings: { address: 'https://v:8200', path: '/v1/kv/data', authentication: { method: 'token' } },
  };
  const token = new Map([['token', 'hvs.integration']]);
  expect(await codeOf(credentials.seal(owner, token, 'user:ann'))).toBe('state_conflict');
  await adoptStore(configuration, { scope: globalScope, keys: [], isForCredentials: true, isTrial: false });
  const [sealed] = await credentials.seal(owner, token, 'user:ann');
  if (sealed === undefined || !('entry' in sealed)) throw new Error('It is elsewhere');
  await store.execute('integration.create', {
    id: owner.id,
    scopeId: owner.scopeId,
    name: 'vault-prod',
    type: 'VAULT',
    description: '',
    settings: JSON.stringify(owner.settings),
    profileId: null,
    bundleId: null,
    credentials: [sealed],
    by: 'user:ann',
    maxIntegrations: 10,
  });
  expect((await credentials.open(owner, 'token')).revealText()).toBe('hvs.integration');
  const text = await kubernetes.kubectl('get', 'secret', name, '--output', 'json');
  const { data } = JSON.parse(text) as { data: Record<string, string> };
  expect(Object.keys(data).toSorted()).toEqual([sealed.entry, 'theirs'].toSorted());
  // No key of the store leads there.
  expect((await world.managed.finder.look(place, signal)).found).not.toContain('theirs');
  await kubernetes.kubectl('patch', 'secret', name, '--patch', JSON.stringify({ stringData: { [sealed.entry]: 'x' } }));
  expect(await codeOf(credentials.open(owner, 'token'))).toBe('state_conflict');
  await outside.close();
  await close();
}, 120_000);
