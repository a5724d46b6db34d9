import { CryptoError } from './errors.ts';

/**
 * Encodes a list of fields so that no two different lists give the same bytes: each field is its length in bytes as
 * an unsigned 32-bit big-endian integer, then the bytes. Text is UTF-8; integers are unsigned 64-bit big-endian.
 *
 * Every MAC and all additional data of this package is such a list, and its first field is a label that no other use
 * shares.
 *
 * @throws TypeError for ill-formed text (a lone surrogate would turn into U+FFFD, and two names into one) and for
 *   integers that are negative or beyond 2^53 - 1.
 */
export function encodeFields(fields: readonly (string | number | Uint8Array)[]): Buffer {
  const parts: Uint8Array[] = [];
  for (const field of fields) {
    const bytes = fieldBytes(field);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    parts.push(length, bytes);
  }
  return Buffer.concat(parts);
}

function fieldBytes(field: string | number | Uint8Array): Uint8Array {
  if (typeof field === 'string') {
    if (!field.isWellFormed()) throw new TypeError('A field holds a lone surrogate');
    return Buffer.from(field, 'utf8');
  }
  if (typeof field === 'number') {
    if (!Number.isSafeInteger(field) || field < 0) throw new TypeError('A field is no unsigned integer');
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(BigInt(field));
    return bytes;
  }
  if (!(field instanceof Uint8Array)) throw new TypeError('A field is neither text, integer nor bytes');
  return field;
}

/**
 * Decodes base64url (RFC 4648 section 5, no padding), and only its canonical form: Node's decoder skips characters it
 * doesn't know and ignores unused trailing bits.
 *
 * @throws CryptoError `format_invalid`
 */
export function decodeBase64url(text: string): Buffer {
  return decodeCanonical(text, 'base64url', text);
}

/**
 * Decodes standard base64 without padding, as in PHC strings, canonical form only.
 *
 * @throws CryptoError `format_invalid`
 */
export function decodeBase64NoPad(text: string): Buffer {
  return decodeCanonical(text, 'base64', text.padEnd(Math.ceil(text.length / 4) * 4, '='));
}

/** Encodes standard base64 without padding. */
export function encodeBase64NoPad(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replaceAll('=', '');
}

function decodeCanonical(text: string, encoding: 'base64' | 'base64url', expected: string): Buffer {
  const bytes = Buffer.from(text, encoding);
  if (bytes.toString(encoding) !== expected) {
    bytes.fill(0);
    throw new CryptoError('format_invalid');
  }
  return bytes;
}
