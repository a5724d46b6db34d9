import { parseVaultPath, StrongroomError } from '@strongroom/contract/core';
import { CryptoError, kekFromText, type Kek } from '@strongroom/crypto';
import type { BackendParts } from '../definition.ts';
import { startCall } from './client.ts';
import { KvReader } from './kv.ts';
import { openClient, type VaultAccess } from './open.ts';

export interface VaultKekSettings extends VaultAccess {
  /** `/v1/MOUNT/data/PATH` of one secret. */
  readonly path: string;
  /** Which of its fields holds the key's text form (`formatKekText` of @strongroom/crypto). */
  readonly field: string;
}

/**
 * Reads the key-encryption key from a field of a KV version 2 secret. It is only read: a rotation of the key writes the new
 * one in Vault first, by whoever may.
 *
 * @throws StrongroomError `key_unavailable` when the secret, its current version or the field isn't there, or is no key; else
 * what reading throws (`backend_unavailable`, `backend_sealed`, `backend_denied`, …). No error holds the field's content.
 */
export async function readVaultKek(settings: VaultKekSettings, parts: BackendParts, signal: AbortSignal): Promise<Kek> {
  const { mount, path } = parseVaultPath(settings.path);
  const client = openClient(settings, ['GET'], parts);
  try {
    const state = await new KvReader(client, mount).read(path, startCall(signal));
    if (state.kind !== 'present') throw unavailable(`The secret of the key-encryption key in Vault is ${state.kind}.`);
    const text = Object.hasOwn(state.data, settings.field) ? state.data[settings.field] : undefined;
    if (typeof text !== 'string')
      throw unavailable(`The secret of the key-encryption key in Vault has no text in the field ${settings.field}.`);
    return kekFromText(text);
  } catch (cause) {
    if (cause instanceof CryptoError) throw unavailable(`${cause.message} (in Vault).`);
    throw cause;
  } finally {
    client.tokens.close();
  }
}

function unavailable(detail: string): StrongroomError {
  return new StrongroomError('key_unavailable', { detail });
}
