import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { KEY_BYTES } from './aead.ts';
import { encodeFields } from './encoding.ts';
import { CryptoError } from './errors.ts';
import type { KeyEncryptionKey } from './kek.ts';

/** What a term's key is for. A key is never used for a purpose that isn't its own. */
export const KEY_PURPOSES = [
  'value',
  'fingerprint',
  'token',
  'audit-mac',
  'audit-sign',
  'cursor',
  'idempotency',
] as const;
export type KeyPurpose = (typeof KEY_PURPOSES)[number];

/** How many values one term may seal: 2^31. With random 96-bit nonces a collision then has odds below 2^-34. */
export const MAX_TERM_USES = 2 ** 31;

/**
 * One key of the keyring as it is stored: a plain record, safe to persist and to back up.
 *
 * `id` is 32 lower-case hex digits, never reused. `number` counts up from 1 within (scope, purpose). `uses` is how many
 * values were sealed; the keeper of the record persists an upper bound before it seals. A `retired` term opens and
 * doesn't seal; of a `destroyed` one the wrapped key is gone.
 */
export interface KeyTerm {
  id: string;
  scopeId: string;
  purpose: KeyPurpose;
  number: number;
  wrapped: Uint8Array;
  kekId: string;
  uses: number;
  state: 'active' | 'retired' | 'destroyed';
}

/** What a new term is for. */
export interface KeyTermOptions {
  installationId: string;
  scopeId: string;
  purpose: KeyPurpose;
  number: number;
}

/** An opened term: its key in memory, beside the names it is bound to. Made by `createTerm` and `openTerm`. */
export class TermKey {
  readonly id: string;
  readonly installationId: string;
  readonly scopeId: string;
  readonly purpose: KeyPurpose;
  readonly number: number;
  readonly isActive: boolean;
  readonly #key: Uint8Array;
  #secretKey: KeyObject | undefined;
  #uses: number;
  #isDestroyed = false;

  /** Owns `key` from now on. */
  constructor(installationId: string, term: KeyTerm, key: Uint8Array) {
    this.id = term.id;
    this.installationId = installationId;
    this.scopeId = term.scopeId;
    this.purpose = term.purpose;
    this.number = term.number;
    this.isActive = term.state === 'active';
    this.#uses = term.uses;
    this.#key = key;
  }

  /** The stored count plus what this object sealed. Several processes share a term, so the stored count rules. */
  get uses(): number {
    return this.#uses;
  }

  /**
   * Lends the raw key to `use`, which must not keep it. Only this package calls it.
   *
   * @throws TypeError when the term's purpose is another; CryptoError `term_destroyed` after `destroy`.
   * @internal
   */
  withKey<T>(purpose: KeyPurpose, use: (key: Uint8Array) => T): T {
    this.#assertUsable(purpose);
    return use(this.#key);
  }

  /**
   * The key as the cryptographic library takes it, made once. The caller must not keep it.
   *
   * @throws as `withKey`
   * @internal
   */
  secretKey(purpose: KeyPurpose): KeyObject {
    this.#assertUsable(purpose);
    return (this.#secretKey ??= createSecretKey(this.#key));
  }

  /**
   * Counts one sealing.
   *
   * @throws CryptoError `term_exhausted` at MAX_TERM_USES; TypeError when the term isn't active.
   * @internal
   */
  countUse(): void {
    if (!this.isActive) throw new TypeError("A retired key term can't seal");
    if (this.#uses >= MAX_TERM_USES) throw new CryptoError('term_exhausted');
    this.#uses += 1;
  }

  /**
   * Zeroes the key in memory; the stored term isn't touched. The library's own copy is zeroed when the runtime collects it.
   */
  destroy(): void {
    this.#key.fill(0);
    this.#secretKey = undefined;
    this.#isDestroyed = true;
  }

  #assertUsable(purpose: KeyPurpose): void {
    if (this.purpose !== purpose) {
      throw new TypeError(`A key term for ${this.purpose} can't be used for ${purpose}`);
    }
    if (this.#isDestroyed) throw new CryptoError('term_destroyed');
  }

  toJSON(): string {
    return `[term key ${this.id}]`;
  }

  [inspect.custom](): string {
    return this.toJSON();
  }
}

/** Makes a term with a fresh random key, `active`, with no uses. Persist `term` before sealing with `key`. */
export async function createTerm(
  kek: KeyEncryptionKey,
  options: KeyTermOptions,
): Promise<{ term: KeyTerm; key: TermKey }> {
  return wrapTerm(kek, options, randomBytes(KEY_BYTES));
}

/**
 * A new term around a key that exists. Owns `key` from now on.
 *
 * @internal
 */
export async function wrapTerm(
  kek: KeyEncryptionKey,
  options: KeyTermOptions,
  key: Uint8Array,
): Promise<{ term: KeyTerm; key: TermKey }> {
  const id = randomBytes(16).toString('hex');
  const { installationId, scopeId, purpose, number } = options;
  const wrapped = await kek.wrap(key, termAdditionalData(installationId, { id, scopeId, purpose, number }));
  const term: KeyTerm = {
    id,
    scopeId,
    purpose,
    number,
    wrapped,
    kekId: kek.id,
    uses: 0,
    state: 'active',
  };
  return { term, key: new TermKey(installationId, term, key) };
}

/**
 * Opens a stored term.
 *
 * @throws CryptoError `term_destroyed`; `kek_mismatch` when another KEK wrapped it; `decryption_failed` when the record
 *   was changed or belongs to another installation.
 */
export async function openTerm(kek: KeyEncryptionKey, installationId: string, term: KeyTerm): Promise<TermKey> {
  return new TermKey(installationId, term, await unwrapTerm(kek, installationId, term));
}

/**
 * The same term wrapped by another KEK; everything else is unchanged, so what it sealed stays readable. Run it again
 * after an interruption: a term that `newKek` already wraps fails with `kek_mismatch` and needs nothing.
 *
 * @throws as `openTerm`
 */
export async function rewrapTerm(
  oldKek: KeyEncryptionKey,
  newKek: KeyEncryptionKey,
  installationId: string,
  term: KeyTerm,
): Promise<KeyTerm> {
  const key = await unwrapTerm(oldKek, installationId, term);
  try {
    const wrapped = await newKek.wrap(key, termAdditionalData(installationId, term));
    return { ...term, wrapped, kekId: newKek.id };
  } finally {
    key.fill(0);
  }
}

/** The record that replaces a term when what it protects is purged: the wrapped key is gone for good. */
export function destroyTerm(term: KeyTerm): KeyTerm {
  return { ...term, wrapped: new Uint8Array(0), state: 'destroyed' };
}

async function unwrapTerm(kek: KeyEncryptionKey, installationId: string, term: KeyTerm): Promise<Uint8Array> {
  if (term.state === 'destroyed') throw new CryptoError('term_destroyed');
  if (term.kekId !== kek.id) throw new CryptoError('kek_mismatch');
  const key = await kek.unwrap(term.wrapped, termAdditionalData(installationId, term));
  if (key.length !== KEY_BYTES) {
    key.fill(0);
    throw new CryptoError('decryption_failed');
  }
  return key;
}

function termAdditionalData(
  installationId: string,
  term: Pick<KeyTerm, 'id' | 'scopeId' | 'purpose' | 'number'>,
): Uint8Array {
  return encodeFields(['strongroom/term/v1', installationId, term.scopeId, term.purpose, term.number, term.id]);
}
