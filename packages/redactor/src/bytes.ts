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

/** Bytes appended to memory that is zeroed when it grows or is cleared. */
export class ByteSink {
  #bytes: Uint8Array;
  #length = 0;

  constructor(capacity = 64) {
    this.#bytes = new Uint8Array(capacity);
  }

  push(byte: number): void {
    if (this.#length === this.#bytes.length) this.#grow(1);
    this.#bytes[this.#length++] = byte;
  }

  pushAll(bytes: Uint8Array): void {
    if (this.#length + bytes.length > this.#bytes.length) this.#grow(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  pushAscii(text: string): void {
    for (let index = 0; index < text.length; index++) this.push(text.charCodeAt(index));
  }

  /** The bytes so far, as a view that the next call of another method may invalidate. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Hands the bytes over and starts anew; a copy if more than half of the memory would be kept for nothing. */
  take(): Uint8Array {
    const bytes = this.#bytes;
    const isSparse = this.#length < bytes.length / 2;
    const taken = isSparse ? bytes.slice(0, this.#length) : bytes.subarray(0, this.#length);
    if (isSparse) bytes.fill(0, 0, this.#length);
    this.#bytes = new Uint8Array();
    this.#length = 0;
    return taken;
  }

  clear(): void {
    this.#bytes.fill(0, 0, this.#length);
    this.#length = 0;
  }

  #grow(byteLength: number): void {
    const grown = new Uint8Array(Math.max(64, this.#length + byteLength, this.#bytes.length * 2));
    grown.set(this.#bytes);
    this.#bytes.fill(0);
    this.#bytes = grown;
  }
}
