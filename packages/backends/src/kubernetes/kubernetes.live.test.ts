// @needs kubernetes
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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
import type { ManagedKubernetesSettings } from './index.ts';
import { OperatorConnection } from './operator-connection.ts';
import { SecretApi } from './secret-api.ts';

const namespaces = { namespace: 'strongroom', secretsNamespace: 'strongroom-secrets' };
const namespace = namespaces.secretsNamespace;
const signal = AbortSignal.timeout(500_000);
const any = { kind: 'any' } as const;
const finance = { kind: 'domain', name: 'finance' } as const;

let kubernetes: Kubernetes;
let server: Account;
let secrets: LiveSecrets;
let stores: LiveStores;

beforeAll(async () => {
  kubernetes = await startKubernetes();
  ({ server } = await applyRbac(kubernetes, namespaces));
  secrets = new LiveSecrets(kubernetes, namespace);
  stores = new LiveStores(kubernetes, namespace);
});
afterAll(async () => {
  await stores.close();
  await kubernetes.stop();
});

const open = (settings: Partial<ManagedKubernetesSettings>, account = server) => stores.open(account, settings);
const write = (expectation?: Expectation) => writeOptions(signal, expectation);

describe('an object for each key', () => {
  const openMetadata = { app: 'openmetadata', clusterName: 'openmetadata', naming: 'openmetadata' } as const;

  it('is what OpenMetadata documents, and tags are labels', async () => {
    const store = await open({ ...openMetadata, tags: ['team:data', 'example.com/tier:1'] });
    await store.put('database/myService/password', text('päss'), write());
    const secret = await secrets.get('openmetadata-database-myservice-password');
    expect(secret?.data).toEqual({ value: encode('päss') });
    expect(secret?.type).toBe('Opaque');
    expect(secret?.metadata.labels).toEqual({
      app: 'openmetadata',
      'managed-by': 'openmetadata-secrets-manager',
      team: 'data',
      'example.com/tier': '1',
    });
    expect(secret?.metadata.annotations?.['strongroom/identity']).toBe(
      '/openmetadata/global/database/myService/password',
    );
    expect(JSON.stringify(secret?.metadata)).not.toContain(encode('päss'));

    const changed = await open({ ...openMetadata, tags: ['team:other'] });
    await changed.put('database/myService/password', text('new'), write());
    const labels = (await secrets.get('openmetadata-database-myservice-password'))?.metadata.labels;
    expect(labels).toMatchObject({ app: 'openmetadata', team: 'other', 'example.com/tier': '1' });
  });

  it('is refused to another key, naming both, where names clash; and is apart with unique', async () => {
    const store = await open(openMetadata);
    await store.put('my_db', text('first'), write());
    for (const key of ['my-db', 'my.db', 'MY_DB']) {
      expect(await store.get(key, { signal })).toBeNull();
      const put = store.put(key, text('second'), write());
      await expect(put).rejects.toMatchObject({ code: 'key_clash' });
      await expect(put).rejects.toThrow(
        /\/openmetadata\/global\/my_db, and can not be \/openmetadata\/global\/my[-._]db/i,
      );
      await store.delete(key, { signal, expect: any });
    }
    expect((await store.get('my_db', { signal }))?.value.revealText()).toBe('first');

    const unique = await open({ ...openMetadata, naming: 'unique', prefix: 'u' });
    for (const key of ['my_db', 'my-db', 'my.db', 'MY_DB', 'my db']) await unique.put(key, text(key), write());
    for (const key of ['my_db', 'my-db', 'my.db', 'MY_DB', 'my db'])
      expect((await unique.get(key, { signal }))?.value.revealText()).toBe(key);
  });

  it('does not tell a domain the keys of another', async () => {
    const one = await open({ ...openMetadata, scope: { kind: 'domain', name: 'finance-db' } });
    const other = await open({ ...openMetadata, scope: finance });
    await one.put('password', text('theirs'), write());
    const put = other.put('db-password', text('ours'), write());
    await expect(put).rejects.toMatchObject({ code: 'key_clash' });
    await expect(put).rejects.not.toThrow(/domain:finance-db/);
  });

  it('tells no object, no data, no value and no permission apart', async () => {
    const store = await open({});
    expect(await store.get('absent', { signal })).toBeNull();
    const outcomes: string[] = [];
    for (const [key, data] of [
      ['nodata', null],
      ['novalue', { other: encode('x') }],
    ] as const) {
      await store.put(key, text('x'), write());
      await secrets.replace(`strongroom-${key}`, (secret) => ({ ...secret, data }));
      const error: unknown = await store.get(key, { signal }).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'backend_malformed' });
      outcomes.push((error as Error).message);
    }
    const elsewhere = await open({ namespace: 'default' });
    const refused: unknown = await elsewhere.get('absent', { signal }).catch((thrown: unknown) => thrown);
    expect(refused).toMatchObject({ code: 'backend_denied' });
    outcomes.push((refused as Error).message);
    expect(new Set(outcomes).size).toBe(3);

    await store.put('nodata', text('mended'), write());
    expect((await store.get('nodata', { signal }))?.value.revealText()).toBe('mended');
    await secrets.replace('strongroom-novalue', (secret) => ({ ...secret, data: null }));
    await store.delete('novalue', { signal, expect: any });
    expect(await secrets.get('strongroom-novalue')).toBeNull();
  });

  it('is not deleted as long as others have something in it', async () => {
    const store = await open({});
    await store.put('joint', text('ours'), write());
    await secrets.replace('strongroom-joint', (secret) => ({
      ...secret,
      data: { ...secret.data, theirs: encode('t') },
    }));
    await store.delete('joint', { signal, expect: any });
    expect((await secrets.get('strongroom-joint'))?.data).toEqual({ theirs: encode('t') });
    expect(await store.get('joint', { signal })).toBeNull();
    await store.put('joint', text('again'), write({ kind: 'absent' }));
    expect((await secrets.get('strongroom-joint'))?.data).toEqual({ theirs: encode('t'), value: encode('again') });
  });

  it('is deleted in just the version that was looked at', async () => {
    const api = new SecretApi(
      new OperatorConnection({ inCluster: false, kubeconfigPath: server.kubeconfig(kubernetes.url) }, Date.now),
      namespace,
    );
    stores.keep(api.connection);
    await secrets.create({ metadata: { name: 'precondition' }, data: {} });
    const before = await api.get('precondition', signal);
    await secrets.replace('precondition', (secret) => ({ ...secret, data: { a: encode('1') } }));
    if (before === null) throw new Error('not there');
    expect(await api.delete(before, signal)).toBe('conflict');
    await secrets.remove('precondition');
    await secrets.create({ metadata: { name: 'precondition' }, data: {} });
    expect(await api.delete(before, signal)).toBe('conflict');
    await secrets.remove('precondition');
    expect(await api.delete(before, signal)).toBe('deleted');
  });

  it('reads what OpenMetadata wrote, and writes it once it is adopted', async () => {
    const name = 'openmetadata-bot-name-config-jwttoken';
    const labels = { app: 'openmetadata', 'managed-by': 'openmetadata-secrets-manager' };
    await secrets.create({ metadata: { name, labels }, data: { value: encode('theirs') } });
    const store = await open(openMetadata);
    const key = 'bot/name/config/jwttoken';
    expect((await store.get(key, { signal }))?.value.revealText()).toBe('theirs');
    const refusal = { code: 'state_conflict', hint: expect.stringContaining(`strongroom store adopt --global ${key}`) };
    await expect(store.put(key, text('ours'), write())).rejects.toMatchObject(refusal);
    await expect(store.delete(key, { signal, expect: any })).rejects.toMatchObject(refusal);
    expect(await store.adopt([key], { signal, isTrial: true })).toEqual([
      { object: name, isAdopted: true, keys: [key] },
    ]);
    await expect(store.put(key, text('ours'), write())).rejects.toMatchObject(refusal);
    await store.adopt([key], { signal, isTrial: false });
    expect(await store.adopt([key], { signal, isTrial: false })).toMatchObject([{ isAdopted: false }]);
    await store.put(key, text('ours'), write());
    expect((await secrets.get(name))?.data).toEqual({ value: encode('ours') });
    await expect(store.adopt(['absent'], { signal, isTrial: false })).rejects.toMatchObject({ code: 'not_found' });
    await expect(store.adopt([], { signal, isTrial: false })).rejects.toMatchObject({ code: 'validation_failed' });
  });

  it('is not written when it is immutable, or where there is no namespace', async () => {
    const store = await open({});
    await store.put('fixed', text('x'), write());
    await secrets.replace('strongroom-fixed', (secret) => ({ ...secret, immutable: true }));
    await expect(store.put('fixed', text('y'), write())).rejects.toMatchObject({ code: 'state_conflict' });
    const config = JSON.parse(await kubernetes.kubectl('config', 'view', '--raw', '--output', 'json')) as object;
    const kubeconfigPath = join(dirname(kubernetes.kubeconfigPath), 'administrator.kubeconfig');
    writeFileSync(kubeconfigPath, JSON.stringify(config), { mode: 0o600 });
    const nowhere = await open({ namespace: 'absent-namespace', kubeconfigPath });
    expect(await nowhere.get('x', { signal })).toBeNull();
    await expect(nowhere.put('x', text('y'), write())).rejects.toThrow('has no such namespace');
  });
});

describe('an object for a scope', () => {
  const iomete = { layout: 'scope-objects', name: 'iomete' } as const;

  it('keeps both keys of two writers at the same time, and every key of many', async () => {
    const [one, other] = [await open({ ...iomete, scope: finance }), await open({ ...iomete, scope: finance })];
    const keys = Array.from({ length: 12 }, (_, index) => `key-${index}`);
    await Promise.all(keys.map((key, index) => (index % 2 === 0 ? one : other).put(key, text(key), write())));
    const names = ['iomete-secret-store-finance'];
    expect(Object.keys((await secrets.get(names[0] ?? ''))?.data ?? {}).toSorted()).toEqual(keys.toSorted());
    const answers = await one.getMany(keys, { signal });
    expect(keys.map((key) => (answers.get(key) as { intentId?: string }).intentId === undefined)).not.toContain(true);
  });

  it('is another one for a domain called admin', async () => {
    const [admin, domain] = [
      await open({ ...iomete, scope: { kind: 'admin' } }),
      await open({ ...iomete, scope: { kind: 'domain', name: 'admin' } }),
    ];
    await admin.put('key', text('of the platform'), write());
    await domain.put('key', text('of the domain'), write());
    expect((await secrets.get('iomete-secret-store-admin'))?.data).toEqual({ key: encode('of the platform') });
    expect((await secrets.get('iomete-secret-store-domain.admin'))?.data).toEqual({ key: encode('of the domain') });
  });

  it('of an IOMETE install is read and listed, and written once it is adopted', async () => {
    const name = 'iomete-secret-store';
    const labels = { 'app.kubernetes.io/managed-by': 'Helm', app: 'iomete' };
    const data = { SMTP_PASSWORD: encode('legacy'), 'spark.key': encode('k') };
    await secrets.create({ metadata: { name, labels, annotations: { 'meta.helm.sh/release-name': 'iomete' } }, data });
    await secrets.create({
      metadata: { name: 'iomete-vault-credentials-finance' },
      data: { secretId: encode('hidden') },
    });
    const store = await open(iomete);
    expect((await store.list({ signal, limit: 10 })).items).toEqual([{ key: 'SMTP_PASSWORD' }, { key: 'spark.key' }]);
    const entry = await store.get('SMTP_PASSWORD', { signal });
    expect([entry?.value.revealText(), entry?.intentId]).toEqual(['legacy', undefined]);
    const refusal = { code: 'state_conflict', hint: 'To have it written: strongroom store adopt --global' };
    await expect(store.put('NEW', text('x'), write())).rejects.toMatchObject(refusal);
    await expect(store.delete('SMTP_PASSWORD', { signal, expect: any })).rejects.toMatchObject(refusal);
    expect(await store.adopt([], { signal, isTrial: true })).toEqual([
      { object: name, isAdopted: true, keys: ['SMTP_PASSWORD', 'spark.key'] },
    ]);
    expect((await secrets.get(name))?.metadata.annotations).toEqual({ 'meta.helm.sh/release-name': 'iomete' });

    await store.adopt([], { signal, isTrial: false });
    await store.put('NEW', text('x'), write());
    await store.delete('spark.key', { signal, expect: any });
    const adopted = await secrets.get(name);
    expect(adopted?.data).toEqual({ SMTP_PASSWORD: data.SMTP_PASSWORD, NEW: encode('x') });
    expect(adopted?.metadata.labels).toMatchObject(labels);
    expect(adopted?.metadata.annotations).toMatchObject({ 'meta.helm.sh/release-name': 'iomete' });
    expect((await secrets.get('iomete-vault-credentials-finance'))?.data).toEqual({ secretId: encode('hidden') });
  });

  it('of another install is neither read as ours to write nor adopted', async () => {
    const annotations = { 'strongroom/identity': 'secret-store/other/global' };
    await secrets.create({ metadata: { name: 'stolen-secret-store', annotations }, data: { a: encode('1') } });
    const store = await open({ ...iomete, name: 'stolen' });
    await expect(store.put('a', text('2'), write())).rejects.toMatchObject({ code: 'key_clash' });
    await expect(store.adopt([], { signal, isTrial: false })).rejects.toMatchObject({ code: 'key_clash' });
  });

  it('takes 1 MiB and not a byte more, before anything is sent, and says so at 70 %', async () => {
    const store = await open({ ...iomete, name: 'full' });
    const share = async () => (await store.check({ signal })).find(({ step }) => step === 'store')?.message;
    const mebibyte = 1024 * 1024;
    const [before70, at70] = [600_000, Math.ceil(mebibyte * 0.7)];
    expect(await share()).toContain('is not there');
    await store.put('a', text('x'.repeat(before70)), write());
    expect(await share()).toMatch(/^The Secret full-secret-store has 57 %/);
    await store.put('b', text('x'.repeat(at70 - before70)), write());
    expect(await share()).toMatch(/^Warning: the Secret full-secret-store has 70 %/);
    const before = (await secrets.get('full-secret-store'))?.metadata.resourceVersion;
    const rest = mebibyte - at70;
    await expect(store.put('c', text('x'.repeat(rest + 1)), write())).rejects.toMatchObject({ code: 'backend_limit' });
    await expect(store.put('c', text('x'.repeat(mebibyte + 1)), write())).rejects.toMatchObject({
      code: 'backend_limit',
    });
    expect((await secrets.get('full-secret-store'))?.metadata.resourceVersion).toBe(before);
    await store.put('c', text('x'.repeat(rest)), write());
    expect((await store.get('c', { signal }))?.value.byteLength).toBe(rest);
  });

  it('keeps what integrations sign in with apart, in an object that no key of a store leads to', async () => {
    const credentials = await open({ ...iomete, name: 'apart', scope: finance, purpose: 'vault-credentials' });
    await credentials.put('int-1', text('secret id'), write());
    expect((await secrets.get('apart-vault-credentials-finance'))?.data).toEqual({ 'int-1': encode('secret id') });
    expect(
      (await (await open({ ...iomete, name: 'apart', scope: finance })).list({ signal, limit: 10 })).items,
    ).toEqual([]);
    const perKey = await open({ clusterName: 'apart' });
    expect(await perKey.get('vault-credentials-finance', { signal })).toBeNull();
    await expect(perKey.put('vault-credentials-finance', text('x'), write())).rejects.toMatchObject({
      code: 'key_clash',
    });
  });
});
