import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { serverFolder } from './cache.ts';
import type { LiveSuite, Prepared } from './suite.ts';

const version = '4.32.5';
/** Exits with 0 where it can make virtual environments, else says what is missing. */
const probe = `
import sys
if sys.version_info < (3, 10): sys.exit(f"python3 is {sys.version.split()[0]}, at least 3.10 is needed")
try:
    import venv, ensurepip
except ImportError as error: sys.exit(f"python3 has no module {error.name}")
`;

/** Fuzzes the API from its own OpenAPI document: https://schemathesis.readthedocs.io, in a virtual environment of its own. */
export const schemathesis: LiveSuite = {
  name: 'schemathesis',
  file: 'e2e/schemathesis.live.test.ts',
  prepare(): Prepared {
    const folder = serverFolder('schemathesis', version);
    const program = join(folder, 'bin', 'st');
    const stamp = join(folder, 'installed');
    if (!existsSync(stamp)) {
      const python = spawnSync('python3', ['-c', probe], { encoding: 'utf8' });
      if (python.error !== undefined || python.status !== 0)
        return {
          reason: python.error === undefined ? python.stderr.trim() : 'there is no python3',
          install: 'apt-get install python3 python3-venv',
        };
      rmSync(folder, { recursive: true, force: true });
      const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', `schemathesis==${version}`];
      for (const [command, args] of [
        ['python3', ['-m', 'venv', folder]],
        [join(folder, 'bin', 'python'), pip],
      ] as const) {
        const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
        if (status !== 0)
          return {
            reason: `it could not be installed: ${stderr.trim().split('\n').at(-1) ?? ''}`,
            install: `python3 -m venv ${folder} && ${folder}/bin/pip install schemathesis==${version}`,
          };
      }
      writeFileSync(stamp, `${version}\n`);
    }
    return { environment: { STRONGROOM_LIVE_SCHEMATHESIS: program } };
  },
};
