import { ReferenceFixture } from '@strongroom/backends/testing/reference.ts';
import { SecretValue } from '@strongroom/crypto';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { Canaries } from '../../testing/canaries.ts';
import { codeOf } from '../../testing/keys-world.ts';
import { describeEachStore, type TestStore } from '../../testing/stores.ts';
import { globalScopeId, newId } from '../store/ids.ts';
import { IntegrationCredentials } from './credentials.ts';
import { OutsideCredentials } from './outside-credentials.ts';

const { signal } = new AbortController();
const audit = { principal: 'system', principalName: 'system', action: 'settings.manage', outcome: 'allowed' } as const;
const minutes = 60_000;

describeEachStore('credentials of integrations in Kubernetes', (openStore) => {
  const canaries = new Canaries();
  let fixture: ReferenceFixture;
  let test: TestStore;
  let outside: OutsideCredentials;
  let credentials: IntegrationCredentials;

  beforeAll(async () => {
    [fixture, test] = await Promise.all([ReferenceFixture.start(), openStore()]);
    await test.store.execute('managed.choose', { scopeId: globalScopeId, type: 'KUBERNETES', audit });
    outside = new OutsideCredentials({ store: test.store, open: async () => fixture.open(), isUsed: true });
    credentials = new IntegrationCredentials(test.store, test.keys, outside);
  });
  afterAll(async () => {
    await outside.close();
    await fixture.stop();
  });

  const entries = (): string[] => fixture.store.list(null, 100);
  const owner = (address = 'https://one:8200') => ({
    id: newId('source'),
    scopeId: globalScopeId,
    type: 'VAULT',
    settings: { address, path: '/v1/kv/data', authentication: { method: 'token' } },
  });
  type Owner = ReturnType<typeof owner>;
  const integration = (of: Owner) => ({
    id: of.id,
    scopeId: globalScopeId,
    name: of.id,
    type: 'VAULT' as const,
    description: '',
    settings: JSON.stringify(of.settings),
    profileId: null,
    bundleId: null,
    by: 'user:ann',
    maxIntegrations: 100,
  });
  const add = async (token: string): Promise<Owner> => {
    const of = owner();
    const sealed = await credentials.seal(of, new Map([['token', token]]), 'user:ann');
    await test.store.execute('integration.create', { ...integration(of), credentials: sealed });
    return of;
  };
  const update = (of: Owner, sealed: Awaited<ReturnType<typeof credentials.seal>>, revision = 1) =>
    test.store.execute('integration.update', {
      id: of.id,
      revision,
      description: '',
      settings: JSON.stringify(of.settings),
      profileId: null,
      bundleId: null,
      isSetUpAnew: false,
      credentials: sealed,
      dropped: [],
      by: 'user:ann',
    });
  const open = async (of: Owner): Promise<string> => (await credentials.open(of, 'token')).revealText();
  const states = async (of: Owner): Promise<string[]> => {
    const rows = await test.store.db
      .selectFrom('outside_credentials')
      .select('state')
      .where('source_id', '=', of.id)
      .orderBy('version')
      .execute();
    return rows.map(({ state }) => state);
  };
  /** As if time had passed for what is not in force. */
  const sweepLater = async (): Promise<void> => {
    const now = vi.spyOn(test.store, 'now').mockReturnValue(Date.now() + 16 * minutes);
    try {
      await outside.sweep(signal);
    } finally {
      now.mockRestore();
    }
  };

  it('are there alone, listed without what they are, and opened', async () => {
    const token = canaries.text('token');
    const of = await add(token);
    expect(await open(of)).toBe(token);
    expect(entries()).toEqual([expect.stringMatching(new RegExp(`^${of.id}\\.token\\.1\\.1\\.[0-9a-f]{12}$`))]);
    expect(await test.store.db.selectFrom('integration_credentials').selectAll().execute()).toEqual([]);
    const listed = await credentials.list([of.id]);
    expect(listed.get(of.id)).toMatchObject([{ name: 'token', version: 1, created_by: 'user:ann' }]);
    canaries.saw('listed', JSON.stringify([...listed]));
    canaries.watchDirectory(test.directory);
    canaries.assertNoLeak();
  });

  it('are replaced in one step, and the old one is taken away afterwards', async () => {
    const of = await add('old');
    const sealed = await credentials.seal(of, new Map([['token', 'new']]), 'user:ann');
    expect(await open(of)).toBe('old');
    await update(of, sealed);
    expect(await open(of)).toBe('new');
    expect(await states(of)).toEqual(['gone', 'current']);
    await outside.sweep(signal);
    expect(await states(of)).toEqual(['gone', 'current']);
    await sweepLater();
    expect(await states(of)).toEqual(['current']);
    expect(await open(of)).toBe('new');
    expect(entries().filter((entry) => entry.startsWith(of.id))).toHaveLength(1);
  });

  it('leave nothing when their writer dies in between', async () => {
    const of = await add('in force');
    await credentials.seal(of, new Map([['token', 'never in force']]), 'user:ann');
    expect(await states(of)).toEqual(['current', 'pending']);
    await sweepLater();
    expect(await states(of)).toEqual(['current']);
    expect(await open(of)).toBe('in force');
  });

  it('are not put in force once they may have been taken away', async () => {
    const of = await add('in force');
    const sealed = await credentials.seal(of, new Map([['token', 'late']]), 'user:ann');
    await sweepLater();
    expect(await codeOf(update(of, sealed))).toBe('version_conflict');
    expect(await open(of)).toBe('in force');
  });

  it('open for nothing else than what they were typed for, nor when somebody changed them there', async () => {
    const of = await add('bound');
    const elsewhere = { ...of, settings: { ...of.settings, address: 'https://two:8200' } };
    expect(await codeOf(credentials.open(elsewhere, 'token'))).toBe('state_conflict');
    const entry = entries().find((each) => each.startsWith(of.id)) ?? '';
    fixture.seed(entry, { value: SecretValue.fromText('another'), shape: 'text' });
    expect(await codeOf(credentials.open(of, 'token'))).toBe('state_conflict');
    fixture.store.remove(entry);
    expect(await codeOf(credentials.open(of, 'token'))).toBe('state_conflict');
  });

  it('are not another integration’s under its entry', async () => {
    const [one, other] = [await add('of one'), await add('of other')];
    const backend = fixture.open();
    const [from = '', to = ''] = [one, other].map(({ id }) => entries().find((entry) => entry.startsWith(id)));
    const stolen = await backend.get(from, { signal });
    if (stolen === null) throw new Error('none');
    await backend.put(to, stolen, { expect: { kind: 'any' }, intentId: stolen.intentId ?? '', signal });
    await backend.close();
    expect(await codeOf(credentials.open(other, 'token'))).toBe('state_conflict');
  });

  it('go with their integration', async () => {
    const of = await add('deleted');
    await test.store.execute('integration.delete', { id: of.id, revision: 1, force: false });
    expect(await states(of)).toEqual(['gone']);
    await sweepLater();
    expect(entries().some((entry) => entry.startsWith(of.id))).toBe(false);
  });

  it('are sealed in the database again once the scope has its values there, and stay readable until then', async () => {
    const of = await add('outside');
    const before = new IntegrationCredentials(
      test.store,
      test.keys,
      new OutsideCredentials({ store: test.store, open: async () => fixture.open(), isUsed: false }),
    );
    expect((await before.open(of, 'token')).revealText()).toBe('outside');
    await update(of, await before.seal(of, new Map([['token', 'inside']]), 'user:ann'));
    expect(await states(of)).toEqual(['gone']);
    expect(await open(of)).toBe('inside');
    expect((await credentials.list([of.id])).get(of.id)).toMatchObject([{ name: 'token', version: 2 }]);
    await update(of, await credentials.seal(of, new Map([['token', 'outside again']]), 'user:ann'), 2);
    expect(await open(of)).toBe('outside again');
    expect((await credentials.list([of.id])).get(of.id)).toMatchObject([{ name: 'token', version: 3 }]);
  });

  it('are not taken when the cluster is away, and what was in force stays', async () => {
    const of = await add('in force');
    const heal = await fixture.server.inject('failing', '');
    try {
      expect(await codeOf(credentials.seal(of, new Map([['token', 'x']]), 'user:ann'))).toBe('backend_unavailable');
    } finally {
      await heal();
    }
    expect(await open(of)).toBe('in force');
  });
});
