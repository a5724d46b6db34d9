import { afterAll, beforeAll, expect, it } from 'vitest';
import { type LaunchWorld, openLaunchWorld } from '../../testing/launch-world.ts';
import { describeEachStore } from '../../testing/stores.ts';
import { globalScopeId, newId } from '../store/ids.ts';
import { packDelivery } from './commands.ts';
import { outdatedLaunches } from './outdated.ts';
import { receiptRow } from './receipts.ts';
import type { ReceiptDraft } from './resolve.ts';

describeEachStore('what is outdated', (_, database) => {
  let world: LaunchWorld;

  beforeAll(async () => {
    world = await openLaunchWorld({ database });
  });
  afterAll(() => world.close());

  const secretOf = (key: string) =>
    world.test.store.db.selectFrom('secrets').selectAll().where('key', '=', key).executeTakeFirstOrThrow();

  /** A workload of the domain that has got the version of a secret which is current now. */
  const deliver = async (key: string): Promise<string> => {
    const { store } = world.test;
    const secret = await secretOf(key);
    const id = newId('launch');
    await store.execute('launches.create', {
      id,
      scopeId: world.finance.id,
      subjectId: world.idOf('ann'),
      configurationId: null,
      configurationRevision: null,
      requested: '[]',
      lifetimeMilliseconds: 60_000,
    });
    const receipt: ReceiptDraft = {
      name: 'KEY',
      pointer: '/references/0',
      reference: `secret://domain/managed/${key}`,
      secretId: secret.id,
      sourceId: secret.source_id,
      sourceName: 'managed',
      targetKey: key,
      version: `${secret.current_epoch}.${secret.current_version}`,
      fingerprint: null,
      outcome: 'resolved',
      milliseconds: 0,
      unmasked: null,
    };
    const delivery = {
      id,
      scopeId: world.finance.id,
      thumbprint: 'thumbprint',
      leaseMilliseconds: 60_000,
      receipts: [receiptRow(receipt)],
      secretIds: [secret.id],
    };
    await store.execute('launches.deliver', packDelivery(delivery));
    return id;
  };
  const drift = async (filter: { readonly scopeId?: string; readonly targetScopeId?: string } = {}) => {
    const args = { scopeId: world.finance.id, includesEnded: false, limit: 50, ...filter };
    return (await world.test.store.query('launches.drift', args)).map(({ launch_id }) => launch_id);
  };
  const add = (key: string) => world.addSecret(world.finance, key, { value: `first value of ${key}` });
  const rotate = (key: string) => world.rotate(world.finance, key, { value: `second value of ${key}` });
  const end = (...ids: readonly string[]) =>
    Promise.all(ids.map((id) => world.test.store.execute('launches.end', { id })));

  it('is what a launch that is not over has of a secret that was rotated', async () => {
    await add('rotated');
    const [old, over] = [await deliver('rotated'), await deliver('rotated')];
    expect(await drift()).toEqual([]);
    await rotate('rotated');
    await end(over);
    const current = await deliver('rotated');
    expect(await drift()).toEqual([old]);
    expect(await drift({ targetScopeId: globalScopeId })).toEqual([]);
    await end(old, current);
    expect(await drift()).toEqual([]);
  });

  it('is what it has of one that is deleted, and still when that is purged; not of one that is restored', async () => {
    await add('deleted');
    const id = await deliver('deleted');
    const { id: secretId } = await secretOf('deleted');
    const { store } = world.test;
    const remove = { secretId, expectedRevision: null, force: false, retentionMilliseconds: 1, by: 'user:root' };
    await store.execute('secret.delete', remove);
    expect(await drift()).toEqual([id]);
    await store.execute('secret.restore', { secretId, by: 'user:root' });
    expect(await drift()).toEqual([]);
    await store.execute('secret.delete', remove);
    await store.execute('secret.purge', { secretId });
    expect(await drift()).toEqual([id]);
    await end(id);
    expect(await drift()).toEqual([]);
  });

  it('is listed page by page, however many there are', async () => {
    await add('shared');
    const ids: string[] = [];
    for (let n = 0; n < 1_010; n += 101)
      ids.push(...(await Promise.all(Array.from({ length: 101 }, () => deliver('shared')))));
    await rotate('shared');
    const { db } = world.test.store;
    expect(await outdatedLaunches({ db }, { scopeId: world.finance.id })).toBeNull();
    const [newest] = await drift();
    expect(ids).toContain(newest);
    await end(...ids.slice(5));
    expect((await drift()).sort()).toEqual(ids.slice(0, 5).sort());
  });
});
