import type { SecretValue } from '@strongroom/crypto';
import type { MaybePromise } from '../store/maybe-promise.ts';

/** Names the place of a value; all of it is bound into the envelope's additional data, so a swapped row does not open. */
export interface ValuePlace {
  readonly scopeId: string;
  readonly secretId: string;
  readonly epoch: number;
  readonly version: number;
}

export interface SealedValue {
  readonly envelope: Uint8Array;
  readonly termId: string;
  readonly fingerprint: Uint8Array;
  readonly fingerprintTermId: string;
}

/**
 * The keyring over the store: per scope terms for values and fingerprints, installation-wide terms for tokens, cursors,
 * idempotency and audit. Opened once at start; a wrong or missing KEK refuses to start and changes nothing.
 *
 * Terms are persisted before their first use; opened term keys are held in memory.
 */
export interface Keys {
  readonly installationId: string;
  /** Creates the scope's terms if it has none yet; call before the first seal in a scope. */
  prepareScope(scopeId: string): Promise<void>;
  seal(place: ValuePlace, value: SecretValue): Promise<SealedValue>;
  /** @throws StrongroomError `key_unavailable` when the term is unknown or destroyed, `internal` when it does not decrypt */
  open(place: ValuePlace, envelope: Uint8Array): MaybePromise<SecretValue>;
  /** A fingerprint under the scope's current fingerprint term. */
  fingerprint(
    scopeId: string,
    value: SecretValue,
  ): Promise<{ readonly fingerprint: Uint8Array; readonly termId: string }>;
  /** HMACs of a token under every usable token term, the current one first. */
  tokenHashes(token: string): readonly { readonly hmac: Uint8Array; readonly termId: string }[];
  sealCursor(payload: object, binding: string): string;
  /** `null` when forged, foreign or for another binding. */
  openCursor(cursor: string, binding: string): Record<string, unknown> | null;
  bodyHmac(body: Uint8Array): Uint8Array;
}
