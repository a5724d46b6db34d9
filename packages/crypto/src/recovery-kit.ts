import { createHash, hkdfSync, randomBytes } from 'node:crypto';
import { aeadOpen, aeadSeal, KEY_BYTES } from './aead.ts';
import { decodeBase64url, encodeFields } from './encoding.ts';
import { CryptoError } from './errors.ts';
import { kekFromBytes } from './kek.ts';

// Crockford's base32: no I, L, O, U.
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const KEY_LENGTH_BYTES = 20;
const KEY_CHARACTERS = 32;
const CHECKSUM_CHARACTERS = 4;
const GROUP_CHARACTERS = 6;
const SALT_BYTES = 16;
const MAX_KIT_CHARACTERS = 4096;
const KIT =
  /^(?:#[^\r\n]*\r?\n)*strongroom-recovery-kit-v1\r?\nkek-id: ([0-9a-f]{32})\r?\nsalt: ([\w-]{22})\r?\nwrapped-kek: ([\w-]{80})(?:\r?\n)?$/;

/** What an operator keeps: each half is useless without the other. */
export interface RecoveryKit {
  /**
   * To be printed once and kept apart from the kit: 160 random bits and a 20-bit checksum in Crockford's base32, six
   * groups of six.
   */
  recoveryKey: string;
  /** The content of a text file: the KEK wrapped under the recovery key. */
  kit: string;
}

/**
 * Wraps a KEK's 32 bytes under a fresh recovery key.
 *
 * The wrapping key is HKDF-SHA-256 (RFC 5869) of the recovery key's 20 bytes with the kit's salt; the wrap is
 * AES-256-GCM, nonce first, with the KEK's id and the salt as additional data.
 *
 * @throws CryptoError `kek_invalid`
 */
export function createRecoveryKit(kekBytes: Uint8Array): RecoveryKit {
  const kek = kekFromBytes(kekBytes);
  kek.destroy();
  const recoveryBytes = randomBytes(KEY_LENGTH_BYTES);
  const salt = randomBytes(SALT_BYTES);
  const wrappingKey = deriveWrappingKey(recoveryBytes, salt);
  const wrapped = aeadSeal(wrappingKey, kitAdditionalData(kek.id, salt), kekBytes);
  const recoveryKey = formatRecoveryKey(recoveryBytes);
  wrappingKey.fill(0);
  recoveryBytes.fill(0);
  const kit = [
    '# Strongroom recovery kit. With the recovery key it gives back the key encryption key.',
    "# Keep it apart from the recovery key and from the database's backups.",
    'strongroom-recovery-kit-v1',
    `kek-id: ${kek.id}`,
    `salt: ${salt.toString('base64url')}`,
    `wrapped-kek: ${wrapped.toString('base64url')}`,
    '',
  ].join('\n');
  return { recoveryKey, kit };
}

/**
 * The KEK's bytes. In the recovery key, case, blanks and hyphens don't matter, and I, L, O are read as 1, 1, 0.
 *
 * @throws CryptoError `format_invalid` for a mistyped recovery key or a text that is no kit; `decryption_failed` for
 *   the key of another kit or a changed kit.
 */
export function openRecoveryKit(kit: string, recoveryKey: string): Uint8Array {
  const match = kit.length > MAX_KIT_CHARACTERS ? null : KIT.exec(kit);
  const [, kekId = '', saltText = '', wrappedText = ''] = match ?? [];
  if (match === null) throw new CryptoError('format_invalid', 'The text is no recovery kit of version 1');
  const salt = decodeBase64url(saltText);
  const wrapped = decodeBase64url(wrappedText);
  const recoveryBytes = parseRecoveryKey(recoveryKey);
  const wrappingKey = deriveWrappingKey(recoveryBytes, salt);
  try {
    return aeadOpen(wrappingKey, kitAdditionalData(kekId, salt), wrapped);
  } finally {
    wrappingKey.fill(0);
    recoveryBytes.fill(0);
  }
}

/** The KEK that a kit holds, by `Kek.id`. @throws CryptoError `format_invalid` */
export function recoveryKitKekId(kit: string): string {
  const kekId = kit.length > MAX_KIT_CHARACTERS ? undefined : KIT.exec(kit)?.[1];
  if (kekId === undefined) throw new CryptoError('format_invalid', 'The text is no recovery kit of version 1');
  return kekId;
}

function deriveWrappingKey(recoveryBytes: Uint8Array, salt: Uint8Array): Buffer {
  return Buffer.from(hkdfSync('sha256', recoveryBytes, salt, 'strongroom/recovery-kit/v1', KEY_BYTES));
}

function kitAdditionalData(kekId: string, salt: Uint8Array): Uint8Array {
  return encodeFields(['strongroom/recovery-kit/v1', kekId, salt]);
}

function formatRecoveryKey(bytes: Uint8Array): string {
  const text = encodeBase32(bytes) + checksum(bytes);
  const groups: string[] = [];
  for (let at = 0; at < text.length; at += GROUP_CHARACTERS) groups.push(text.slice(at, at + GROUP_CHARACTERS));
  return groups.join('-');
}

function parseRecoveryKey(text: string): Buffer {
  const mistyped = 'The recovery key is mistyped';
  if (text.length > 128) throw new CryptoError('format_invalid', mistyped);
  const typed = text.replace(/[\s-]/g, '');
  // Before upper-casing, which turns a few other letters into ASCII ones.
  if (!/^[0-9A-TV-Za-tv-z]{36}$/.test(typed)) throw new CryptoError('format_invalid', mistyped);
  const compact = typed.toUpperCase().replace(/[IL]/g, '1').replaceAll('O', '0');
  const bytes = decodeBase32(compact.slice(0, KEY_CHARACTERS));
  if (checksum(bytes) !== compact.slice(KEY_CHARACTERS)) throw new CryptoError('format_invalid', mistyped);
  return bytes;
}

/** The first 20 bits of a hash of the key: it finds typing errors and is no secret from who holds the key. */
function checksum(bytes: Uint8Array): string {
  const digest = createHash('sha256')
    .update(encodeFields(['strongroom/recovery-key/v1', bytes]))
    .digest();
  return encodeBase32(digest).slice(0, CHECKSUM_CHARACTERS);
}

/** Big-endian, five bits a character; the last one is filled up with zero bits. */
function encodeBase32(bytes: Uint8Array): string {
  let text = '';
  for (let bit = 0; bit < bytes.length * 8; bit += 5) {
    const pair = ((bytes[bit >> 3] ?? 0) << 8) | (bytes[(bit >> 3) + 1] ?? 0);
    text += ALPHABET.charAt((pair >> (11 - (bit & 7))) & 31);
  }
  return text;
}

function decodeBase32(text: string): Buffer {
  const bytes = Buffer.alloc((text.length * 5) / 8);
  for (let index = 0; index < text.length; index += 1) {
    const shifted = ALPHABET.indexOf(text.charAt(index)) << (11 - ((index * 5) & 7));
    const at = (index * 5) >> 3;
    bytes[at] = (bytes[at] ?? 0) | (shifted >> 8);
    if (at + 1 < bytes.length) bytes[at + 1] = (bytes[at + 1] ?? 0) | (shifted & 0xff);
  }
  return bytes;
}
