import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Row } from '../../testing/launch-program.ts';
import { type LaunchWorld, openLaunchWorld } from '../../testing/launch-world.ts';
import { describeEachStore } from '../../testing/stores.ts';
import { globalScopeId, newId } from '../store/ids.ts';
import { type HeldLease, withLease } from '../store/leases.ts';
import { packDelivery } from './commands.ts';
import { outdatedLaunches } from './outdated.ts';
import { receiptRow } from './receipts.ts';
import type { ReceiptDraft } from './resolve.ts';
import { type Removed, removeOldLaunches } from './retention.ts';

describeEachStore('receipts', (_, database) => {
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
      lifetimeMilliseconds: 3_600_000,
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
      leaseMilliseconds: 3_600_000,
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

  describe('a launch whose retention is over', () => {
    const day = 24 * 60 * 60_000;
    const before = Date.now() - 90 * day;
    const longAgo = before - 100 * day;

    /** A round of the job; `work` sees what each batch removed. */
    const round = async (work: (removed: Removed, lease: HeldLease) => void = () => undefined) => {
      const { store } = world.test;
      return withLease(store, 'job.remove-old-launches', 'test', 30_000, async (lease) => {
        const stop = new AbortController();
        const stoppable = { ...lease, signal: stop.signal };
        const onRemoved = (removed: Removed) => {
          work(removed, lease);
          if (removed.launches === 50) stop.abort();
        };
        await removeOldLaunches(store, { before, lease: stoppable, onRemoved });
      });
    };
    const rows = (insert: readonly Row[]) => world.test.store.execute('test.rows', { insert });
    const launchRow = (configurationId: string | null, endedAt: number | null, kind: 'run' | 'workload'): Row => ({
      table: 'launches',
      values: {
        id: newId('launch'),
        scope_id: world.finance.id,
        kind,
        configuration_id: configurationId,
        configuration_revision: null,
        subject_id: world.idOf('svc'),
        requested: '[]',
        created_at: endedAt ?? longAgo,
        expires_at: endedAt ?? longAgo,
        jwk_thumbprint: null,
        bound_at: null,
        heartbeat_until: null,
        ended_at: endedAt,
      },
    });
    const runRow = (launch: Row, logBytes: number): Row => ({
      table: 'runs',
      values: {
        id: idOf(launch),
        scope_id: world.finance.id,
        configuration_id: (launch.values as { configuration_id: string }).configuration_id,
        configuration_name: 'kept',
        surface: 'spark-job',
        state: 'succeeded',
        subject_id: world.idOf('svc'),
        runner: 'process',
        holder: null,
        boot_id: null,
        pid: null,
        pid_started: null,
        exit_code: 0,
        signal: null,
        failure_code: null,
        failure_detail: null,
        created_at: (launch.values as { created_at: number }).created_at,
        started_at: null,
        ended_at: (launch.values as { ended_at: number | null }).ended_at,
        log_bytes: logBytes,
        log_cut: 0,
        revision: 1,
      },
    });
    const idOf = (row: Row): string => (row.values as { readonly id: string }).id;
    const left = async (ids: readonly string[]) => {
      const found = await world.test.store.db.selectFrom('launches').select('id').where('id', 'in', ids).execute();
      return ids.map((id) => found.some((row) => row.id === id));
    };
    const endedAt = (id: string, at: number) =>
      world.test.store.execute('test.rows', { update: [{ table: 'launches', id, set: { ended_at: at } }] });

    it('is forgotten with its receipts, and told so to who still asks', async () => {
      await add('lasting');
      await add('vanishing');
      const svc = await world.caller('svc');
      const { x = '' } = generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' });
      const resolve = (id: string) => world.launches.resolve(svc, id, { kty: 'OKP', crv: 'X25519', x });
      const references = [{ name: 'V', reference: 'secret://domain/managed/vanishing' }];
      const { id: asked } = await world.launches.create(svc, world.finance, { references });
      await resolve(asked);
      const [old, recent, live] = [await deliver('lasting'), await deliver('lasting'), await deliver('lasting')];
      await end(old, asked, recent);
      for (const id of [old, asked]) await endedAt(id, before - 1);
      await endedAt(recent, before);
      await world.secrets.delete(await world.caller('root'), world.finance, 'vanishing', {
        force: true,
        ifMatch: undefined,
      });
      const removed: Removed[] = [];
      await round((batch) => removed.push(batch));
      expect(removed).toEqual([{ launches: 2, runs: 0, receipts: 2 }]);
      expect(await left([old, asked, recent, live])).toEqual([false, false, true, true]);
      const receipts = world.test.store.db.selectFrom('receipts').select('launch_id');
      expect(await receipts.where('launch_id', 'in', [old, asked]).execute()).toEqual([]);
      await expect(resolve(asked)).rejects.toMatchObject({ code: 'not_found' });
      await expect(world.launches.heartbeat(svc, asked)).rejects.toMatchObject({ code: 'not_found' });
      const { record } = await world.test.store.db
        .selectFrom('audit_records')
        .select('record')
        .where('action', '=', 'launch.remove')
        .executeTakeFirstOrThrow();
      expect(JSON.parse(Buffer.from(record).toString('utf8'))).toMatchObject({
        principal: { id: 'system' },
        because: ['retention-over'],
        detail: { launches: 2, runs: 0, receipts: 2 },
      });
    });

    it('stays as the last one of a configuration, with a log, and with something in a cluster', async () => {
      const kept = (await world.addJob({ name: 'kept', command: ['true'] })).id;
      const [lonely, other] = [launchRow(kept, longAgo, 'workload'), launchRow(kept, longAgo + 5, 'workload')];
      const [logged, placed, plain, last] = [1, 2, 3, 4].map((at) => launchRow(kept, longAgo + at, 'run')) as [
        Row,
        Row,
        Row,
        Row,
      ];
      const ofGone = launchRow('cfg_gone', longAgo, 'workload');
      const open = launchRow(null, null, 'workload');
      const all = [lonely, logged, placed, plain, last, other, ofGone, open];
      const workload = {
        run_id: idOf(placed),
        cluster_id: 'cls',
        namespace: 'jobs',
        form: 'job',
        name: 'kept',
        filled_at: null,
        removed_at: null,
      } as const;
      await rows(all);
      await rows([logged, placed, plain, last].map((row) => runRow(row, row === logged ? 1 : 0)));
      await rows([{ table: 'run_workloads', values: workload }]);
      await round();
      const stays = [false, true, true, false, true, true, false, true];
      expect(await left(all.map(idOf))).toEqual(stays);
      const runs = await world.test.store.db
        .selectFrom('runs')
        .select('id')
        .where('configuration_id', '=', kept)
        .execute();
      expect(runs.map(({ id }) => id).toSorted()).toEqual([logged, placed, last].map(idOf).toSorted());
      await world.test.store.execute('test.rows', {
        update: [{ table: 'runs', id: idOf(logged), set: { log_bytes: 0 } }],
      });
      await world.test.store.execute('runs.workloadRemoved', { id: idOf(placed) });
      await round();
      expect(await left([logged, placed, last, other].map(idOf))).toEqual([false, false, true, true]);
    });

    it('goes in batches, each for good, and by nobody whose lease is another’s', async () => {
      const all = Array.from({ length: 80 }, (_each, n) => launchRow(null, longAgo + n, 'workload'));
      await rows(all);
      let stale: HeldLease | undefined;
      await round((_removed, lease) => (stale = lease));
      expect((await left(all.map(idOf))).indexOf(true)).toBe(50);
      await expect(
        world.test.store.execute('launches.remove', {
          lease: { name: stale?.name ?? '', epoch: (stale?.epoch ?? 0) - 1 },
          before,
          ids: all.map(idOf),
        }),
      ).rejects.toMatchObject({ code: 'version_conflict' });
      const removed: number[] = [];
      await round(({ launches }) => removed.push(launches));
      expect(removed).toEqual([30]);
      expect(await left(all.map(idOf))).not.toContain(true);
    });
  });
});
