import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ended, type LaunchWorld, openLaunchWorld } from '../../testing/launch-world.ts';
import { newId } from '../store/ids.ts';
import { defaultLogLimits, RunLogs } from './run-logs.ts';

describe('logs of runs', () => {
  let world: LaunchWorld;

  beforeAll(async () => {
    world = await openLaunchWorld();
  });
  afterAll(() => world.close());
  afterEach(() => {
    if (world.reports.length > 0) throw new Error(JSON.stringify(world.reports));
  });

  it('keeps logs within their quota, however many there are', async () => {
    const { store } = world.test;
    const finished = () =>
      store.db
        .selectFrom('runs')
        .select(['id', 'log_bytes'])
        .where('ended_at', 'is not', null)
        .orderBy('ended_at')
        .orderBy('id')
        .execute();
    const { row } = await world.finish(await world.addJob({ name: 'kept', command: ['true'] }));
    const others = Array.from({ length: 4 }, (_, index) => ({
      table: 'runs' as const,
      values: { ...row, id: newId('launch'), ended_at: Number(row.ended_at) - 9 + index },
    }));
    await store.execute('test.rows', { insert: others });
    const update = (await finished()).map(({ id }) => ({ table: 'runs', id, set: { log_bytes: 100 } }) as const);
    await store.execute('test.rows', { update });
    const settings = { ...defaultLogLimits, quotaBytes: 250, directory: world.runDirectory };
    await new RunLogs(store, settings).sweep(Date.now(), 2);
    const kept = (await finished()).map(({ log_bytes: bytes }) => bytes);
    expect(kept.length).toBeGreaterThan(4);
    expect(kept).toEqual(kept.map((_, index) => (index < kept.length - 2 ? 0 : 100)));
    // A log that was deleted is not an empty one.
    const [deleted = ''] = (await finished()).map(({ id }) => id);
    await expect(world.runs.log(await world.rowOf(deleted), false)).rejects.toMatchObject({
      code: 'log_gone',
      detail: `The log of ${deleted} was deleted, for its age or the quota.`,
    });
    // What another server took for too old or too much is taken away where it is.
    const ids = (await finished()).map(({ id }) => id);
    const paths = [ids[0], ids.at(-1)].map((id) => join(world.runDirectory, `${id}.log`));
    for (const path of paths) writeFileSync(path, '');
    await new RunLogs(store, settings).sweep(Date.now());
    expect(paths.map((path) => existsSync(path))).toEqual([false, true]);
    // Nor is one that is elsewhere.
    await expect(world.runs.log(await world.rowOf(ids.at(-2) ?? ''), false)).rejects.toMatchObject({
      code: 'log_gone',
      detail: expect.stringContaining('is not on this server'),
    });
  });

  it('follows a log until the run ends, and refuses to stop what has ended', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'strongroom-follow-'));
    // The job's user passes through it.
    chmodSync(directory, 0o711);
    const goOn = join(directory, 'go-on');
    const job = await world.addJob({
      name: 'slow',
      command: ['sh', '-c', 'echo "line 1"; while [ ! -e "$0" ]; do sleep 0.05; done; echo "line 2"', goOn],
    });
    const { id } = await world.runs.start(await world.caller('ann'), job);
    const seen: string[] = [];
    for await (const piece of await world.runs.log(await world.rowOf(id), true)) {
      seen.push(String(piece));
      if (seen.join('') === 'line 1\n') writeFileSync(goOn, '');
    }
    rmSync(directory, { recursive: true });
    expect(seen.join('')).toBe('line 1\nline 2\n');
    expect(seen.length).toBeGreaterThan(1);
    const row = await ended(world.rowOf, id);
    await expect(world.runs.stop(row, await world.caller('ann'), world.finance)).rejects.toMatchObject({
      code: 'state_conflict',
    });
    expect(await world.logOf(id)).toBe(seen.join(''));
  });

  it('follows to the end, also when it is asked while the log’s file is being made', async () => {
    const job = await world.addJob({ name: 'quick', command: ['echo', 'all of it'] });
    const caller = await world.caller('ann');
    for (let round = 0; round < 10; round += 1) {
      const { id } = await world.runs.start(caller, job);
      const row = await world.rowOf(id);
      while (!existsSync(join(world.runDirectory, 'run-logs', `${id}.log`))) await nextTurn();
      const log = await world.runs.log(row, true);
      expect(Buffer.concat(await log.toArray()).toString()).toBe('all of it\n');
      await ended(world.rowOf, id);
    }
  });
});
