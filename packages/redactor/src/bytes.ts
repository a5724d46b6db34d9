/** Classes of bytes that several parts agree on. */

const byteClass = (isMember: (byte: number) => boolean): Uint8Array =>
  Uint8Array.from({ length: 256 }, (_, byte) => (isMember(byte) ? 1 : 0));

export const isDigit = (byte: number): boolean => byte >= 0x30 && byte <= 0x39;
export const isAlphanumeric = (byte: number): boolean =>
  isDigit(byte) || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a);
export const isBlank = (byte: number): boolean => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);

/** Letters, digits, `_` and every byte of a non-ASCII character: a token of 4–7 bytes ends where these end. */
export const WORD_BYTES = byteClass((byte) => isAlphanumeric(byte) || byte === 0x5f || byte >= 0x80);

/** Both alphabets of RFC 4648 (sections 4 and 5), without padding. */
export const BASE64_BYTES = byteClass((byte) => isAlphanumeric(byte) || '+/-_'.includes(String.fromCharCode(byte)));

/** Bytes appended one by one to memory that is zeroed when it grows or is dropped. */
export class ByteSink {
  #bytes: Uint8Array;
  #length = 0;

  constructor(capacity = 64) {
    this.#bytes = new Uint8Array(capacity);
  }

  push(byte: number): void {
    if (this.#length === this.#bytes.length) {
      const grown = new Uint8Array(this.#bytes.length * 2);
      grown.set(this.#bytes);
      this.#bytes.fill(0);
      this.#bytes = grown;
    }
    this.#bytes[this.#length++] = byte;
  }

  pushAscii(text: string): void {
    for (let index = 0; index < text.length; index++) this.push(text.charCodeAt(index));
  }

  /** The bytes so far, as a view that the next `push` or `clear` may invalidate. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  clear(): void {
    this.#bytes.fill(0, 0, this.#length);
    this.#length = 0;
  }
}
