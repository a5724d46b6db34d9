import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { serverFolder } from './cache.ts';
import type { Missing, Progress } from './live-server.ts';

export interface DebianPackages {
  readonly name: string;
  readonly version: string;
  /** What is unpacked, and not installed: nothing of the machine is changed. */
  readonly packages: readonly string[];
  /** A file that is there when all is. */
  readonly holds: string;
}

/** The folder that packages of Debian 12 are unpacked into, below which their files have their own paths. */
export function unpackDebianPackages(
  { name, version, packages, holds }: DebianPackages,
  progress: Progress,
): { readonly folder: string } | Missing {
  const folder = serverFolder(name, version, packages);
  if (existsSync(join(folder, holds))) return { folder };
  progress(`unpacking ${name} ${version}`);
  const unfinished = mkdtempSync(`${folder}-`);
  const downloaded = spawnSync('apt-get', ['download', ...packages], { cwd: unfinished, encoding: 'utf8' });
  const unpacked =
    downloaded.status === 0 &&
    packages.every(
      (each) =>
        spawnSync('sh', ['-c', `dpkg-deb -x ${each}_*.deb .`], { cwd: unfinished, encoding: 'utf8' }).status === 0,
    );
  if (!unpacked) {
    rmSync(unfinished, { recursive: true, force: true });
    return {
      reason: `the packages of ${name} ${version} can not be downloaded by apt-get (Debian 12 has them)`,
      install: 'apt-get update, then npm run test:live',
    };
  }
  spawnSync('sh', ['-c', 'rm -f *.deb'], { cwd: unfinished });
  renameSync(unfinished, folder);
  return { folder };
}
