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
  let total = 0;
  for (const field of fields) total += LENGTH_BYTES + fieldLength(field);
  const encoded = Buffer.allocUnsafe(total);
  let at = 0;
  for (const field of fields) {
    const start = at + LENGTH_BYTES;
    if (typeof field === 'string') at = start + encoded.write(field, start, 'utf8');
    else if (typeof field === 'number') {
      encoded.writeUInt32BE(Math.floor(field / 2 ** 32), start);
      at = encoded.writeUInt32BE(field % 2 ** 32, start + 4);
    } else {
      encoded.set(field, start);
      at = start + field.length;
    }
    encoded.writeUInt32BE(at - start, start - LENGTH_BYTES);
  }
  return encoded;
}

const LENGTH_BYTES = 4;
const INTEGER_BYTES = 8;

function fieldLength(field: string | number | Uint8Array): number {
  if (typeof field === 'string') {
    if (!field.isWellFormed()) throw new TypeError('A field holds a lone surrogate');
    return Buffer.byteLength(field, 'utf8');
  }
  if (typeof field === 'number') {
    if (!Number.isSafeInteger(field) || field < 0) throw new TypeError('A field is no unsigned integer');
    return INTEGER_BYTES;
  }
  if (!(field instanceof Uint8Array)) throw new TypeError('A field is neither text, integer nor bytes');
  return field.length;
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
