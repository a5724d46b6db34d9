// Another wall clock for one process, which can be set while it runs. https://github.com/wolfcw/libfaketime
import { spawnSync } from 'node:child_process';
import { globSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { unpackDebianPackages } from './debian-packages.ts';
import { isMissing, type LiveServer, locate } from './live-server.ts';

const variable = 'STRONGROOM_LIVE_FAKETIME';
const library = 'usr/lib/*/faketime/libfaketimeMT.so.1';

export const faketime: LiveServer = {
  name: 'faketime',
  async install(progress) {
    if (process.platform !== 'linux')
      return { reason: 'libfaketime is loaded into a process on Linux alone', install: 'a machine with Linux' };
    const holds = 'usr/share/doc/libfaketime/copyright';
    const unpacked = unpackDebianPackages(
      { name: 'libfaketime', version: '0.9.10', packages: ['libfaketime'], holds },
      progress,
    );
    if (isMissing(unpacked)) return unpacked;
    if (!isTaken(unpacked.folder))
      return {
        reason: 'this Node.js does not take another clock from libfaketime',
        install: 'Node.js of another build',
      };
    return { environment: { [variable]: unpacked.folder } };
  },
};

/** The wall clock of a process; its monotonic clock goes on as it does. */
export interface FakeClock {
  /** For the process that is to have it. */
  readonly environment: Readonly<Record<string, string>>;
  /** Sets it this far from the machine's, at once. */
  set(seconds: number): void;
}

/** Whether a Node.js that loads it goes by it. */
function isTaken(folder: string): boolean {
  const [found] = globSync(library, { cwd: folder });
  if (found === undefined) return false;
  const { stdout } = spawnSync(process.execPath, ['-p', 'Date.now()'], {
    encoding: 'utf8',
    env: { LD_PRELOAD: join(folder, found), FAKETIME: '+3600', FAKETIME_DONT_FAKE_MONOTONIC: '1' },
  });
  return Number(stdout) > Date.now() + 3_000_000;
}

/** @param directory where the clock is kept that is set */
export async function fakeClock(directory: string): Promise<FakeClock> {
  const folder = await locate(faketime, variable);
  const [found] = globSync(library, { cwd: folder });
  if (found === undefined) throw new Error(`There is no ${library} in ${folder}`);
  const file = join(directory, 'faketime');
  const set = (seconds: number): void => writeFileSync(file, `${seconds < 0 ? '-' : '+'}${Math.abs(seconds)}\n`);
  set(0);
  return {
    environment: {
      LD_PRELOAD: join(folder, found),
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    },
    set,
  };
}
