import { argon2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { decodeBase64NoPad, encodeBase64NoPad } from './encoding.ts';
import { CryptoError } from './errors.ts';

const argon2Async = promisify(argon2);

/** The longest password, in bytes of UTF-8 as typed. Longer ones are refused, never cut. */
export const MAX_PASSWORD_BYTES = 1024;

interface Parameters {
  memoryKib: number;
  passes: number;
  parallelism: number;
}

// OWASP Password Storage Cheat Sheet, Argon2id.
const CURRENT: Parameters = { memoryKib: 19_456, passes: 2, parallelism: 1 };
const SALT_BYTES = 16;
const HASH_BYTES = 32;

// What a stored hash may ask for: a planted one must not be able to claim gigabytes or minutes.
const MAX_MEMORY_KIB = 131_072;
const MAX_PASSES = 8;
const MAX_PARALLELISM = 4;
const MAX_PHC_CHARACTERS = 256;
const PHC =
  /^\$argon2id\$v=19\$m=([1-9]\d{0,5}),t=([1-9]\d{0,1}),p=([1-9]\d{0,1})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/;

/**
 * Hashes a password with Argon2id (RFC 9106) and a random salt, to a PHC string
 * `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`.
 *
 * The text is brought to Unicode NFKC first (NIST SP 800-63B section 5.1.1.2 asks for NFKC or NFKD), so that the same
 * password typed on another keyboard or system matches. How long or how good it must be is the caller's policy.
 *
 * @throws CryptoError `format_invalid` when it is empty, over MAX_PASSWORD_BYTES, or holds a lone surrogate.
 */
export async function hashPassword(text: string): Promise<string> {
  const message = passwordBytes(text);
  if (message === null) {
    throw new CryptoError('format_invalid', `A password has 1 to ${MAX_PASSWORD_BYTES} bytes of valid text`);
  }
  const salt = randomBytes(SALT_BYTES);
  const hash = await derive(message, CURRENT, salt, HASH_BYTES);
  const { memoryKib, passes, parallelism } = CURRENT;
  return `$argon2id$v=19$m=${memoryKib},t=${passes},p=${parallelism}$${encodeBase64NoPad(salt)}$${encodeBase64NoPad(hash)}`;
}

/**
 * Whether the password is the one that was hashed. A text that no password can be (empty, too long) is false, after
 * the work of a true check.
 *
 * @throws CryptoError `format_invalid` when `encoded` is no PHC string of Argon2id or asks for more than 128 MiB, 8
 *   passes or 4 lanes.
 */
export async function verifyPassword(text: string, encoded: string): Promise<boolean> {
  const { parameters, salt, hash } = parsePhc(encoded);
  const message = passwordBytes(text);
  const derived = await derive(message ?? Buffer.alloc(0), parameters, salt, hash.length);
  return timingSafeEqual(derived, hash) && message !== null;
}

/**
 * Does the work of `verifyPassword` for an account that doesn't exist, so that the time of the answer doesn't tell.
 */
export async function burnPassword(text = ''): Promise<void> {
  await derive(passwordBytes(text) ?? Buffer.alloc(0), CURRENT, randomBytes(SALT_BYTES), HASH_BYTES);
}

/**
 * True when the hash was made with other parameters than today's; hash again after the next right password.
 *
 * @throws CryptoError `format_invalid` as `verifyPassword`.
 */
export function needsRehash(encoded: string): boolean {
  const { parameters, salt, hash } = parsePhc(encoded);
  return (
    parameters.memoryKib !== CURRENT.memoryKib ||
    parameters.passes !== CURRENT.passes ||
    parameters.parallelism !== CURRENT.parallelism ||
    salt.length !== SALT_BYTES ||
    hash.length !== HASH_BYTES
  );
}

function passwordBytes(text: string): Buffer | null {
  // The first bound keeps an endless text from being measured.
  if (text.length === 0 || text.length > MAX_PASSWORD_BYTES || !text.isWellFormed()) return null;
  if (Buffer.byteLength(text, 'utf8') > MAX_PASSWORD_BYTES) return null;
  return Buffer.from(text.normalize('NFKC'), 'utf8');
}

function parsePhc(encoded: string): { parameters: Parameters; salt: Buffer; hash: Buffer } {
  const match = encoded.length > MAX_PHC_CHARACTERS ? null : PHC.exec(encoded);
  const [, memory = '', passes = '', parallelism = '', salt = '', hash = ''] = match ?? [];
  const parameters = {
    memoryKib: Number(memory),
    passes: Number(passes),
    parallelism: Number(parallelism),
  };
  if (match === null || !isWithinBounds(parameters)) {
    throw new CryptoError('format_invalid', 'The stored password hash is malformed');
  }
  return { parameters, salt: decodeBase64NoPad(salt), hash: decodeBase64NoPad(hash) };
}

function isWithinBounds({ memoryKib, passes, parallelism }: Parameters): boolean {
  return (
    memoryKib >= 8 * parallelism &&
    memoryKib <= MAX_MEMORY_KIB &&
    passes <= MAX_PASSES &&
    parallelism <= MAX_PARALLELISM
  );
}

/** Zeroes `message` when done. */
async function derive(message: Buffer, parameters: Parameters, nonce: Buffer, tagLength: number): Promise<Buffer> {
  const { memoryKib: memory, passes, parallelism } = parameters;
  try {
    return await argon2Async('argon2id', {
      message,
      nonce,
      parallelism,
      tagLength,
      memory,
      passes,
    });
  } finally {
    message.fill(0);
  }
}
