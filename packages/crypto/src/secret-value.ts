import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { inspect } from 'node:util';
import { CryptoError } from './errors.ts';

const REDACTED = '[secret]';

/**
 * A plaintext secret on its way through the program. It prints as `[secret]` wherever text is made of it (string
 * conversion, JSON, `util.inspect`); `reveal` and `revealText` are the only ways to the content.
 *
 * The bytes are copied in and copied out, so nobody can change a value that somebody else holds. `destroy` zeroes the
 * copy held here; whoever revealed a copy zeroes that one.
 */
export class SecretValue {
  readonly #bytes: Uint8Array;
  #isDestroyed = false;

  private constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    Object.freeze(this);
  }

  /** Takes a copy of `bytes`; any length, any content. */
  static fromBytes(bytes: Uint8Array): SecretValue {
    const copy = new Uint8Array(bytes.length);
    copy.set(bytes);
    return new SecretValue(copy);
  }

  /**
   * The UTF-8 bytes of `text`, unchanged: no trimming, no normalisation, NUL and byte order mark kept.
   *
   * @throws CryptoError `format_invalid` for a lone surrogate, which UTF-8 can't represent.
   */
  static fromText(text: string): SecretValue {
    if (!text.isWellFormed()) throw new CryptoError('format_invalid', 'The text holds a lone surrogate');
    return new SecretValue(new TextEncoder().encode(text));
  }

  /** Length in bytes. */
  get byteLength(): number {
    return this.#bytes.length;
  }

  /** The same content for somebody else to destroy. @throws TypeError after `destroy`. */
  copy(): SecretValue {
    return new SecretValue(this.reveal());
  }

  /** A copy of the plaintext bytes. @throws TypeError after `destroy`. */
  reveal(): Uint8Array {
    this.#assertAlive();
    return this.#bytes.slice();
  }

  /**
   * The plaintext as text.
   *
   * @throws CryptoError `format_invalid` when the bytes aren't UTF-8; nothing is replaced.
   * @throws TypeError after `destroy`.
   */
  revealText(): string {
    this.#assertAlive();
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.#bytes);
    } catch {
      throw new CryptoError('format_invalid', "The value isn't UTF-8 text");
    }
  }

  /** Compares contents in a time that tells nothing about where, or whether in length, they differ. */
  equals(other: SecretValue): boolean {
    this.#assertAlive();
    other.#assertAlive();
    const key = randomBytes(32);
    const digest = (value: SecretValue) => createHmac('sha256', key).update(value.#bytes).digest();
    return timingSafeEqual(digest(this), digest(other));
  }

  /** Zeroes the bytes; any later reading is a TypeError. */
  destroy(): void {
    this.#bytes.fill(0);
    this.#isDestroyed = true;
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [inspect.custom](): string {
    return REDACTED;
  }

  #assertAlive(): void {
    if (this.#isDestroyed) throw new TypeError('The secret value was destroyed');
  }
}
