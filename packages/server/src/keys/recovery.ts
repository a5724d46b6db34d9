import { open } from 'node:fs/promises';
import { StrongroomError } from '@strongroom/contract';
import {
  createKekFile,
  createRecoveryKit,
  CryptoError,
  type Kek,
  kekFromBytes,
  openRecoveryKit,
} from '@strongroom/crypto';

/**
 * Writes a recovery kit (the KEK wrapped by a fresh recovery key) to a new file, mode 0600.
 *
 * @returns the recovery key, to be shown once and kept apart from the kit.
 */
export async function writeRecoveryKit(kek: Kek, path: string): Promise<{ readonly recoveryKey: string }> {
  const bytes = kek.revealKekBytes();
  try {
    const { kit, recoveryKey } = createRecoveryKit(bytes);
    await using file = await open(path, 'w', 0o600);
    await file.writeFile(kit);
    await file.sync();
    return { recoveryKey };
  } finally {
    bytes.fill(0);
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

/** Gives back the KEK's file from a kit. An existing file is never overwritten. */
export async function restoreKekFile(
  kit: string,
  recoveryKey: string,
  path: string,
): Promise<{ readonly kekId: string }> {
  const kek = openKit(kit, recoveryKey);
  const bytes = kek.revealKekBytes();
  try {
    await createKekFile(path, bytes);
    return { kekId: kek.id };
  } catch (cause) {
    if (cause instanceof CryptoError)
      throw new StrongroomError('state_conflict', { detail: `${cause.message}.`, cause });
    throw cause;
  } finally {
    bytes.fill(0);
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
