import { aeadOpen, aeadSeal, NONCE_BYTES, TAG_BYTES } from './aead.ts';
import { encodeFields } from './encoding.ts';
import { CryptoError } from './errors.ts';
import type { TermKey } from './keyring.ts';
import { SecretValue } from './secret-value.ts';

/** The place of a value: an envelope opens nowhere else. */
export interface ValueContext {
  installationId: string;
  scopeId: string;
  secretId: string;
  /** Versions are (epoch, n): a restore starts a new epoch, so no version number is ever used twice. */
  version: { epoch: number; n: number };
}

// Offsets in bytes: 0 magic "SR", 2 format, 3 term id, 19 nonce, 31 ciphertext, then the tag up to the end.
const MAGIC_AND_FORMAT = Uint8Array.of(0x53, 0x52, 1);
const TERM_ID_BYTES = 16;
const SEALED_AT = MAGIC_AND_FORMAT.length + TERM_ID_BYTES;
const LENGTH_BYTES = 4;
const MIN_PADDED_BYTES = 64;
const MIN_ENVELOPE_BYTES = SEALED_AT + NONCE_BYTES + MIN_PADDED_BYTES + TAG_BYTES;

/**
 * Encrypts one version of one secret. The envelope is
 *
 * | offset | bytes | content |
 * | --- | --- | --- |
 * | 0 | 2 | `SR` |
 * | 2 | 1 | format, 1 |
 * | 3 | 16 | term id |
 * | 19 | 12 | random nonce |
 * | 31 | p | AES-256-GCM of: length of the value (unsigned 32-bit big-endian), value, zeros up to p bytes |
 * | 31 + p | 16 | tag |
 *
 * p is `paddedLength(4 + length)`, so a reader of the database learns the size's class only. Additional data: label,
 * purpose, installation, scope, secret, epoch, n, term id (`encodeFields`).
 *
 * @throws CryptoError `term_exhausted`, `term_destroyed`
 * @throws TypeError for a term of another scope, installation or purpose, or a retired one.
 */
export function sealValue(termKey: TermKey, context: ValueContext, value: SecretValue): Uint8Array {
  if (termKey.scopeId !== context.scopeId || termKey.installationId !== context.installationId) {
    throw new TypeError('The key term belongs to another scope or installation');
  }
  const additionalData = valueAdditionalData(termKey.id, context);
  const plaintext = value.reveal();
  const padded = Buffer.alloc(paddedLength(LENGTH_BYTES + plaintext.length));
  try {
    padded.writeUInt32BE(plaintext.length);
    padded.set(plaintext, LENGTH_BYTES);
    const key = termKey.secretKey('value');
    termKey.countUse();
    const sealed = aeadSeal(key, additionalData, padded);
    return Buffer.concat([MAGIC_AND_FORMAT, Buffer.from(termKey.id, 'hex'), sealed]);
  } finally {
    plaintext.fill(0);
    padded.fill(0);
  }
}

/**
 * Opens what `sealValue` made. Find the term with `envelopeTermId`.
 *
 * @throws CryptoError `format_invalid` for bytes that are no envelope, or too few; `term_unknown` for another term than
 *   the envelope names; `term_destroyed`; `decryption_failed` for everything else: a changed byte, a cut tag, another
 *   secret's, version's, scope's or installation's row.
 */
export function openValue(termKey: TermKey, context: ValueContext, envelope: Uint8Array): SecretValue {
  if (envelopeTermId(envelope) !== termKey.id) throw new CryptoError('term_unknown');
  const additionalData = valueAdditionalData(termKey.id, context);
  const padded = aeadOpen(termKey.secretKey('value'), additionalData, envelope.subarray(SEALED_AT));
  try {
    const length = padded.readUInt32BE();
    if (padded.length !== paddedLength(LENGTH_BYTES + length)) throw new CryptoError('decryption_failed');
    return SecretValue.fromBytes(padded.subarray(LENGTH_BYTES, LENGTH_BYTES + length));
  } finally {
    padded.fill(0);
  }
}

/**
 * The id of the term that sealed an envelope, unverified until `openValue` succeeds.
 *
 * @throws CryptoError `format_invalid`
 */
export function envelopeTermId(envelope: Uint8Array): string {
  if (envelope.length < MIN_ENVELOPE_BYTES) throw new CryptoError('format_invalid');
  for (let at = 0; at < MAGIC_AND_FORMAT.length; at += 1)
    if (envelope[at] !== MAGIC_AND_FORMAT[at]) throw new CryptoError('format_invalid');
  const { buffer, byteOffset } = envelope;
  return Buffer.from(buffer, byteOffset + MAGIC_AND_FORMAT.length, TERM_ID_BYTES).toString('hex');
}

/**
 * `length` rounded up to a multiple of max(64, an eighth of the power of two at or below it): at least 64, and beyond
 * 512 bytes at most 12.5 % more.
 */
function paddedLength(length: number): number {
  const step = Math.max(MIN_PADDED_BYTES, 2 ** (Math.floor(Math.log2(length)) - 3));
  return Math.ceil(length / step) * step;
}

function valueAdditionalData(termId: string, context: ValueContext): Uint8Array {
  const { installationId, scopeId, secretId, version } = context;
  return encodeFields([
    'strongroom/value/v1',
    'value',
    installationId,
    scopeId,
    secretId,
    version.epoch,
    version.n,
    termId,
  ]);
}
