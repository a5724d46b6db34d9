import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serverFolder } from './cache.ts';
import type { Missing, Progress } from './live-server.ts';
import { runLong } from './long-command.ts';

/** Exits with 0 where it can make virtual environments, else says what is missing. */
const probe = `
import sys
if sys.version_info < (3, 10): sys.exit(f"python3 is {sys.version.split()[0]}, at least 3.10 is needed")
try:
    import venv, ensurepip
except ImportError as error: sys.exit(f"python3 has no module {error.name}")
`;

export interface PythonPrograms {
  readonly name: string;
  readonly version: string;
  /** A file under `servers/` that pins every package: https://pip.pypa.io/en/stable/reference/requirements-file-format/ */
  readonly requirements: string;
  /** Jobs run them; see `serverFolder`. */
  readonly isForJobs?: boolean;
}

/** Installs packages of PyPI into a virtual environment of their own, through pip's settings as they are; at least Python 3.10. */
export async function installPythonPrograms(
  wanted: PythonPrograms,
  progress: Progress,
): Promise<{ readonly folder: string } | Missing> {
  const requirements = fileURLToPath(new URL(wanted.requirements, import.meta.url));
  const { isForJobs = false } = wanted;
  const folder = serverFolder(wanted.name, wanted.version, [readFileSync(requirements)], { isForJobs });
  // Scripts of a virtual environment have its path in them, so it is made where it stays.
  const stamp = join(folder, 'installed');
  if (existsSync(stamp)) return { folder };

  // A Python of root's own, as version managers have it, is none that a job can run.
  const program = isForJobs && process.getuid?.() === 0 ? '/usr/bin/python3' : 'python3';
  const python = spawnSync(program, ['-c', probe], { encoding: 'utf8' });
  const install = 'apt-get install python3 python3-venv';
  if (python.error !== undefined) return { reason: `${program} can't be run (${python.error.message})`, install };
  if (python.status !== 0) return { reason: python.stderr.trim(), install };

  rmSync(folder, { recursive: true, force: true });
  const pip = ['-m', 'pip', 'install', '--disable-pip-version-check', '--requirement', requirements];
  const title = `${wanted.name} ${wanted.version}`;
  for (const { program: each, args, doing } of [
    { program, args: ['-m', 'venv', folder], doing: `making the environment of ${title}` },
    { program: join(folder, 'bin', 'python'), args: pip, doing: `installing ${title}` },
  ]) {
    const { code, stderr } = await runLong({ program: each, args, doing, limitMinutes: 20, niceness: 10 }, progress);
    if (code !== 0) {
      rmSync(folder, { recursive: true, force: true });
      return {
        reason: `${title} can't be installed (${stderr.trim().split('\n').at(-1) ?? ''})`,
        install: 'let pip reach a package index that has it (pip config list), then npm run test:live',
      };
    }
  }
  writeFileSync(stamp, `${wanted.version}\n`);
  return { folder };
}
