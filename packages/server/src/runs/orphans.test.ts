import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kekFromBytes } from '@strongroom/crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ended, openLaunchWorld } from '../../testing/launch-world.ts';
import { testChild } from '../../testing/programs.ts';
import { processesOf } from './process-identity.ts';

describe.runIf(process.platform === 'linux')('runs of a server that was killed', () => {
  const directory = mkdtempSync(join(tmpdir(), 'strongroom-orphan-'));
  const kek = randomBytes(32);
  let runs: { readonly running: string; readonly queued: string };

  beforeAll(async () => {
    // It ignores SIGTERM, and has a child in a session of its own.
    const script = 'trap "" TERM; setsid sleep 300 & sleep 300';
    const program = testChild('run-kill-child');
    const child = spawn(process.execPath, [program, directory, kek.toString('hex'), 'sh', '-c', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = once(child, 'exit');
    let output = '';
    for await (const piece of child.stdout) {
      output += String(piece);
      if (output.includes('\n')) break;
    }
    child.kill('SIGKILL');
    await exited;
    runs = JSON.parse(output) as typeof runs;
  });

  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it('ends orphans, marks their runs, resumes what never began, and sweeps', async () => {
    await expect
      .poll(async () => (await processesOf(new Set([runs.running]))).get(runs.running)?.length)
      .toBeGreaterThanOrEqual(2);
    const world = await openLaunchWorld({ place: { directory, kek: kekFromBytes(kek) } });
    try {
      expect((await processesOf(new Set([runs.running]))).size).toBe(0);
      expect(await world.rowOf(runs.running)).toMatchObject({ state: 'failed', failure_code: 'orphaned' });
      expect(await ended(world.rowOf, runs.queued)).toMatchObject({ state: 'succeeded', exit_code: 0 });
      expect(await world.logOf(runs.queued)).toBe('ran once\n');
      const { installationId } = world.test.keys;
      for (const parent of ['/dev/shm', world.runDirectory])
        expect(existsSync(join(parent, `strongroom-runs-${installationId}`, runs.running))).toBe(false);
      expect(world.reports).toEqual([]);
    } finally {
      await world.close();
    }
  });
});
