import { spawn } from 'node:child_process';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { failover } from '../bench/drills/failover-drill.ts';
import { postgresUnavailable, startPostgres } from '../packages/server/testing/postgres.ts';
import { testChild, testProgram } from '../packages/server/testing/programs.ts';
import type { TestCommands, TestQueries } from '../packages/server/testing/store-program.ts';
import { openPostgresStore } from '../packages/server/src/store/postgres.ts';

const missing = postgresUnavailable();
const note = missing === undefined ? '' : ` (skipped: ${missing})`;
const leaseMilliseconds = 1_000;

describe.skipIf(missing !== undefined)(`several PostgreSQL servers${note}`, () => {
  it('a primary killed, its standby promoted, the old one back: nothing lost, nothing twice', async () => {
    expect(await failover()).toContain('none lost and none made twice');
  });

  it('a process that sleeps past its lease writes nothing more under it', async () => {
    const postgres = await startPostgres();
    const url = await postgres.createDatabase('code-point');
    const store = await openPostgresStore<TestCommands, TestQueries>({ url, program: testProgram('store-program') });
    const child = spawn(process.execPath, [testChild('lease-child'), url, 'paused', String(leaseMilliseconds)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said: readonly string[] = [];
    child.stdout.on('data', (chunk: Buffer) => (said = [...said, ...chunk.toString('utf8').trim().split('\n')]));
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    try {
      // Then it stops itself.
      await expect.poll(() => said.length, { timeout: 60_000 }).toBe(5);
      await sleep(leaseMilliseconds);
      const taken = (): Promise<{ readonly epoch: number | null }> =>
        store.execute('lease.acquire', { name: 'paused', holder: 'parent', ttlMilliseconds: 60_000 });
      let lease = await taken();
      for (; lease.epoch === null; lease = await taken()) await sleep(50);
      const before = await store.query('test.list', { prefix: 'paused-child-' });
      const own = { name: 'paused', epoch: lease.epoch };
      await store.execute('test.complete', { key: 'paused-parent', value: '', lease: own });
      child.kill('SIGCONT');
      expect(await ended).toBe(0);
      expect(said.at(-1)).toBe('version_conflict');
      expect(await store.query('test.list', { prefix: 'paused-child-' })).toEqual(before);
      expect(before.length).toBe(said.length - 1);
    } finally {
      child.kill('SIGKILL');
      await store.close();
      await postgres.stop();
    }
  });
});
