import { createHmac } from 'node:crypto';
import { inspect } from 'node:util';
import { aeadOpen, aeadSeal, KEY_BYTES } from './aead.ts';
import { decodeBase64url } from './encoding.ts';
import { CryptoError } from './errors.ts';

/**
 * The key that wraps the keyring's terms. Asynchronous, so that one held by a key management service fits.
 *
 * `id` is public and tells keys apart. `additionalData` is authenticated and not stored: `unwrap` must be given the
 * same bytes.
 */
export interface KeyEncryptionKey {
  readonly id: string;
  /** @throws CryptoError `kek_invalid` when the key can't be used any more. */
  wrap(key: Uint8Array, additionalData: Uint8Array): Promise<Uint8Array>;
  /** @throws CryptoError `decryption_failed` for another key, other additional data or changed bytes alike. */
  unwrap(wrapped: Uint8Array, additionalData: Uint8Array): Promise<Uint8Array>;
}

const WRAP_FORMAT = 1;
const KEK_TEXT_PREFIX = 'strongroom-kek-v1:';

/**
 * A key encryption key held in memory: 32 bytes. A wrapped key is a format byte (1), a nonce (12 bytes), the
 * ciphertext and a tag (16 bytes), by AES-256-GCM.
 */
export class Kek implements KeyEncryptionKey {
  /** The first 16 bytes, in hex, of HMAC-SHA-256(kek, "strongroom kek id"). */
  readonly id: string;
  readonly #key: Uint8Array;
  #isDestroyed = false;

  /** Takes a copy. Use `kekFromBytes`. */
  constructor(bytes: Uint8Array) {
    if (!(bytes instanceof Uint8Array) || bytes.length !== KEY_BYTES) {
      throw new CryptoError('kek_invalid', `The key encryption key must have ${KEY_BYTES} bytes`);
    }
    if (bytes.every((byte) => byte === 0)) throw new CryptoError('kek_invalid', 'The key encryption key is all zero');
    this.#key = Uint8Array.from(bytes);
    this.id = createHmac('sha256', this.#key).update('strongroom kek id').digest().toString('hex', 0, 16);
  }

  async wrap(key: Uint8Array, additionalData: Uint8Array): Promise<Uint8Array> {
    this.#assertAlive();
    return Buffer.concat([Uint8Array.of(WRAP_FORMAT), aeadSeal(this.#key, additionalData, key)]);
  }

  async unwrap(wrapped: Uint8Array, additionalData: Uint8Array): Promise<Uint8Array> {
    this.#assertAlive();
    if (wrapped[0] !== WRAP_FORMAT) throw new CryptoError('decryption_failed');
    return aeadOpen(this.#key, additionalData, wrapped.subarray(1));
  }

  /** A copy of the 32 bytes, for a recovery kit or a key file. Zero it after use. */
  revealKekBytes(): Uint8Array {
    this.#assertAlive();
    return Uint8Array.from(this.#key);
  }

  /** Zeroes the key. */
  destroy(): void {
    this.#key.fill(0);
    this.#isDestroyed = true;
  }

  toJSON(): string {
    return `[kek ${this.id}]`;
  }

  [inspect.custom](): string {
    return this.toJSON();
  }

  #assertAlive(): void {
    if (this.#isDestroyed) throw new CryptoError('kek_invalid', 'The key encryption key was destroyed');
  }
}

/**
 * A key encryption key from its 32 bytes, which are copied.
 *
 * @throws CryptoError `kek_invalid` for another length or 32 zero bytes.
 */
export function kekFromBytes(bytes: Uint8Array): Kek {
  return new Kek(bytes);
}

/**
 * A key encryption key from its text form: `strongroom-kek-v1:`, the base64url of the 32 bytes, an optional line end.
 *
 * @throws CryptoError `kek_invalid`
 */
export function kekFromText(text: string): Kek {
  const line = text.replace(/\r?\n$/, '');
  if (!line.startsWith(KEK_TEXT_PREFIX)) {
    throw new CryptoError('kek_invalid', `The key encryption key's text doesn't start with ${KEK_TEXT_PREFIX}`);
  }
  const bytes = kekTextBytes(line.slice(KEK_TEXT_PREFIX.length));
  try {
    return new Kek(bytes);
  } finally {
    bytes.fill(0);
  }
}

function kekTextBytes(encoded: string): Buffer {
  try {
    return decodeBase64url(encoded);
  } catch {
    throw new CryptoError('kek_invalid', "The key encryption key's text isn't base64url");
  }
}

/** The text form of a key encryption key's bytes, with its line end. */
export function formatKekText(bytes: Uint8Array): string {
  return `${KEK_TEXT_PREFIX}${Buffer.from(bytes).toString('base64url')}\n`;
}
