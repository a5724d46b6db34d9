import { afterAll, beforeAll, expect, it } from 'vitest';
import { ephemeralJwk } from '../../testing/bodies.ts';
import { ended, type LaunchWorld, openLaunchWorld } from '../../testing/launch-world.ts';
import { describeEachStore } from '../../testing/stores.ts';
import { newId } from '../store/ids.ts';
import { RunReader } from './reader.ts';
import { Redeployer, type RedeployRequest } from './redeploy.ts';

describeEachStore('starting anew what drifted', (_, database) => {
  let world: LaunchWorld;
  let redeployer: Redeployer;

  beforeAll(async () => {
    world = await openLaunchWorld({ database, runner: { maxConcurrent: 8 } });
    const { store, keys } = world.test;
    const made = { created_at: 1, created_by: 'system' };
    const bundle = {
      id: `bnd_${world.finance.id.slice(4)}x`,
      scope_id: world.finance.id,
      name: 'olgas',
      description: '',
      owner_id: world.idOf('olga'),
      is_default: 0,
      managed_by: null,
      revision: 1,
      ...made,
      updated_at: 1,
    };
    await store.execute('test.rows', { insert: [{ table: 'bundles', values: bundle }] });
    redeployer = new Redeployer({
      store,
      access: world.access,
      runs: world.runs,
      reader: new RunReader(store, world.access, keys),
      report: (message, error) => world.reports.push({ message, error }),
    });
  });
  afterAll(() => world.close());

  const redeploy = async (by: string, request: RedeployRequest) =>
    redeployer.redeploy(await world.caller(by), world.finance, request, new AbortController().signal);
  const until = async (id: string, isThere: (row: Awaited<ReturnType<typeof world.rowOf>>) => boolean) => {
    for (;;) {
      const row = await world.rowOf(id);
      if (isThere(row)) return row;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  /** A job with a secret of its own and a run that holds the first of its two versions. */
  const drifted = async (name: string, command: readonly string[] = ['sleep', '300']) => {
    await world.addSecret(world.finance, `${name}-key`, { value: `first value of ${name}` });
    const secret = { scope: 'domain', source: 'managed', key: `${name}-key` } as const;
    const job = await world.addJob({ name, command: [...command], environment: [{ name: 'KEY', secret }] });
    const { id } = await world.runs.start(await world.caller('ann'), job);
    await until(id, ({ pid }) => pid !== null);
    await world.rotate(world.finance, `${name}-key`, { value: `second value of ${name}` });
    return { id, job };
  };
  const stop = async (...ids: readonly string[]) => {
    for (const id of ids) {
      await world.runs.stop(await until(id, ({ pid }) => pid !== null), await world.caller('ann'), world.finance);
      await ended(world.rowOf, id);
    }
  };
  const driftedRuns = async () =>
    (await world.test.store.query('launches.drifted', { scopeId: world.finance.id, limit: 10 })).map(({ id }) => id);

  it('starts a new run, leaves the old one, and starts no second one when it is repeated', async () => {
    const { id } = await drifted('repeated');
    const first = await redeploy('ann', { sparkJobs: ['repeated'] });
    const [item] = first.items;
    expect(first).toEqual({
      isComplete: true,
      items: [
        {
          outcome: 'started',
          job: 'repeated',
          surface: 'spark-job',
          run: item?.run,
          old: [{ launch: id, outcome: 'running' }],
        },
      ],
    });
    expect(await redeploy('ann', { all: true })).toMatchObject({
      items: [{ outcome: 'current', run: item?.run, old: [{ launch: id, outcome: 'running' }] }],
    });
    expect((await world.rowOf(id)).state).toBe('running');
    // Asked again to stop what is old, it does so for the run that is there already.
    expect(await redeploy('ann', { launches: [id], stopOld: true })).toMatchObject({
      items: [{ outcome: 'current', launch: id, run: item?.run, old: [{ launch: id, outcome: 'stopping' }] }],
    });
    expect((await ended(world.rowOf, id)).state).toBe('stopped');
    expect(await driftedRuns()).toEqual([]);
    expect(await redeploy('ann', { sparkJobs: ['repeated'], launches: [id], stopOld: true })).toMatchObject({
      items: [
        { outcome: 'current', job: 'repeated', old: [] },
        { outcome: 'current', launch: id, old: [] },
      ],
    });
    await stop(item?.run ?? '');
  });

  it('starts one run for all who ask at the same time, also when that ends at once, and asks of another server', async () => {
    for (const [name, command] of [
      ['at-once', ['sleep', '300']],
      ['brief', ['sh', '-c', 'case $KEY in first*) exec sleep 300;; esac']],
    ] as const) {
      const { id, job } = await drifted(name, command);
      const items = (
        await Promise.all(Array.from({ length: 4 }, () => redeploy('ann', { sparkJobs: [name], launches: [id] })))
      ).flatMap((answer) => answer.items);
      const started = items.filter(({ outcome }) => outcome === 'started');
      expect(started).toHaveLength(1);
      expect(items.map(({ run }) => run)).toEqual(items.map(() => started[0]?.run));
      const runs = await world.test.store.db
        .selectFrom('runs')
        .selectAll()
        .where('configuration_id', '=', job.id)
        .execute();
      expect(runs).toHaveLength(2);
      if (name === 'brief') await ended(world.rowOf, started[0]?.run ?? '');
      await stop(id, ...(name === 'brief' ? [] : [started[0]?.run ?? '']));
      if (world.test.store.dialect === 'sqlite') continue;
      // As two servers would: each makes runs in place of the first two, at the same time.
      const replica = await world.test.openReplica();
      const [old] = runs;
      if (old === undefined) throw new Error('There is no run');
      const driftedIds = runs.map((run) => run.id);
      const replaced = { configurationId: job.id, since: 0, askedAt: Date.now(), driftedIds };
      const create = (store: typeof replica) =>
        store.execute('runs.create', {
          id: newId('launch'),
          scopeId: old.scope_id,
          configurationId: job.id,
          configurationName: name,
          configurationRevision: 1,
          surface: old.surface,
          subjectId: old.subject_id,
          runner: old.runner,
          holder: old.holder ?? '',
          bootId: old.boot_id,
          maxUnfinished: 100,
          isOnly: false,
          replaced,
        });
      const answers = await Promise.allSettled(
        Array.from({ length: 8 }, (_run, index) => create(index % 2 === 0 ? world.test.store : replica)),
      );
      await replica.close();
      const made = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value.id] : []));
      expect(made).toHaveLength(1);
      for (const answer of answers)
        if (answer.status === 'rejected') expect(answer.reason).toMatchObject({ code: 'already_exists' });
      await world.runs.stop(await world.rowOf(made[0] ?? ''), await world.caller('ann'), world.finance);
    }
  });

  it('stops the old run when the new one has started, and lets it run when the new one fails', async () => {
    const { id } = await drifted('replaced');
    const { items } = await redeploy('ann', { all: true, stopOld: true });
    expect(items).toMatchObject([{ outcome: 'started', old: [{ launch: id, outcome: 'stopping' }] }]);
    expect((await ended(world.rowOf, id)).state).toBe('stopped');
    await stop(items[0]?.run ?? '');

    const broken = await drifted('broken');
    const olga = await world.caller('olga');
    await world.secrets.delete(olga, world.finance, 'broken-key', { force: true, ifMatch: undefined });
    const failed = await redeploy('ann', { all: true, stopOld: true });
    expect(failed.items).toMatchObject([
      {
        outcome: 'started',
        old: [
          { launch: broken.id, outcome: 'refused', problem: { detail: 'The new run failed, so this one runs on.' } },
        ],
      },
    ]);
    expect((await world.rowOf(broken.id)).state).toBe('running');
    await stop(broken.id);
  });

  it('answers each for itself: RUN is needed, and what is not seen is not there', async () => {
    const { id } = await drifted('guarded');
    const other = await drifted('open');
    await world.jobs.suspend(await world.caller('ann'), await world.asset('guarded'), true);
    const mixed = await redeploy('ann', { sparkJobs: ['guarded', 'absent', 'open'] });
    expect(mixed.items.map(({ outcome, job, problem }) => [job, outcome, problem?.code]).toSorted()).toEqual([
      ['absent', 'refused', 'not_found'],
      ['guarded', 'refused', 'state_conflict'],
      ['open', 'started', undefined],
    ]);
    await world.jobs.suspend(await world.caller('ann'), await world.asset('guarded'), false);

    // Who may run something, and not this.
    await world.jobs.update(await world.caller('olga'), await world.asset('guarded'), {
      input: { command: ['sleep', '300'] },
      bundle: 'olgas',
    });
    const notThere = async (request: RedeployRequest) =>
      (await redeploy('ann', request)).items.map(({ job: _job, launch: _launch, ...rest }) => rest);
    expect(await notThere({ sparkJobs: ['guarded'] })).toEqual(await notThere({ sparkJobs: ['absent'] }));
    expect(await notThere({ launches: [id] })).toEqual(await notThere({ launches: ['lch_absent'] }));
    expect((await redeploy('ann', { all: true })).items.map(({ job }) => job)).toEqual(['open']);

    for (const request of [{ sparkJobs: ['guarded'] }, { launches: [id] }, { all: true } as const])
      for (const nobody of ['vic', 'eve'])
        await expect(redeploy(nobody, request)).rejects.toMatchObject({
          code: nobody === 'vic' ? 'permission_missing' : 'not_found',
        });
    expect((await world.rowOf(id)).state).toBe('running');
    const started = mixed.items.flatMap(({ run }) => run ?? []);
    await stop(id, other.id, ...started);
  });

  it('reports launches by workloads to who may list secrets, and touches none', async () => {
    await world.addSecret(world.finance, 'workload-key', { value: 'first value' });
    const svc = await world.caller('svc');
    const launch = await world.launches.create(svc, world.finance, {
      references: [{ name: 'KEY', reference: 'secret://domain/managed/workload-key' }],
    });
    const { x } = ephemeralJwk();
    const publicKey = { kty: 'OKP', crv: 'X25519', x: x ?? '' } as const;
    await world.launches.resolve(svc, launch.id, publicKey, new AbortController().signal);
    await world.rotate(world.finance, 'workload-key', { value: 'second value' });
    const item = { outcome: 'reported', launch: launch.id, old: [{ launch: launch.id, outcome: 'running' }] };
    expect((await redeploy('ann', { all: true, stopOld: true })).items).toEqual([item]);
    expect((await redeploy('ann', { launches: [launch.id], stopOld: true })).items).toEqual([item]);
    await world.launches.end(svc, launch.id);
    expect(await driftedRuns()).toEqual([]);
  });

  it('takes all, or names, and never both or neither', async () => {
    for (const request of [{}, { stopOld: true }, { all: true, sparkJobs: ['a'] }, { all: true, launches: ['lch_a'] }])
      await expect(redeploy('ann', request as RedeployRequest)).rejects.toMatchObject({ code: 'validation_failed' });
  });

  it('reports nothing as a fault of its own', () => {
    expect(world.reports).toEqual([]);
  });
});
