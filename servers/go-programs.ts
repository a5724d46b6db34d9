import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, renameSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serverFolder } from './cache.ts';
import { removeFolder, temporaryFolder } from './lifetime.ts';
import type { Missing, Progress } from './live-server.ts';
import { runLong } from './long-command.ts';

export interface GoPrograms {
  readonly name: string;
  readonly version: string;
  /** The folder under `servers/` that has their `go.mod` and `go.sum`. */
  readonly module: string;
  /** The packages of the main programs. A program is called after the last element of its package. */
  readonly packages: readonly string[];
  /** `-X` assignments of the linker. */
  readonly variables?: Readonly<Record<string, string>>;
  /** How long the first build takes on two cores. */
  readonly buildMinutes: number;
}

/** Builds programs from published Go modules, through the Go environment as it is, at the versions that `go.sum` pins. */
export async function installGoPrograms(
  wanted: GoPrograms,
  progress: Progress,
): Promise<{ readonly folder: string } | Missing> {
  const module = fileURLToPath(new URL(wanted.module, import.meta.url));
  const assignments = Object.entries(wanted.variables ?? {}).map(([name, value]) => `-X ${name}=${value}`);
  const build = ['-mod=readonly', '-buildvcs=false', '-trimpath', `-ldflags=${['-s -w', ...assignments].join(' ')}`];
  const sources = readdirSync(module).toSorted();
  const folder = serverFolder(wanted.name, wanted.version, [
    ...wanted.packages,
    ...build,
    ...sources.flatMap((file) => [file, readFileSync(join(module, file))]),
  ]);
  if (existsSync(folder)) return { folder };

  const title = `${wanted.name} ${wanted.version}`;
  const { error } = spawnSync('go', ['version']);
  if (error !== undefined)
    return {
      reason: `${title} is built with Go and go can't be run (${error.message})`,
      install: 'install Go 1.26 or later from https://go.dev/dl, then npm run test:live',
    };

  const common = { program: 'go', cwd: module, environment: { CGO_ENABLED: '0' }, limitMinutes: 60, niceness: 10 };
  const list = ['list', '-mod=readonly', '-deps', ...wanted.packages];
  const fetched = await runLong({ ...common, args: list, doing: `fetching the modules of ${title}` }, progress);
  if (fetched.stderr.includes('checksum mismatch')) throw new Error(`${title}:\n${fetched.stderr}`);
  if (fetched.code !== 0)
    return {
      reason: `the modules of ${title} can't be had (${lastLine(fetched.stderr)})`,
      install: 'let Go 1.26 or later reach a module proxy that has them (go env GOPROXY), then npm run test:live',
    };

  const partial = temporaryFolder(`.${basename(folder)}`, dirname(folder));
  try {
    const doing = `building ${title}, once, about ${wanted.buildMinutes} min on two cores`;
    const args = ['build', ...build, '-o', `${partial}/`, ...wanted.packages];
    const built = await runLong({ ...common, args, doing }, progress);
    if (built.code !== 0) throw new Error(`${title} doesn't build:\n${built.stderr}`);
    // Another process may have been as fast; what it made is the same.
    if (!existsSync(folder)) renameSync(partial, folder);
  } finally {
    removeFolder(partial);
  }
  return { folder };
}

/** The last line that isn't a report of a download: Go prints the reason of a failure last. */
function lastLine(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('go: downloading '));
  return lines.at(-1)?.trim() ?? 'no reason was given';
}
