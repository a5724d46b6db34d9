import { randomBytes } from 'node:crypto';
import { type FileHandle, link, open, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { KEY_BYTES } from './aead.ts';
import { CryptoError } from './errors.ts';
import { formatKekText, type Kek, kekFromBytes, kekFromText } from './kek.ts';

const MAX_FILE_BYTES = 1024;
const GROUP_AND_OTHER = 0o077;

/**
 * Reads a key encryption key from a file that holds its text form (`kekFromText`). A symbolic link is followed, as
 * mounted secrets are links. What it leads to must be a regular file or a pipe (`/dev/fd/3`), and closed to group and
 * other (0600 or stricter; not checked on Windows, which has no such modes).
 *
 * @param options.create make the file with a fresh random key when there is none. Only right for a new installation:
 *   over existing data a fresh key opens nothing, and `openTerm` says `kek_mismatch`.
 * @throws CryptoError `kek_invalid`, with the system's error as the cause where there is one.
 */
export async function loadKekFile(path: string, options: { create: boolean }): Promise<Kek> {
  const existing = await readKekText(path);
  if (existing !== null) return kekFromText(existing);
  if (!options.create) throw new CryptoError('kek_invalid', `The key file ${path} doesn't exist`);
  const bytes = randomBytes(KEY_BYTES);
  try {
    if (await linkKekFile(path, bytes)) return kekFromBytes(bytes);
  } catch (cause) {
    throw new CryptoError('kek_invalid', `The key file ${path} can't be created`, { cause });
  } finally {
    bytes.fill(0);
  }
  // Another process made it in between; its key is the one.
  return loadKekFile(path, { create: false });
}

/**
 * Writes a key encryption key to a new file, for instance after `openRecoveryKit`. The file appears whole or not at
 * all, mode 0600, and is durable (file and directory flushed) when this returns.
 *
 * @throws CryptoError `kek_invalid` for unusable bytes, when the file exists, or when it can't be written.
 */
export async function createKekFile(path: string, bytes: Uint8Array): Promise<void> {
  kekFromBytes(bytes).destroy();
  let isCreated: boolean;
  try {
    isCreated = await linkKekFile(path, bytes);
  } catch (cause) {
    throw new CryptoError('kek_invalid', `The key file ${path} can't be created`, { cause });
  }
  if (!isCreated) throw new CryptoError('kek_invalid', `The key file ${path} exists and isn't overwritten`);
}

async function readKekText(path: string): Promise<string | null> {
  try {
    await using file = await open(path, 'r');
    const stats = await file.stat();
    if (!stats.isFile() && !stats.isFIFO()) {
      throw new CryptoError('kek_invalid', `The key file ${path} is neither a file nor a pipe`);
    }
    if (process.platform !== 'win32' && (stats.mode & GROUP_AND_OTHER) !== 0) {
      const mode = (stats.mode & 0o777).toString(8);
      throw new CryptoError('kek_invalid', `The key file ${path} is open to group or other (${mode}); set it to 600`);
    }
    return await readBounded(file);
  } catch (cause) {
    if (cause instanceof CryptoError) throw cause;
    if (hasCode(cause, 'ENOENT')) return null;
    throw new CryptoError('kek_invalid', `The key file ${path} can't be read`, { cause });
  }
}

/** The first kilobyte, far more than a key's text has: what is longer is refused as malformed, whatever its size. */
async function readBounded(file: FileHandle): Promise<string> {
  const buffer = Buffer.alloc(MAX_FILE_BYTES);
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
 * False when the file exists. A file written in place could be left half-written by a crash, and then be mistaken for
 * a key; so it is written under another name and linked, which never replaces a file.
 */
async function linkKekFile(path: string, bytes: Uint8Array): Promise<boolean> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(8).toString('hex')}.tmp`);
  const file = await open(temporary, 'wx', 0o600);
  try {
    try {
      await file.writeFile(formatKekText(bytes));
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
