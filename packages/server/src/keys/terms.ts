import { StrongroomError } from '@strongroom/contract/core';
import {
  CryptoError,
  type KeyEncryptionKey,
  type KeyPurpose,
  type KeyTerm,
  openTerm,
  type TermKey,
} from '@strongroom/crypto';
import type { Tables } from '../store/tables.ts';

/** The scope id of terms that belong to no scope of secrets. */
export const installationScopeId = 'installation';

/** A stored row as the crypto package's record. */
export function termFromRow(row: Tables['key_terms']): KeyTerm {
  return {
    id: row.id,
    scopeId: row.scope_id,
    purpose: row.purpose as KeyPurpose,
    number: row.number,
    wrapped: row.wrapped ?? new Uint8Array(0),
    kekId: row.kek_id,
    uses: row.uses,
    state: row.state,
  };
}

/** @throws StrongroomError `key_unavailable` naming the term: wrapped by another KEK, changed, or moved */
export async function openTermRow(
  kek: KeyEncryptionKey,
  installationId: string,
  row: Tables['key_terms'],
): Promise<TermKey> {
  return orUnavailable(row, () => openTerm(kek, installationId, termFromRow(row)));
}

/** Names the term that a failure is about. @throws StrongroomError `key_unavailable` in place of a CryptoError */
export async function orUnavailable<Result>(
  row: Pick<Tables['key_terms'], 'id' | 'purpose' | 'state'>,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (cause) {
    if (!(cause instanceof CryptoError)) throw cause;
    throw new StrongroomError('key_unavailable', {
      detail: `The key term ${row.id} (${row.purpose}, ${row.state}) does not open.`,
      cause,
    });
  }
}

/** The keys of a scope that was deleted. */
export function termsDestroyed(): StrongroomError {
  return new StrongroomError('key_unavailable', { detail: 'The keys of this scope were destroyed.' });
}

/** What is thrown in place of an error of opening a value. */
export function openingFailure(cause: unknown): unknown {
  if (!(cause instanceof CryptoError)) return cause;
  if (cause.code === 'term_destroyed')
    return new StrongroomError('key_unavailable', { detail: 'The key of this value was destroyed.', cause });
  return new StrongroomError('internal', {
    detail: 'A stored value does not decrypt: its row was changed or moved.',
    cause,
  });
}
