// Tests write small databases by the hundred, flush each commit, and remove everything: in memory that takes a tenth of the
// time of all of them. What tests show is the same: they kill processes, not the machine.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

const memory = '/dev/shm';
/** Of tmpfs in Linux (`linux/magic.h`). */
const tmpfs = 0x0102_1994;
/** Four times what the tests have there at most. */
const wantedBytes = 2 * 1024 ** 3;

/** Vitest calls it once, before it starts its workers; what is returned, at the end. Who sets TMPDIR has chosen. */
export function setup(): (() => void) | undefined {
  if (process.env['TMPDIR'] !== undefined || !hasRoomInMemory()) return undefined;
  const folder = mkdtempSync(join(memory, 'strongroom-tests-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  // Databases and jobs may run under users of their own: they pass through, and list nothing.
  chmodSync(folder, 0o711);
  if (!canRunIn(folder)) {
    remove();
    return undefined;
  }
  process.env['TMPDIR'] = folder;
  // Also when the tests are interrupted.
  process.once('exit', remove);
  return remove;
}

function hasRoomInMemory(): boolean {
  if (process.platform !== 'linux' || tmpdir() === memory) return false;
  try {
    const { type, bavail, bsize } = statfsSync(memory);
    return type === tmpfs && bavail * bsize >= wantedBytes;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw error;
  }
}

/** Containers often mount it so that nothing in it may be run. */
function canRunIn(folder: string): boolean {
  const program = join(folder, 'can-run');
  writeFileSync(program, '#!/bin/sh\nexit 0\n', { mode: 0o700 });
  const { status } = spawnSync(program);
  rmSync(program);
  return status === 0;
}
