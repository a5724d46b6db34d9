import { randomBytes } from 'node:crypto';
import type { Stats } from 'node:fs';
import { type FileHandle, link, open, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { CryptoError } from './errors.ts';

const GROUP_AND_OTHER = 0o077;
/** All of that but reading by the group. */
const GROUP_WRITING_AND_OTHER = 0o037;

/**
 * Whether nobody else reads a file of a secret: 0600 or stricter. A secret volume of Kubernetes can't be that for a process
 * that isn't root: its files are root's and readable by the pod's group (`fsGroup`), which is the process's own
 * (https://kubernetes.io/docs/tasks/configure-pod-container/security-context/). Always on Windows, which has no such modes.
 *
 * @param userId of this process
 */
export function isPrivateFile(
  { mode, uid }: Pick<Stats, 'mode' | 'uid'>,
  userId: number | undefined = process.getuid?.(),
): boolean {
  if (process.platform === 'win32') return true;
  const isVolume = uid === 0 && userId !== 0;
  return (mode & (isVolume ? GROUP_WRITING_AND_OTHER : GROUP_AND_OTHER)) === 0;
}

/**
 * Reads a small file that is for its owner alone: a key, or what stands for one. A symbolic link is followed, as mounted
 * secrets are links. What it leads to must be a regular file or a pipe (`/dev/fd/3`), and closed to others ({@link isPrivateFile}).
 *
 * @returns at most the first `maxBytes` bytes, each as a character: what is longer is cut, and so malformed to whoever parses
 *   it. `null` when there is no such file.
 * @throws CryptoError `kek_invalid`, with the system's error as the cause where there is one.
 */
export async function readPrivateFile(path: string, maxBytes: number): Promise<string | null> {
  try {
    await using file = await open(path, 'r');
    const stats = await file.stat();
    if (!stats.isFile() && !stats.isFIFO()) {
      throw new CryptoError('kek_invalid', `The key file ${path} is neither a file nor a pipe`);
    }
    if (!isPrivateFile(stats)) {
      const mode = (stats.mode & 0o777).toString(8);
      throw new CryptoError('kek_invalid', `The key file ${path} is open to group or other (${mode}); set it to 600`);
    }
    return await readBounded(file, maxBytes);
  } catch (cause) {
    if (cause instanceof CryptoError) throw cause;
    if (hasCode(cause, 'ENOENT')) return null;
    throw new CryptoError('kek_invalid', `The key file ${path} can't be read`, { cause });
  }
}

async function readBounded(file: FileHandle, maxBytes: number): Promise<string> {
  const buffer = Buffer.alloc(maxBytes);
  let length = 0;
  while (length < buffer.length) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  const text = buffer.toString('latin1', 0, length);
  buffer.fill(0);
  return text;
}

/**
 * Writes a new file, mode 0600, that appears whole or not at all, and is durable (file and directory flushed) when this
 * returns. A file written in place could be left half-written by a crash, and then be mistaken for a key; so it is written
 * under another name and linked, which never replaces a file.
 *
 * @returns whether it was made: `false` when there is a file, which stays as it is.
 * @throws CryptoError `kek_invalid` when it can't be written.
 */
export async function createPrivateFile(path: string, text: string): Promise<boolean> {
  try {
    return await linkNewFile(path, text);
  } catch (cause) {
    throw new CryptoError('kek_invalid', `The key file ${path} can't be created`, { cause });
  }
}

async function linkNewFile(path: string, text: string): Promise<boolean> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(8).toString('hex')}.tmp`);
  const file = await open(temporary, 'wx', 0o600);
  try {
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(temporary, path);
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  } finally {
    await unlink(temporary);
  }
  await syncDirectory(dirname(path));
  return true;
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  await using directory = await open(path, 'r');
  await directory.sync();
}
