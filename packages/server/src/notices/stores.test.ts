import { afterAll, beforeAll, expect, it } from 'vitest';
import { type LaunchWorld, openLaunchWorld } from '../../testing/launch-world.ts';
import { describeEachStore } from '../../testing/stores.ts';
import { newId } from '../store/ids.ts';
import { laneOf } from './lanes.ts';

const dayMilliseconds = 86_400_000;

describeEachStore('notices', (_, database) => {
  let world: LaunchWorld;
  beforeAll(async () => {
    world = await openLaunchWorld({ database });
  });
  afterAll(() => world.close());

  it('are found once for each due date, tried, ended, listed and swept', async () => {
    const { store } = world.test;
    const { id: scopeId } = world.finance;
    for (const key of ['one', 'two']) await world.addSecret(world.finance, key, { value: `value of ${key}` });
    const secretOf = (key: string) =>
      store.db.selectFrom('secrets').select(['id', 'rotated_at']).where('key', '=', key).executeTakeFirstOrThrow();
    const [one, two] = [await secretOf('one'), await secretOf('two')];
    const now = Date.now() + 2 * dayMilliseconds;
    const expiresAt = now + 5 * dayMilliseconds;
    const edit = { expectedRevision: null, by: 'user:ann' };
    await store.execute('secret.update', { secretId: one.id, changes: { expiresAt }, ...edit });
    await store.execute('secret.update', { secretId: two.id, changes: { rotateEveryDays: 1 }, ...edit });
    const settings = {
      scopeId,
      expectedRevision: null,
      recipients: ['ann@example.org'],
      webhook: {
        url: 'https://hooks.example.org',
        signing: { reference: 'secret://domain/managed/one', sourceId: 'src_none', key: 'one' },
      },
      authorisedBy: world.idOf('ann'),
      expiryLeadDays: 4,
      by: 'user:ann',
    };
    await store.execute('notices.putSettings', settings);
    const dueAt = two.rotated_at + dayMilliseconds;
    const rotation = { secretId: two.id, scopeId, key: 'two', kind: 'rotation', dueAt };
    expect(await store.query('notices.due', { now, limit: 10 })).toEqual([rotation]);
    await store.execute('notices.putSettings', { ...settings, expiryLeadDays: 5 });
    const due = await store.query('notices.due', { now, limit: 10 });
    expect(due).toEqual([{ secretId: one.id, scopeId, key: 'one', kind: 'expiry', dueAt: expiresAt }, rotation]);

    const { epoch } = await store.execute('lease.acquire', { name: 'job.test', holder: 'x', ttlMilliseconds: 60_000 });
    const lease = { name: 'job.test', epoch: epoch ?? 0 };
    const withIds = due.map((each) => ({ ...each, id: newId('notice') }));
    const record = { lease, now, due: withIds };
    expect(await store.execute('notices.record', record)).toEqual({ made: 2 });
    const again = { lease, now, due: due.map((each) => ({ ...each, id: newId('notice') })) };
    expect(await store.execute('notices.record', again)).toEqual({ made: 0 });
    expect(await store.query('notices.due', { now, limit: 10 })).toEqual([]);
    const stale = { ...record, lease: { ...lease, epoch: lease.epoch - 1 } };
    await expect(store.execute('notices.record', stale)).rejects.toMatchObject({ code: 'version_conflict' });

    const left = async (...without: string[]) =>
      (await store.query('notices.pending', { now, limit: 10, without })).map(laneOf).toSorted();
    const [ofScope, ofMail] = [Array(2).fill(scopeId), Array(2).fill('mail')];
    expect(await left()).toEqual([...ofScope, ...ofMail]);
    expect(await left('dom_none')).toEqual([...ofScope, ...ofMail]);
    expect(await left('mail')).toEqual(ofScope);
    expect(await left(scopeId)).toEqual(ofMail);
    expect(await left('mail', scopeId)).toEqual([]);
    const called = withIds.map(({ id: noticeId }) => ({ noticeId, channel: 'webhook' as const, recipient: '' }));
    const taken = called.map((key) => ({ ...key, state: 'delivered' as const, problem: null }));
    await store.execute('notices.settle', { lease, ends: taken });
    const pending = await store.query('notices.pending', { now, limit: 10 });
    expect(pending.map(({ key, holds, scope_name: name }) => [key, holds, name]).toSorted()).toEqual([
      ['one', 1, 'finance'],
      ['two', 1, 'finance'],
    ]);
    const keys = withIds.map(({ id }) => ({ noticeId: id, channel: 'mail' as const, recipient: 'ann@example.org' }));
    const nextAt = now + 60_000;
    await store.execute('notices.attempt', { lease, deliveries: keys.map((key) => ({ ...key, nextAt })) });
    expect(await store.query('notices.pending', { now, limit: 10 })).toEqual([]);
    await store.execute('secret.update', { secretId: one.id, changes: { expiresAt: null }, ...edit });
    const later = await store.query('notices.pending', { now: nextAt, limit: 10 });
    expect(later.map(({ key, holds, attempts }) => [key, holds, attempts]).toSorted()).toEqual([
      ['one', 0, 1],
      ['two', 1, 1],
    ]);
    const ends = keys.map((key) => ({ ...key, state: 'delivered' as const, problem: null }));
    await store.execute('notices.settle', { lease, ends });
    const page = { scopeId, q: null, after: null, limit: 1 };
    const [newest] = await store.query('notices.list', page);
    expect(newest?.deliveries).toContainEqual(expect.objectContaining({ state: 'delivered', attempts: 1 }));
    const after = [newest?.notice.id ?? ''];
    expect(await store.query('notices.list', { ...page, after })).toHaveLength(1);
    expect(await store.execute('notices.sweep', { before: Date.now() + 1, limit: 10 })).toEqual({ removed: 1 });
    expect((await store.query('notices.list', { ...page, limit: 10 })).map(({ notice }) => notice.key)).toEqual([
      'two',
    ]);
  });
});
