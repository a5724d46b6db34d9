import { randomUUID } from 'node:crypto';
import { open, rename, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import process from 'node:process';
import { partialPrefix } from './directory.ts';

/** Why a file was not replaced. */
export class NotReplaced extends Error {}

/**
 * Replaces a file in one step, with the same mode and owner: whoever looks, and whatever is killed, finds the old file or the new one.
 * @param before what was read; anything else in it by now is somebody's change
 * @throws NotReplaced; errors of the system
 */
export async function replaceFile(path: string, before: string, after: string): Promise<void> {
  const found = await stat(path);
  if (found.nlink > 1) throw new NotReplaced('it has other names, which would stay with what was there');
  const partial = partialOf(path);
  try {
    await writeWhole(partial, after, found);
    await using handle = await open(path, 'r');
    if ((await handle.readFile('utf8')) !== before) throw new NotReplaced('somebody has changed it meanwhile');
    await rename(partial, path);
  } catch (error) {
    await removePartial(partial);
    throw error;
  }
  await syncFolder(dirname(path));
}

/** Writes a file that is there as a whole or not at all. */
export async function writeAtomically(path: string, text: string): Promise<void> {
  const partial = partialOf(path);
  try {
    await writeWhole(partial, text, { mode: 0o600 });
    await rename(partial, path);
  } catch (error) {
    await removePartial(partial);
    throw error;
  }
  await syncFolder(dirname(path));
}

/** Named by the process that writes it. */
function partialOf(path: string): string {
  return join(dirname(path), `${partialPrefix}${process.pid}-${randomUUID()}`);
}

/** Away with what a process left that was killed while it wrote; that of one that is still there stays. */
export async function removeAbandoned(path: string): Promise<void> {
  const [, pid] = /^(\d+)-[0-9a-f]{8}-/.exec(basename(path).slice(partialPrefix.length)) ?? [];
  if (pid !== undefined && !isRunning(Number(pid))) await removePartial(path);
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // Somebody else's is running, too.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

async function removePartial(path: string): Promise<void> {
  await unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}

async function writeWhole(
  path: string,
  text: string,
  { mode, uid, gid }: { readonly mode: number; readonly uid?: number; readonly gid?: number },
): Promise<void> {
  await using handle = await open(path, 'wx', 0o600);
  await handle.writeFile(text);
  const made = await handle.stat();
  if (uid !== undefined && gid !== undefined && (made.uid !== uid || made.gid !== gid)) await handle.chown(uid, gid);
  await handle.chmod(mode & 0o7777);
  await handle.sync();
}

async function syncFolder(path: string): Promise<void> {
  await using handle = await open(path, 'r');
  await handle.sync();
}
