import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { StrongroomError } from '@strongroom/contract';
import {
  createRecoveryKit,
  CryptoError,
  type Kek,
  kekFromBytes,
  openRecoveryKit,
  recoveryKitKekId,
} from '@strongroom/crypto';
import { fileFailure } from '../store/backup.ts';
import { syncDirectory } from '../store/data-directory.ts';
import type { KekSource } from './kek-source.ts';

/** Where the first start leaves its kit, in the data directory. It is no part of a backup. */
export const firstKitName = 'recovery-kit.txt';

/**
 * Writes a recovery kit (the KEK wrapped by a fresh recovery key) to a new file, mode 0600, and makes it durable.
 *
 * @returns the recovery key, to be shown once and kept apart from the kit.
 * @throws StrongroomError `already_exists`: a file that is there stays; `storage_full`, `storage_unavailable`
 */
export async function writeRecoveryKit(kek: Kek, path: string): Promise<{ readonly recoveryKey: string }> {
  const bytes = kek.revealKekBytes();
  try {
    const { kit, recoveryKey } = createRecoveryKit(bytes);
    await writeFile(path, kit, { flag: 'wx', mode: 0o600, flush: true });
    syncDirectory(dirname(path));
    return { recoveryKey };
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'EEXIST')
      throw new StrongroomError('already_exists', { detail: `${path} exists, and is not overwritten.`, cause });
    throw fileFailure(cause);
  } finally {
    bytes.fill(0);
  }
}

/** Which KEK the kit at a path holds, by its id; null when there is no kit there. */
export function kekIdOfKit(path: string): string | null {
  if (!existsSync(path)) return null;
  try {
    return recoveryKitKekId(readFileSync(path, 'utf8'));
  } catch (error) {
    if (error instanceof CryptoError) return null;
    throw error;
  }
}

/**
 * Whether the kit and the recovery key give back exactly this KEK. What a person typed is checked before the kit counts
 * as kept.
 *
 * @throws StrongroomError `credentials_invalid`
 */
export function proveRecoveryKit(kit: string, recoveryKey: string, expectedKekId: string): void {
  const kek = openKit(kit, recoveryKey);
  const isRight = kek.id === expectedKekId;
  kek.destroy();
  if (!isRight) {
    throw new StrongroomError('credentials_invalid', {
      detail: 'The kit opens, but it holds another key-encryption key than the one in use.',
      hint: 'Make a new kit with strongroom recovery create.',
    });
  }
}

/**
 * Puts the KEK of a kit in its place; a file that is there is never overwritten.
 * @throws StrongroomError `credentials_invalid` when the kit doesn't open; else as `KekSource.put`
 */
export async function restoreKek(
  kit: string,
  recoveryKey: string,
  source: Pick<KekSource, 'put'>,
): Promise<{ readonly kekId: string; readonly path: string }> {
  const kek = openKit(kit, recoveryKey);
  try {
    return { kekId: kek.id, path: await source.put(kek) };
  } catch (cause) {
    if (cause instanceof CryptoError)
      throw new StrongroomError('state_conflict', { detail: `${cause.message}.`, cause });
    throw cause;
  } finally {
    kek.destroy();
  }
}

function openKit(kit: string, recoveryKey: string): Kek {
  try {
    const bytes = openRecoveryKit(kit, recoveryKey);
    try {
      return kekFromBytes(bytes);
    } finally {
      bytes.fill(0);
    }
  } catch (cause) {
    throw new StrongroomError('credentials_invalid', {
      detail:
        cause instanceof CryptoError && cause.code === 'format_invalid'
          ? `${cause.message}.`
          : 'The recovery key does not open this kit.',
      hint: 'Check every group of the recovery key; it must be the one printed with this kit.',
      cause,
    });
  }
}
