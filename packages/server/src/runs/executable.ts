import { stat } from 'node:fs/promises';
import { delimiter, isAbsolute, join, resolve } from 'node:path';
import { StrongroomError } from '@strongroom/contract';
import type { JobUser } from './run-folder.ts';

/**
 * The file that a command's first word means: a path (relative to the working folder), or a name found on PATH.
 * @throws StrongroomError `launch_failed` naming what was looked for; it comes from the configuration and holds no value
 */
export async function findExecutable(
  name: string,
  path: string,
  workingDirectory: string,
  user: JobUser | null,
): Promise<string> {
  if (name.includes('/')) {
    const file = isAbsolute(name) ? name : resolve(workingDirectory, name);
    if (await isExecutable(file, user)) return file;
    throw notFound(`${name} is no file that the job’s user may execute.`);
  }
  for (const folder of path.split(delimiter)) {
    if (!isAbsolute(folder)) continue;
    const file = join(folder, name);
    if (await isExecutable(file, user)) return file;
  }
  throw notFound(`${name} is not on the job’s PATH.`);
}

function notFound(detail: string): StrongroomError {
  return new StrongroomError('launch_failed', { detail });
}

async function isExecutable(path: string, user: JobUser | null): Promise<boolean> {
  try {
    const { mode, uid, gid, ...kind } = await stat(path).then((found) => ({
      mode: found.mode,
      uid: found.uid,
      gid: found.gid,
      isFile: found.isFile(),
    }));
    if (!kind.isFile) return false;
    const own = user ?? { uid: process.geteuid?.() ?? uid, gid: process.getegid?.() ?? gid };
    if (own.uid === 0) return (mode & 0o111) !== 0;
    if (own.uid === uid) return (mode & 0o100) !== 0;
    return (mode & (own.gid === gid ? 0o010 : 0o001)) !== 0 || (user === null && (mode & 0o011) !== 0);
  } catch {
    // Not there, or in a folder that can't be read: not executable is the answer.
    return false;
  }
}

/** @throws StrongroomError `launch_failed` */
export async function requireDirectory(path: string): Promise<void> {
  const isDirectory = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isDirectory) throw notFound(`The working folder ${path} is not there.`);
}

/** `prlimit` of util-linux, where it is. */
export async function findPrlimit(): Promise<string | null> {
  for (const path of ['/usr/bin/prlimit', '/bin/prlimit'])
    if (await isExecutable(path, { uid: -1, gid: -1 })) return path;
  return null;
}
