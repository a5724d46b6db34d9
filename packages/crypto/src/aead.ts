import { createCipheriv, createDecipheriv, type KeyObject, randomBytes } from 'node:crypto';
import { CryptoError } from './errors.ts';

export const KEY_BYTES = 32;
export const NONCE_BYTES = 12;
export const TAG_BYTES = 16;

const ALGORITHM = 'aes-256-gcm';
// Node accepts tags down to 4 bytes unless the length is fixed.
const OPTIONS = { authTagLength: TAG_BYTES } as const;

/**
 * AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce. The result is nonce (12 bytes), ciphertext (as long as the
 * plaintext), tag (16 bytes).
 */
export function aeadSeal(key: Uint8Array | KeyObject, additionalData: Uint8Array, plaintext: Uint8Array): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(ALGORITHM, key, nonce, OPTIONS);
  cipher.setAAD(additionalData);
  const ciphertext = cipher.update(plaintext);
  cipher.final();
  return Buffer.concat([nonce, ciphertext, cipher.getAuthTag()]);
}

/**
 * The inverse of `aeadSeal`. No plaintext leaves before the tag is verified.
 *
 * @throws CryptoError `decryption_failed`, whatever the reason.
 */
export function aeadOpen(key: Uint8Array | KeyObject, additionalData: Uint8Array, sealed: Uint8Array): Buffer {
  if (sealed.length < NONCE_BYTES + TAG_BYTES) throw new CryptoError('decryption_failed');
  const tagAt = sealed.length - TAG_BYTES;
  const decipher = createDecipheriv(ALGORITHM, key, sealed.subarray(0, NONCE_BYTES), OPTIONS);
  decipher.setAAD(additionalData);
  decipher.setAuthTag(sealed.subarray(tagAt));
  const plaintext = decipher.update(sealed.subarray(NONCE_BYTES, tagAt));
  try {
    decipher.final();
  } catch {
    plaintext.fill(0);
    throw new CryptoError('decryption_failed');
  }
  return plaintext;
}
