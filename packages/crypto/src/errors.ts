/** What went wrong, in words a program can compare. A closed set: the server maps each to its own error table. */
export type CryptoErrorCode =
  | 'kek_invalid'
  | 'kek_mismatch'
  | 'term_unknown'
  | 'term_destroyed'
  | 'term_exhausted'
  | 'decryption_failed'
  | 'format_invalid';

const DEFAULT_MESSAGES: Record<CryptoErrorCode, string> = {
  kek_invalid: "The key encryption key can't be used",
  kek_mismatch: 'The key was wrapped by another key encryption key',
  term_unknown: 'The ciphertext belongs to another key term',
  term_destroyed: 'The key term was destroyed',
  term_exhausted: 'The key term reached its use limit; roll over to a new term',
  decryption_failed: 'Decryption failed',
  format_invalid: 'The input is malformed',
};

/**
 * The only error this package throws for bad input or bad ciphertext; misuse by the calling code (a key used for a
 * purpose that isn't its own, an id that is no string) is a TypeError.
 *
 * The message never holds key material, plaintext or ciphertext. `decryption_failed` is one indistinct failure: it
 * doesn't tell a wrong key from a changed byte or a swapped row.
 */
export class CryptoError extends Error {
  readonly code: CryptoErrorCode;

  constructor(code: CryptoErrorCode, message: string = DEFAULT_MESSAGES[code], options?: ErrorOptions) {
    super(message, options);
    this.name = 'CryptoError';
    this.code = code;
  }
}
