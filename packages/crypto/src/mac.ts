import { createHmac, timingSafeEqual } from 'node:crypto';
import { encodeFields } from './encoding.ts';
import type { KeyPurpose, TermKey } from './keyring.ts';
import type { SecretValue } from './secret-value.ts';

/** Length in bytes of every MAC made here. */
export const MAC_BYTES = 32;

/**
 * HMAC-SHA-256 (RFC 2104) under a term, over `encodeFields([label, ...fields])`.
 *
 * @throws TypeError for a term of another purpose; CryptoError `term_destroyed`.
 * @internal
 */
export function termMac(
  termKey: TermKey,
  purpose: KeyPurpose,
  label: string,
  fields: readonly (string | number | Uint8Array)[],
): Buffer {
  const message = encodeFields([label, ...fields]);
  try {
    return createHmac('sha256', termKey.secretKey(purpose)).update(message).digest();
  } finally {
    // The message of a fingerprint holds the value.
    message.fill(0);
  }
}

/**
 * A keyed fingerprint of a value, 32 bytes: equal within one scope and term exactly when the values are equal, and
 * useless without the key. Keep the term's id beside it: fingerprints of different terms can't be compared.
 *
 * @throws TypeError for a term whose purpose isn't `fingerprint`; CryptoError `term_destroyed`.
 */
export function fingerprint(termKey: TermKey, value: SecretValue): Uint8Array {
  const plaintext = value.reveal();
  try {
    return termMac(termKey, 'fingerprint', 'strongroom/fingerprint/v1', [
      termKey.installationId,
      termKey.scopeId,
      plaintext,
    ]);
  } finally {
    plaintext.fill(0);
  }
}

/**
 * The MAC of an audit record, 32 bytes. Each part is length-prefixed, so (record, previous MAC) can be given as two.
 *
 * @throws TypeError for a term whose purpose isn't `audit-mac`; CryptoError `term_destroyed`.
 */
export function auditMac(termKey: TermKey, ...parts: readonly Uint8Array[]): Uint8Array {
  return termMac(termKey, 'audit-mac', 'strongroom/audit/v1', [termKey.installationId, termKey.scopeId, ...parts]);
}

/**
 * The keyed digest, 32 bytes, of a request's body that an idempotency row keeps instead of the body, which may hold a
 * value.
 *
 * @throws TypeError for a term whose purpose isn't `idempotency`; CryptoError `term_destroyed`.
 */
export function idempotencyMac(termKey: TermKey, body: Uint8Array): Uint8Array {
  return termMac(termKey, 'idempotency', 'strongroom/idempotency/v1', [termKey.installationId, termKey.scopeId, body]);
}

/** Compares MACs, digests or other bytes of public length; false for unequal lengths, where Node's own throws. */
export function timingSafeEqualBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
