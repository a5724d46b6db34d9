import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Canaries } from '../../testing/canaries.ts';
import { type LaunchWorld, openLaunchWorld } from '../../testing/launch-world.ts';

describe('runs', () => {
  let world: LaunchWorld;
  beforeAll(async () => {
    world = await openLaunchWorld();
  });
  afterAll(async () => {
    await world.close();
  });

  it('gives a command its secret and masks it in the log', async () => {
    const canaries = new Canaries();
    const value = canaries.text('password');
    await world.addSecret(world.finance, 'db-password', { value });
    const job = await world.addJob({
      name: 'nightly-report',
      command: ['sh', '-c', 'printf "%s" "$PGPASSWORD" | wc -c; echo "the password is $PGPASSWORD on $PGHOST"'],
      environment: [
        { name: 'PGPASSWORD', secret: { scope: 'domain', source: 'managed', key: 'db-password' } },
        { name: 'PGHOST', value: '127.0.0.1' },
      ],
    });
    const { id, row, log } = await world.finish(job);
    expect(world.reports).toEqual([]);
    expect(row).toMatchObject({ state: 'succeeded', exit_code: 0, failure_code: null });
    expect(log).toBe(`${Buffer.byteLength(value)}\nthe password is [redacted:PGPASSWORD] on 127.0.0.1\n`);
    canaries.saw('run', JSON.stringify(row));
    canaries.watchDirectory(world.test.directory);
    canaries.watchDirectory(world.runDirectory);
    canaries.assertNoLeak();
    expect(id).toBe(row.id);
  });
});
