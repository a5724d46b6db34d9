import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmdirSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const mebibyte = 1024 * 1024;

/** A small file system in memory, mounted for a test; needs root. */
export interface SmallDisk {
  readonly directory: string;
  freeBytes(): number;
  /** Fills it with a file until so many bytes are left. */
  fillTo(freeBytes: number): void;
  /** Takes the filling away. */
  empty(): void;
  unmount(): void;
}

/** Why none can be mounted here; undefined when one can. */
export function smallDiskUnavailable(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'mounting a small disk needs root on Linux';
  try {
    mountSmallDisk(1).unmount();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : 'a small disk could not be mounted';
  }
}

/** @param size in MiB */
export function mountSmallDisk(size: number): SmallDisk {
  const directory = mkdtempSync(join(tmpdir(), 'strongroom-disk-'));
  const run = (command: string, ...args: string[]): void => {
    const { status, error } = spawnSync(command, args, { stdio: 'ignore' });
    if (status !== 0) throw new Error(`${command} failed`, { cause: error });
  };
  try {
    run('mount', '-t', 'tmpfs', '-o', `size=${size}m`, 'tmpfs', directory);
  } catch (error) {
    rmdirSync(directory);
    throw error;
  }
  const filling = join(directory, 'filling');
  const freeBytes = (): number => {
    const { bavail, bsize } = statfsSync(directory);
    return bavail * bsize;
  };
  return {
    directory,
    freeBytes,
    fillTo(left) {
      const descriptor = openSync(filling, 'a');
      try {
        for (;;) {
          const bytes = freeBytes() - left;
          if (bytes <= 0) return;
          writeSync(descriptor, new Uint8Array(Math.min(bytes, mebibyte)));
        }
      } finally {
        closeSync(descriptor);
      }
    },
    empty: () => rmSync(filling, { force: true }),
    unmount() {
      run('umount', directory);
      rmdirSync(directory);
    },
  };
}
