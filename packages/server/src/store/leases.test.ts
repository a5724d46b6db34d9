import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import type { TestCommands, TestQueries } from '../../testing/store-program.ts';
import { describeEachStore, type TestStore } from '../../testing/stores.ts';
import { withLease } from './leases.ts';
import type { Store } from './store.ts';

const program = new URL('../../testing/store-program.ts', import.meta.url);

describeEachStore('leases', (openStore) => {
  let t: TestStore<TestCommands, TestQueries>;
  let store: Store;
  beforeAll(async () => {
    t = await openStore<TestCommands, TestQueries>({ program });
    // The suite's program has the store's own commands, which is all that leases use.
    store = t.store;
  });

  test('one holder at a time; the next has a greater epoch', async () => {
    const epochs: number[] = [];
    const first = await withLease(store, 'sweep', 'a', 60_000, async (lease) => {
      epochs.push(lease.epoch);
      expect(await withLease(store, 'sweep', 'b', 60_000, async () => 'never')).toEqual({ held: false });
      expect(await withLease(store, 'sweep', 'a', 60_000, async () => 'never')).toEqual({ held: false });
      expect(await withLease(store, 'other', 'b', 60_000, async () => 'other')).toEqual({
        held: true,
        result: 'other',
      });
      return 'done';
    });
    expect(first).toEqual({ held: true, result: 'done' });
    await withLease(store, 'sweep', 'b', 60_000, async (lease) => epochs.push(lease.epoch));
    expect(epochs[1]).toBeGreaterThan(epochs[0] ?? Infinity);
  });

  test('released when the work throws', async () => {
    const broken = withLease(store, 'breaks', 'a', 60_000, () => Promise.reject(new RangeError('broken')));
    await expect(broken).rejects.toThrow('broken');
    expect(await withLease(store, 'breaks', 'b', 60_000, async () => true)).toEqual({ held: true, result: true });
  });

  test('renewed while the work goes on', async () => {
    // Who asks right after a renewal is in one transaction with it: no time goes by between them.
    const refused: Promise<{ readonly epoch: number | null }>[] = [];
    const execute: Store['execute'] = (name, args, options) => {
      const answer = store.execute(name, args, options);
      if (name === 'lease.renew')
        refused.push(store.execute('lease.acquire', { name: 'long', holder: 'b', ttlMilliseconds: 300 }));
      return answer;
    };
    const from = performance.now();
    await withLease({ execute }, 'long', 'a', 300, async () => {
      await expect.poll(() => performance.now() - from > 900 && refused.length > 1).toBe(true);
    });
    for (const answer of refused) expect(await answer).toEqual({ epoch: null });
  });

  test('a holder that slept past its time is fenced, also after the next one released it', async () => {
    // A stopped process renews nothing; here its lease just is as short as its sleep.
    const old = await store.execute('lease.acquire', { name: 'paused', holder: 'a', ttlMilliseconds: 50 });
    await sleep(100);
    const late = (key: string) =>
      t.store.execute('test.complete', { key, value: '', lease: { name: 'paused', epoch: old.epoch ?? 0 } });
    await withLease(store, 'paused', 'b', 60_000, async (lease) => {
      expect(lease.epoch).toBeGreaterThan(old.epoch ?? Infinity);
      await t.store.execute('test.complete', { key: 'by-b', value: '', lease });
      await expect(late('by-a')).rejects.toMatchObject({ code: 'version_conflict' });
    });
    await expect(late('by-a')).rejects.toMatchObject({ code: 'version_conflict' });
    const renewal = { name: 'paused', epoch: old.epoch ?? 0, ttlMilliseconds: 60_000 };
    expect(await store.execute('lease.renew', renewal)).toEqual({ isHeld: false });
    expect(await t.store.query('test.list', { prefix: 'by-' })).toEqual([{ key: 'by-b' }]);
  });

  test('held until a time that no clock could have said is free: the clock was set back since', async () => {
    // As if it had been taken ten minutes from now, for as long as the next one wants it.
    const ahead = { name: 'set-back', holder: 'a', ttlMilliseconds: 30_000 + 600_000 };
    const old = await store.execute('lease.acquire', ahead);
    const slightly = { name: 'apart', holder: 'a', ttlMilliseconds: 30_000 + 50_000 };
    await store.execute('lease.acquire', slightly);
    const next = await store.execute('lease.acquire', { name: 'set-back', holder: 'b', ttlMilliseconds: 30_000 });
    expect(next.epoch).toBeGreaterThan(old.epoch ?? Infinity);
    expect(await store.execute('lease.acquire', { name: 'apart', holder: 'b', ttlMilliseconds: 30_000 })).toEqual({
      epoch: null,
    });
  });

  test('the signal aborts when the lease was taken over', async () => {
    await withLease(store, 'stolen', 'a', 90, async (lease) => {
      // Together: a renewal between them would keep it.
      const [, taken] = await Promise.all([
        store.execute('lease.release', { name: 'stolen', epoch: lease.epoch }),
        store.execute('lease.acquire', { name: 'stolen', holder: 'b', ttlMilliseconds: 60_000 }),
      ]);
      expect(taken.epoch).toBeGreaterThan(lease.epoch);
      await expect.poll(() => lease.signal.aborted).toBe(true);
    });
  });
});
