import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { chmod, chown, lstat, mkdir, open, readdir, rm, rmdir, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { StrongroomError } from '@strongroom/contract';
import type { SpecFile } from './process-spec.ts';

/**
 * Where a run lives: outside the data directory, in a folder of its own.
 *
 *     TMP/strongroom-runs-INSTALLATION/RUN/work     the job's home and working folder
 *                                          tmp      its TMPDIR
 *     SHM/strongroom-runs-INSTALLATION/RUN/0, 1, …  files with values, in memory; work/NAME links to them
 *
 * With a job user, what is above `work` and `tmp` belongs to the server: the job can neither rename nor replace it. The
 * job's own folders are emptied with the job's own rights, so that no link it left leads the server astray.
 */
export interface RunFolders {
  readonly installationId: string;
  readonly temporaryDirectory: string;
  /** A file system in memory; `null`: none here, files with values are on disk until the run ends. */
  readonly memoryDirectory: string | null;
}

export interface JobUser {
  readonly uid: number;
  readonly gid: number;
}

export interface RunFolder {
  readonly work: string;
  readonly tmp: string;
}

/** Where the working folder of a run will be. */
export function workFolderOf(folders: RunFolders, runId: string): string {
  return join(baseOf(folders.temporaryDirectory, folders), runId, 'work');
}

function baseOf(parent: string, { installationId }: RunFolders): string {
  return join(parent, `strongroom-runs-${installationId}`);
}

function basesOf(folders: RunFolders): string[] {
  const parents = [folders.temporaryDirectory, folders.memoryDirectory].filter((parent) => parent !== null);
  return parents.map((parent) => baseOf(parent, folders));
}

/** Makes the folder and writes the files. @throws StrongroomError `launch_failed`, without a word of a file's content */
export async function createRunFolder(
  folders: RunFolders,
  runId: string,
  files: readonly SpecFile[],
  user: JobUser | null,
): Promise<RunFolder> {
  try {
    const base = baseOf(folders.temporaryDirectory, folders);
    await makeBase(base);
    const top = join(base, runId);
    await makeFolder(top, 0o750);
    const work = join(top, 'work');
    const tmp = join(top, 'tmp');
    await makeFolder(work, 0o700);
    await makeFolder(tmp, 0o700);
    const vault = files.some((file) => file.isSecret) ? await makeVault(folders, runId, top, user) : '';
    const folderPaths = new Set<string>();
    for (const [index, file] of files.entries()) {
      const path = join(work, file.name);
      await makeParents(work, file.name, folderPaths);
      if (file.isSecret) {
        await writeNew(join(vault, String(index)), file.content, user);
        await symlink(join(vault, String(index)), path);
      } else await writeNew(path, file.content, user);
    }
    // Given away last: until now nobody else could put a link into the way of a file.
    if (user !== null) {
      for (const path of [...folderPaths].toReversed()) await chown(path, user.uid, user.gid);
      await chown(top, 0, user.gid);
      for (const path of [tmp, work]) await chown(path, user.uid, user.gid);
    }
    return { work, tmp };
  } catch (error) {
    if (error instanceof StrongroomError) throw error;
    const { code = 'unknown', syscall = 'write' } = error as NodeJS.ErrnoException;
    throw new StrongroomError('launch_failed', {
      detail: `The run’s folder can not be made (${syscall}: ${code}).`,
      hint: `Check the space and the rights of ${folders.temporaryDirectory}.`,
    });
  }
}

async function makeVault(folders: RunFolders, runId: string, top: string, user: JobUser | null): Promise<string> {
  const vault =
    folders.memoryDirectory === null ? join(top, 'vault') : join(baseOf(folders.memoryDirectory, folders), runId);
  if (folders.memoryDirectory !== null) await makeBase(dirname(vault));
  await makeFolder(vault, user === null ? 0o700 : 0o710);
  if (user !== null) await chown(vault, 0, user.gid);
  return vault;
}

/** A folder for all runs in a place where everybody may write: it must be ours, and a folder. */
async function makeBase(base: string): Promise<void> {
  await mkdir(base, { recursive: true, mode: 0o700 });
  const stat = await lstat(base);
  const isOurs = stat.isDirectory() && stat.uid === (process.geteuid?.() ?? stat.uid) && (stat.mode & 0o022) === 0;
  if (!isOurs) {
    throw new StrongroomError('launch_failed', {
      detail: `${base} belongs to somebody else or others may write to it.`,
      hint: 'Remove it, or set another temporary directory.',
    });
  }
  await chmod(base, 0o711);
}

/** The process's umask takes bits from what is made; the mode that is meant is set. */
async function makeFolder(path: string, mode: number): Promise<void> {
  await mkdir(path, { mode: 0o700 });
  await chmod(path, mode);
}

async function makeParents(work: string, name: string, made: Set<string>): Promise<void> {
  const segments = name.split('/').slice(0, -1);
  for (const [index] of segments.entries()) {
    const path = join(work, ...segments.slice(0, index + 1));
    if (made.has(path)) continue;
    await mkdir(path, { mode: 0o700 });
    made.add(path);
  }
}

async function writeNew(path: string, content: Uint8Array, user: JobUser | null): Promise<void> {
  const file = await open(
    path,
    constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW,
    0o600,
  );
  try {
    await file.writeFile(content);
    if (user !== null) await file.chown(user.uid, user.gid);
  } finally {
    await file.close();
  }
}

/** Removes everything of a run, values first. Nothing there is fine. */
export async function removeRunFolder(folders: RunFolders, runId: string): Promise<void> {
  if (folders.memoryDirectory !== null)
    await rm(join(baseOf(folders.memoryDirectory, folders), runId), { recursive: true, force: true });
  const top = join(baseOf(folders.temporaryDirectory, folders), runId);
  await rm(join(top, 'vault'), { recursive: true, force: true });
  for (const name of ['work', 'tmp']) {
    const path = join(top, name);
    const stat = await lstat(path).catch(absentIsNull);
    if (stat === null) continue;
    const isForeign = stat.uid !== (process.geteuid?.() ?? stat.uid);
    if (isForeign) await emptyAs(path, { uid: stat.uid, gid: stat.gid });
    if (isForeign) await rmdir(path);
    else await rm(path, { recursive: true, force: true });
  }
  await rmdir(top).catch(absentIsNull);
}

function absentIsNull(error: unknown): null {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
  throw error;
}

/** Empties a job's folder with the job's own rights. */
async function emptyAs(path: string, user: JobUser): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const child = spawn('find', ['.', '-xdev', '-mindepth', '1', '-delete'], {
    cwd: path,
    env: { PATH: '/usr/bin:/bin' },
    stdio: 'ignore',
    ...user,
  });
  child.once('error', reject);
  child.once('close', () => resolve());
  await promise;
}

/** Removes the folders for all runs when nothing is in them. */
export async function removeEmptyBases(folders: RunFolders): Promise<void> {
  for (const base of basesOf(folders)) {
    await rmdir(base).catch((error: unknown) => {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' && code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    });
  }
}

/** Runs that left a folder. */
export async function listRunFolders(folders: RunFolders): Promise<string[]> {
  const names = new Set<string>();
  for (const base of basesOf(folders)) {
    const entries = await readdir(base).catch(absentIsNull);
    for (const name of entries ?? []) names.add(name);
  }
  return [...names];
}
