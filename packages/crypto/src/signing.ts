import { createPrivateKey, createPublicKey, type KeyObject, randomBytes, sign, verify } from 'node:crypto';
import { inspect } from 'node:util';
import { KEY_BYTES } from './aead.ts';
import { decodeBase64url } from './encoding.ts';
import { CryptoError } from './errors.ts';
import type { KeyEncryptionKey } from './kek.ts';
import { type KeyTerm, type KeyTermOptions, openTerm, wrapTerm } from './keyring.ts';

/** Length in bytes of a raw Ed25519 public key. */
export const PUBLIC_KEY_BYTES = 32;
/** Length in bytes of an Ed25519 signature. */
export const SIGNATURE_BYTES = 64;

const PUBLIC_KEY_TEXT_PREFIX = 'strongroom-audit-v1:';
// RFC 8410: everything before the 32 key bytes in PKCS #8 and in SubjectPublicKeyInfo.
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

/** An Ed25519 key (RFC 8032) that signs audit checkpoints. */
export class SigningKey {
  /** 32 bytes, raw. */
  readonly publicKey: Uint8Array;
  readonly #seed: Uint8Array;
  #privateKey: KeyObject | null;

  /** Owns `seed` (the 32-byte private key) from now on. @throws TypeError for another length. */
  constructor(seed: Uint8Array) {
    if (seed.length !== KEY_BYTES) throw new TypeError(`An Ed25519 private key has ${KEY_BYTES} bytes`);
    const der = Buffer.concat([PKCS8_PREFIX, seed]);
    this.#privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    der.fill(0);
    this.#seed = seed;
    const spki = createPublicKey(this.#privateKey).export({ format: 'der', type: 'spki' });
    this.publicKey = Uint8Array.from(spki.subarray(SPKI_PREFIX.length));
  }

  /** The signature, 64 bytes, over exactly these bytes. @throws CryptoError `term_destroyed` after `destroy`. */
  sign(message: Uint8Array): Uint8Array {
    if (this.#privateKey === null) throw new CryptoError('term_destroyed');
    return sign(null, message, this.#privateKey);
  }

  /**
   * The key as a term of the keyring, purpose `audit-sign`: `rewrapTerm` and `destroyTerm` work on it as on any other.
   *
   * @throws CryptoError `term_destroyed` after `destroy`.
   */
  async wrap(kek: KeyEncryptionKey, options: Omit<KeyTermOptions, 'purpose'>): Promise<KeyTerm> {
    if (this.#privateKey === null) throw new CryptoError('term_destroyed');
    const { term, key } = await wrapTerm(kek, { ...options, purpose: 'audit-sign' }, Uint8Array.from(this.#seed));
    key.destroy();
    return term;
  }

  /** Zeroes the seed. The copy inside the cryptographic library goes when the runtime collects it. */
  destroy(): void {
    this.#seed.fill(0);
    this.#privateKey = null;
  }

  toJSON(): string {
    return `[signing key ${encodePublicKeyText(this.publicKey)}]`;
  }

  [inspect.custom](): string {
    return this.toJSON();
  }
}

/** A fresh signing key. */
export function createSigningKey(): SigningKey {
  return new SigningKey(randomBytes(KEY_BYTES));
}

/**
 * Opens what `SigningKey.wrap` made.
 *
 * @throws TypeError for a term of another purpose; CryptoError as `openTerm`.
 */
export async function openSigningKey(
  kek: KeyEncryptionKey,
  installationId: string,
  term: KeyTerm,
): Promise<SigningKey> {
  const termKey = await openTerm(kek, installationId, term);
  try {
    return termKey.withKey('audit-sign', (key) => new SigningKey(Uint8Array.from(key)));
  } finally {
    termKey.destroy();
  }
}

/** False for any signature that isn't the key's over these bytes, and for keys or signatures of a wrong length. */
export function verifySignature(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== PUBLIC_KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false;
  const key = createPublicKey({
    key: Buffer.concat([SPKI_PREFIX, publicKey]),
    format: 'der',
    type: 'spki',
  });
  return verify(null, message, key, signature);
}

/** A public key as text: `strongroom-audit-v1:` and the base64url of its 32 bytes. */
export function encodePublicKeyText(publicKey: Uint8Array): string {
  if (publicKey.length !== PUBLIC_KEY_BYTES) throw new TypeError('An Ed25519 public key has 32 bytes');
  return PUBLIC_KEY_TEXT_PREFIX + Buffer.from(publicKey).toString('base64url');
}

/** The inverse of `encodePublicKeyText`. @throws CryptoError `format_invalid` */
export function decodePublicKeyText(text: string): Uint8Array {
  if (!text.startsWith(PUBLIC_KEY_TEXT_PREFIX)) throw new CryptoError('format_invalid');
  const publicKey = decodeBase64url(text.slice(PUBLIC_KEY_TEXT_PREFIX.length));
  if (publicKey.length !== PUBLIC_KEY_BYTES) throw new CryptoError('format_invalid');
  return publicKey;
}
