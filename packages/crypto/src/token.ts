import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { CryptoError } from './errors.ts';
import type { TermKey } from './keyring.ts';
import { termMac } from './mac.ts';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const BODY_CHARACTERS = 43;
const CHECKSUM_CHARACTERS = 6;
const PREFIX = /^[a-z]{2,8}_$/;
const TOKEN = /^([a-z]{2,8}_)([0-9A-Za-z]{43})([0-9A-Za-z]{6})$/;
const CHOSEN_TOKEN = /^srt_[0-9A-Za-z_-]{32,200}$/;
// The largest multiple of 62 in a byte: larger bytes are drawn again, else some characters were likelier.
const UNBIASED_BELOW = 248;

/** A token whose form and checksum are right; whether it was ever issued is another question. */
export interface ParsedToken {
  /** Which kind of token it claims to be, for instance `srt_`. */
  prefix: string;
  /** The whole text, as `hashToken` takes it. */
  text: string;
}

/**
 * Makes a bearer token: the prefix, 43 random base62 characters (256 bits), and a checksum of 6 (CRC-32 of the ASCII
 * text before it, base62, big-endian, zero-padded). The checksum lets a secret scanner tell a token from noise
 * offline, and a typo be refused without a look-up. The text is shown once; store `hashToken` of it.
 *
 * @param prefix two to eight lower-case letters and an underscore.
 */
export function createToken(prefix = 'srt_'): string {
  if (!PREFIX.test(prefix)) throw new TypeError("A token's prefix is two to eight letters and an underscore");
  const text = prefix + randomBase62(BODY_CHARACTERS);
  return text + checksum(text);
}

/** Null for anything that isn't a token's form or whose checksum is wrong. */
export function parseToken(text: string): ParsedToken | null {
  const match = TOKEN.exec(text);
  if (match === null) return null;
  const [, prefix, body, check] = match;
  if (prefix === undefined || body === undefined || check !== checksum(prefix + body)) return null;
  return { prefix, text };
}

/**
 * The HMAC under which a token is stored and looked up, 32 bytes. A plain hash would do against guessing, 256 bits
 * being what they are; the key keeps a writer of the database from planting a token of his own.
 *
 * @throws CryptoError `format_invalid` for what `parseToken` refuses; `term_destroyed`.
 * @throws TypeError for a term whose purpose isn't `token`.
 */
export function hashToken(termKey: TermKey, token: string): Uint8Array {
  if (parseToken(token) === null) throw new CryptoError('format_invalid');
  return termMac(termKey, 'token', 'strongroom/token/v1', [termKey.installationId, termKey.scopeId, token]);
}

/**
 * Whether it can be a token that an operator made with other means, for a first start without a person: `srt_` and 32 to
 * 200 characters of base64url, at least eight different ones. A text that `parseToken` reads is none.
 */
export function isChosenToken(text: string): boolean {
  return CHOSEN_TOKEN.test(text) && new Set(text.slice('srt_'.length)).size >= 8 && parseToken(text) === null;
}

/**
 * As `hashToken`, for a token that `isChosenToken` accepts.
 *
 * @throws CryptoError `format_invalid`, `term_destroyed`; TypeError for a term whose purpose isn't `token`.
 */
export function hashChosenToken(termKey: TermKey, token: string): Uint8Array {
  if (!isChosenToken(token)) throw new CryptoError('format_invalid');
  return termMac(termKey, 'token', 'strongroom/chosen-token/v1', [termKey.installationId, termKey.scopeId, token]);
}

function randomBase62(count: number): string {
  let text = '';
  while (text.length < count) {
    const bytes = randomBytes(count);
    for (const byte of bytes) {
      if (byte < UNBIASED_BELOW && text.length < count) text += ALPHABET.charAt(byte % ALPHABET.length);
    }
    bytes.fill(0);
  }
  return text;
}

function checksum(text: string): string {
  let rest = crc32(text);
  let digits = '';
  for (let index = 0; index < CHECKSUM_CHARACTERS; index += 1) {
    digits = ALPHABET.charAt(rest % ALPHABET.length) + digits;
    rest = Math.floor(rest / ALPHABET.length);
  }
  return digits;
}
