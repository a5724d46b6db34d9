import { StrongroomError } from '@strongroom/contract';
import { beforeAll, expect, it } from 'vitest';
import { Canaries } from '../../testing/canaries.ts';
import { describeEachStore, type TestStore } from '../../testing/stores.ts';
import { defaultBundleIdOf } from '../access/default-bundle.ts';
import { createAccess } from '../access/service.ts';
import type { AccessSnapshot, Caller, ScopeRef } from '../access/types.ts';
import { actorOf } from '../identities/actor.ts';
import { globalScopeId, newId } from '../store/ids.ts';
import { Inventory, type InventoryQuery } from './inventory.ts';
import { SecretReader } from './reader.ts';
import { Secrets } from './service.ts';

const global: ScopeRef = { id: globalScopeId, kind: 'global', name: 'global' };
const dayMilliseconds = 86_400_000;

function callerWith(roles: AccessSnapshot['roles']): Caller {
  const principal = { id: 'usr_test', kind: 'user', isDisabled: false } as const;
  return {
    id: 'usr_test',
    kind: 'user',
    name: 'user:ann',
    requestId: 'request',
    network: '127.0.0.1',
    credential: { type: 'token', id: 'tok_test' },
    snapshot: { revision: 1, principal, roles, actorIds: new Set(['usr_test']), domains: new Map() },
  };
}
const admin = callerWith(new Set(['PLATFORM_ADMIN', 'SECRETS_ADMIN', 'DOMAIN_MANAGER']));
const reading = callerWith(new Set(['READ_ONLY_ADMIN']));

describeEachStore('the inventory', (openStore) => {
  let test: TestStore;
  let inventory: Inventory;
  let secrets: Secrets;
  let reader: SecretReader;
  let now = Date.now();
  const canaries = new Canaries();
  const shared = canaries.text('a value that two secrets have');

  const found = async (query: InventoryQuery = {}, caller = admin) =>
    (await inventory.list(caller, global, query)).items;
  const keysOf = async (finding: NonNullable<InventoryQuery['finding']>, query: InventoryQuery = {}) =>
    (await found({ ...query, finding })).map(({ key }) => key);
  const inDays = (days: number): number => Date.now() + days * dayMilliseconds;

  /** A job of a domain of its own that holds these references to keys of Global. */
  async function use(references: readonly { readonly key: string; readonly sourceId: string }[]): Promise<void> {
    const { store } = test;
    const scopeId = newId('scope');
    await store.execute('domains.create', {
      actor: actorOf(admin),
      id: scopeId,
      sourceId: newId('source'),
      name: 'using',
      displayName: '',
      description: '',
      store: 'database',
      ownerId: null,
    });
    const rows = await store.db.selectFrom('secrets').select(['id', 'key']).execute();
    await store.execute('surfaces.create', {
      id: newId('configuration'),
      scopeId,
      surface: 'spark-job',
      name: 'nightly',
      document: '{}',
      bundleId: defaultBundleIdOf(scopeId),
      managedBy: null,
      by: admin.name,
      uses: references.map(({ key, sourceId }, index) => ({
        pointer: `/environment/${index}`,
        name: `NAME_${index}`,
        reference: `secret://global/managed/${key}`,
        target_scope_id: globalScopeId,
        target_source_id: sourceId,
        target_key: key,
        target_field: null,
        secret_id: rows.find((row) => row.key === key)?.id ?? null,
        kind: 'reference',
        authorised_by: admin.id,
      })),
      consumptions: [],
      uniqueKey: null,
      secretIds: [],
      maxConfigurations: 10,
    });
  }

  beforeAll(async () => {
    test = await openStore();
    const access = createAccess(test.store);
    reader = new SecretReader(test.store, test.keys, access, async () => []);
    secrets = new Secrets(test.store, { writer: () => test.store }, test.keys, reader, {
      valueBytes: 4096,
      keysPerScope: 1000,
      keptVersions: 3,
      retentionDays: 30,
    });
    inventory = new Inventory(test.store, test.keys, access, reader, () => now);
    const atDay = (days: number): string => new Date(inDays(days)).toISOString();
    await secrets.create(admin, global, { key: 'expired', value: 'v', expiresAt: atDay(1), owner: 'data' });
    await secrets.create(admin, global, { key: 'expiring', value: 'v', expiresAt: atDay(16) });
    await secrets.create(admin, global, { key: 'stale', value: 'v', rotateEveryDays: 5 });
    await secrets.create(admin, global, { key: 'due', value: 'v', rotateEveryDays: 20 });
    await secrets.create(admin, global, { key: 'gone', value: 'v' });
    await secrets.create(admin, global, { key: 'launched', value: 'v' });
    await secrets.create(admin, global, { key: 'same-1', value: shared });
    await secrets.create(admin, global, { key: 'same-2', value: shared });
    await secrets.create(admin, global, { key: 'short-1', value: 'guess' });
    await secrets.create(admin, global, { key: 'short-2', value: 'guess' });
    const launched = await reader.get(admin, global, 'launched');
    await test.store.execute('secret.touchLaunched', { launched: [{ secretId: launched.id, at: inDays(-34) }] });
    const source = await secrets.managedSource(global);
    await secrets.create(admin, global, { key: 'of-a-cluster', value: 'v' });
    await test.store.execute('clusters.create', {
      id: newId('cluster'),
      name: 'prod',
      description: '',
      access: JSON.stringify({ kind: 'token', secret: 'secret://global/managed/of-a-cluster' }),
      sourceId: source.id,
      authorisedBy: admin.id,
      uid: 'a-uid',
      issuer: 'https://issuer.example.org',
      audience: 'strongroom-prod',
      by: admin.name,
    });
    await use([
      { key: 'gone', sourceId: source.id },
      { key: 'never-there', sourceId: source.id },
      { key: 'same-1', sourceId: source.id },
      { key: 'elsewhere', sourceId: newId('source') },
    ]);
    await secrets.delete(admin, global, 'gone', { force: true, ifMatch: undefined });
  });

  it('tells of shared values not before they are an hour old', async () => {
    expect(await keysOf('shared-value')).toEqual([]);
    // Six days later, which is when everything below is asked.
    now = inDays(6);
  });

  it('finds secrets by their dates', async () => {
    expect(await found({ finding: 'expired' })).toMatchObject([
      { key: 'expired', reference: 'secret://global/managed/expired', secret: { owner: 'data' } },
    ]);
    expect(await keysOf('expiring')).toEqual(['expiring']);
    expect(await keysOf('expiring', { withinDays: 5 })).toEqual([]);
    expect(await found({ finding: 'stale' })).toMatchObject([
      { key: 'stale', advice: expect.stringContaining('strongroom secret rotate stale --global') },
    ]);
    expect(await keysOf('due-soon')).toEqual(['due']);
    expect(await keysOf('due-soon', { withinDays: 10 })).toEqual([]);
  });

  it('counts as unused what no field refers to and nothing launched lately', async () => {
    expect(await keysOf('unused')).toEqual([]);
    expect(await keysOf('unused', { unusedForDays: 30 })).toEqual(['launched']);
    const unused = await keysOf('unused', { unusedForDays: 5 });
    expect(unused).toContain('same-2');
    expect(unused).not.toContain('same-1');
    expect(unused).not.toContain('of-a-cluster');
  });

  it('counts what a cluster holds among the uses, for those who may know of it', async () => {
    const usesSeen = async (caller: Caller): Promise<number[]> => {
      const { items } = await reader.list(caller, global, { q: 'of-a-cluster' });
      const { usedBy } = await reader.get(caller, global, 'of-a-cluster');
      const { items: uses } = await reader.usedBy(caller, global, 'of-a-cluster', {});
      return [...items.map((each) => each.usedBy), usedBy, uses.length];
    };
    expect(await usesSeen(admin)).toEqual([1, 1, 1]);
    expect(await usesSeen(callerWith(new Set(['SECRETS_ADMIN'])))).toEqual([0, 0, 0]);
    expect((await reader.get(admin, global, 'same-1')).usedBy).toBe(1);
  });

  it('says of each missing reference why, who holds it and what to do', async () => {
    expect(await found({ finding: 'used-but-missing' })).toMatchObject([
      {
        key: 'gone',
        cause: 'deleted',
        at: expect.any(String),
        advice: expect.stringMatching(/secret restore gone --global/),
      },
      {
        key: 'never-there',
        cause: 'absent',
        at: null,
        use: { configuration: 'nightly', name: 'NAME_1', domain: 'using' },
      },
      { key: 'elsewhere', cause: 'source-gone' },
    ]);
  });

  it('tells of shared values to who manages them alone', async () => {
    const page = await inventory.list(admin, global, { finding: 'shared-value' });
    expect(page.items).toMatchObject([
      { key: 'same-1', sharedWith: ['same-2'] },
      { key: 'same-2', sharedWith: ['same-1'] },
    ]);
    const others = await inventory.list(reading, global, {});
    expect(others.withheld).toEqual(['shared-value']);
    expect(others.items.some(({ finding }) => finding === 'shared-value')).toBe(false);
    await expect(inventory.list(reading, global, { finding: 'shared-value' })).rejects.toMatchObject({
      code: 'permission_missing',
    });
    canaries.saw('inventory', JSON.stringify(page));
    expect(canaries.leaks()).toEqual([]);
  });

  it('goes through everything page by page', async () => {
    const unusedForDays = 5;
    const whole = (await found({ limit: 200, unusedForDays })).map(({ finding, key }) => `${finding} ${key}`);
    expect(whole.length).toBeGreaterThan(10);
    const seen: string[] = [];
    for (let cursor: string | undefined; ;) {
      const from = cursor === undefined ? {} : { cursor };
      const page = await inventory.list(admin, global, { limit: 2, unusedForDays, ...from });
      seen.push(...page.items.map(({ finding, key }) => `${finding} ${key}`));
      cursor = page.nextCursor;
      if (cursor === undefined) break;
    }
    expect(seen).toEqual(whole);
    expect(new Set(seen).size).toBe(seen.length);
  });

  it('takes a cursor only for the same question', async () => {
    const { nextCursor = '' } = await inventory.list(admin, global, { limit: 1 });
    for (const query of [{ finding: 'stale' }, { withinDays: 7 }, { unusedForDays: 7 }] satisfies InventoryQuery[])
      await expect(inventory.list(admin, global, { ...query, cursor: nextCursor })).rejects.toThrow(StrongroomError);
    await expect(inventory.list(admin, global, { cursor: `${nextCursor}x` })).rejects.toMatchObject({
      code: 'cursor_invalid',
    });
  });
});
