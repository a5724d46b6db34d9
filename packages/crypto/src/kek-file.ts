import { randomBytes } from 'node:crypto';
import { KEY_BYTES } from './aead.ts';
import { CryptoError } from './errors.ts';
import { formatKekText, type Kek, kekFromBytes, kekFromText } from './kek.ts';
import { createPrivateFile, readPrivateFile } from './private-file.ts';

/** Far more than a key's text has: what is longer is refused as malformed, whatever its size. */
const MAX_FILE_BYTES = 1024;

/**
 * Reads a key encryption key from a file that holds its text form (`kekFromText`), as `readPrivateFile` reads it.
 *
 * @param options.create make the file with a fresh random key when there is none. Only right for a new installation:
 *   over existing data a fresh key opens nothing, and `openTerm` says `kek_mismatch`.
 * @throws CryptoError `kek_invalid`, with the system's error as the cause where there is one.
 */
export async function loadKekFile(path: string, options: { create: boolean }): Promise<Kek> {
  const existing = await readPrivateFile(path, MAX_FILE_BYTES);
  if (existing !== null) return kekFromText(existing);
  if (!options.create) throw new CryptoError('kek_invalid', `The key file ${path} doesn't exist`);
  const bytes = randomBytes(KEY_BYTES);
  try {
    if (await createPrivateFile(path, formatKekText(bytes))) return kekFromBytes(bytes);
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
  if (!(await createPrivateFile(path, formatKekText(bytes))))
    throw new CryptoError('kek_invalid', `The key file ${path} exists and isn't overwritten`);
}
