import { StrongroomError } from '@strongroom/contract';
import {
  createTerm,
  CryptoError,
  envelopeTermId,
  fingerprint,
  hashChosenToken,
  hashToken,
  idempotencyMac,
  isChosenToken,
  type KeyEncryptionKey,
  type KeyPurpose,
  openCursor,
  openSigningKey,
  openTerm,
  openValue,
  parseToken,
  sealCursor,
  sealValue,
  type SecretValue,
  type TermKey,
} from '@strongroom/crypto';
import type { AuditEvent } from '../audit/event.ts';
import type { MaybePromise } from '../store/maybe-promise.ts';
import type { Store, Writer } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';
import { useReservation } from './commands.ts';
import { createInstallation, installationPurposes, proveKek, readInstallation } from './installation.ts';
import type { Keys, SealedValue, ValuePlace } from './keys.ts';
import {
  installationScopeId,
  openingFailure,
  openTermRow,
  orUnavailable,
  termFromRow,
  termsDestroyed,
} from './terms.ts';

/** Raw audit keys for the one writer, which hashes and signs on its own thread. Zeroed by whoever received them. */
export interface AuditKeyMaterial {
  readonly installationId: string;
  readonly macTermId: string;
  readonly macKey: Uint8Array;
  readonly signingTermId: string;
  /** 32 bytes, RFC 8032 private key. */
  readonly signingSeed: Uint8Array;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
}

/**
 * Opens the keyring, creating the installation on the very first start.
 *
 * Before anything else the KEK is proven against the installation's check; with a wrong one nothing is read further and
 * nothing is written.
 *
 * @throws StrongroomError `key_unavailable`: wrong KEK, or a term of the installation that is missing or doesn't open.
 */
export async function openKeyring(store: Store, kek: KeyEncryptionKey, newInstallationId?: string): Promise<Keyring> {
  const installation = (await readInstallation(store)) ?? (await createInstallation(store, kek, newInstallationId));
  await proveKek(kek, installation);
  const terms = new Map<string, TermKey>();
  const rows = await store.db
    .selectFrom('key_terms')
    .selectAll()
    .where('scope_id', '=', installationScopeId)
    .where('state', '!=', 'destroyed')
    .execute();
  for (const purpose of installationPurposes) {
    if (rows.some((row) => row.purpose === purpose && row.state === 'active')) continue;
    throw new StrongroomError('key_unavailable', { detail: `The installation has no ${purpose} key.` });
  }
  for (const row of rows) {
    const key = await openTermRow(kek, installation.id, row);
    // Signing is the writer's: its key is opened again when the audit chain starts.
    if (row.purpose === 'audit-sign') key.destroy();
    else terms.set(row.id, key);
  }
  return new Keyring(store, kek, installation.id, terms);
}

/** {@link Keys} over the store. Opened term keys stay in memory until {@link Keyring.close}. */
export class Keyring implements Keys {
  readonly installationId: string;
  readonly #store: Store;
  #kek: KeyEncryptionKey;
  readonly #terms: Map<string, TermKey>;
  /** Active value and fingerprint terms per scope: `purpose scope` → term. */
  readonly #active = new Map<string, ActiveTerm>();
  readonly #opening = new Map<string, Promise<ActiveTerm>>();
  /** Settles, never rejects, when the rotation of the KEK that is under way has ended. */
  #rotation: Promise<unknown> | undefined;

  constructor(store: Store, kek: KeyEncryptionKey, installationId: string, terms: Map<string, TermKey>) {
    this.#store = store;
    this.#kek = kek;
    this.installationId = installationId;
    this.#terms = terms;
  }

  get kek(): KeyEncryptionKey {
    return this.#kek;
  }

  /**
   * Runs a rotation of the KEK: one at a time, and whoever needs a term that the rotation has under its hands waits for
   * its end. After its commit the rotation calls `useKek`; opened terms stay as they are.
   *
   * @throws StrongroomError `state_conflict` while another one runs in this process
   */
  async replacingKek<Result>(rotate: (useKek: (kek: KeyEncryptionKey) => void) => Promise<Result>): Promise<Result> {
    if (this.#rotation !== undefined) {
      throw new StrongroomError('state_conflict', { detail: 'The key-encryption key is being rotated already.' });
    }
    const rotating = rotate((kek) => {
      this.#kek = kek;
    });
    this.#rotation = Promise.allSettled([rotating]);
    try {
      return await rotating;
    } finally {
      this.#rotation = undefined;
    }
  }

  async prepareScope(scopeId: string): Promise<void> {
    await this.#activeTerm('value', scopeId);
    await this.#activeTerm('fingerprint', scopeId);
  }

  async seal(place: ValuePlace, value: SecretValue): Promise<SealedValue> {
    const key = await this.#takeUse(place.scopeId);
    try {
      const envelope = sealValue(key, this.#context(place), value);
      const { fingerprint: bytes, termId } = await this.fingerprint(place.scopeId, value);
      return { envelope, termId: key.id, fingerprint: bytes, fingerprintTermId: termId };
    } catch (cause) {
      // The scope was destroyed since its key was taken.
      if (cause instanceof CryptoError && cause.code === 'term_destroyed') throw termsDestroyed();
      throw cause;
    }
  }

  /** At once when the term was used before. */
  open(place: ValuePlace, envelope: Uint8Array): MaybePromise<SecretValue> {
    try {
      const termId = envelopeTermId(envelope);
      const key = this.#terms.get(termId);
      return key === undefined
        ? this.#openById(termId).then((opened) => this.#openUnder(opened, place, envelope))
        : this.#openUnder(key, place, envelope);
    } catch (cause) {
      throw openingFailure(cause);
    }
  }

  #openUnder(key: TermKey, place: ValuePlace, envelope: Uint8Array): SecretValue {
    try {
      return openValue(key, this.#context(place), envelope);
    } catch (cause) {
      throw openingFailure(cause);
    }
  }

  async fingerprint(
    scopeId: string,
    value: SecretValue,
  ): Promise<{ readonly fingerprint: Uint8Array; readonly termId: string }> {
    const { key } = await this.#activeTerm('fingerprint', scopeId);
    return { fingerprint: fingerprint(key, value), termId: key.id };
  }

  tokenHashes(token: string): readonly { readonly hmac: Uint8Array; readonly termId: string }[] {
    const hash = parseToken(token) !== null ? hashToken : isChosenToken(token) ? hashChosenToken : undefined;
    if (hash === undefined) return [];
    return this.#installationTerms('token').map((key) => ({ hmac: hash(key, token), termId: key.id }));
  }

  sealCursor(payload: object, binding: string): string {
    return sealCursor(this.#current('cursor'), payload, binding);
  }

  openCursor(cursor: string, binding: string): Record<string, unknown> | null {
    for (const key of this.#installationTerms('cursor')) {
      const payload = openCursor(key, cursor, binding);
      if (payload !== null) return payload;
    }
    return null;
  }

  bodyHmac(body: Uint8Array): Uint8Array {
    return idempotencyMac(this.#current('idempotency'), body);
  }

  async auditKeys(): Promise<AuditKeyMaterial> {
    const mac = this.#current('audit-mac');
    const row = await this.#store.db
      .selectFrom('key_terms')
      .selectAll()
      .where('scope_id', '=', installationScopeId)
      .where('purpose', '=', 'audit-sign')
      .where('state', '=', 'active')
      .executeTakeFirstOrThrow();
    const term = termFromRow(row);
    const signing = await orUnavailable(row, () => openSigningKey(this.#kek, this.installationId, term));
    const seedKey = await openTerm(this.#kek, this.installationId, term);
    try {
      return {
        installationId: this.installationId,
        macTermId: mac.id,
        macKey: mac.withKey('audit-mac', (key) => Uint8Array.from(key)),
        signingTermId: term.id,
        signingSeed: seedKey.withKey('audit-sign', (key) => Uint8Array.from(key)),
        publicKey: signing.publicKey,
      };
    } finally {
      signing.destroy();
      seedKey.destroy();
    }
  }

  /**
   * Makes the next value term of a scope; what older terms sealed stays readable.
   * @throws StrongroomError `key_unavailable` when the scope's keys were destroyed
   */
  async rotateValueTerm(scopeId: string, audit?: AuditEvent, writer: Writer = this.#store): Promise<void> {
    // From the store: another replica may have rotated since this one opened its term.
    const newest = await this.#readNewest('value', scopeId);
    if (newest?.state === 'destroyed') throw termsDestroyed();
    await this.#underKek((kek) => this.#addTerm(kek, 'value', scopeId, (newest?.number ?? 0) + 1, audit, writer));
    this.#active.delete(`value ${scopeId}`);
  }

  /** Those of which keys are in memory. */
  openedScopes(): readonly string[] {
    const scopes = new Set(this.#terms.values().map((key) => key.scopeId));
    return [...scopes].filter((scopeId) => scopeId !== installationScopeId);
  }

  /** Forgets the keys of a destroyed scope. */
  forgetScope(scopeId: string): void {
    for (const [id, key] of this.#terms) {
      if (key.scopeId !== scopeId) continue;
      key.destroy();
      this.#terms.delete(id);
    }
    this.#active.delete(`value ${scopeId}`);
    this.#active.delete(`fingerprint ${scopeId}`);
  }

  /** Zeroes every opened key. */
  close(): void {
    for (const key of this.#terms.values()) key.destroy();
    this.#terms.clear();
    this.#active.clear();
  }

  #context(place: ValuePlace) {
    return {
      installationId: this.installationId,
      scopeId: place.scopeId,
      secretId: place.secretId,
      version: { epoch: place.epoch, n: place.version },
    };
  }

  #installationTerms(purpose: KeyPurpose): TermKey[] {
    return [...this.#terms.values()]
      .filter((key) => key.scopeId === installationScopeId && key.purpose === purpose)
      .toSorted((a, b) => b.number - a.number);
  }

  #current(purpose: KeyPurpose): TermKey {
    const [key] = this.#installationTerms(purpose);
    if (key === undefined)
      throw new StrongroomError('key_unavailable', { detail: `The installation has no ${purpose} key.` });
    return key;
  }

  /** One sealing of the scope's value term, reserved in the store before it happens. */
  async #takeUse(scopeId: string): Promise<TermKey> {
    for (;;) {
      const active = await this.#activeTerm('value', scopeId);
      // More may have waited for a reservation than it holds: each looks again.
      if (active.reserved > 0) {
        active.reserved -= 1;
        return active.key;
      }
      active.reserving ??= this.#reserve(scopeId, active);
      await active.reserving;
    }
  }

  async #reserve(scopeId: string, active: ActiveTerm): Promise<void> {
    try {
      const { isExhausted } = await this.#store.execute('keys.reserveUses', { termId: active.key.id });
      if (isExhausted) await this.rotateValueTerm(scopeId);
      else active.reserved += useReservation;
    } catch (error) {
      // Another replica retired the term: its successor is in the store.
      if (!(error instanceof StrongroomError) || error.code !== 'version_conflict') throw error;
      if (this.#active.get(`value ${scopeId}`) === active) this.#active.delete(`value ${scopeId}`);
    } finally {
      active.reserving = undefined;
    }
  }

  async #activeTerm(purpose: 'value' | 'fingerprint', scopeId: string): Promise<ActiveTerm> {
    const name = `${purpose} ${scopeId}`;
    const known = this.#active.get(name);
    if (known !== undefined) return known;
    const opening = this.#opening.get(name) ?? this.#openActive(purpose, scopeId);
    this.#opening.set(name, opening);
    try {
      const active = await opening;
      this.#active.set(name, active);
      return active;
    } finally {
      this.#opening.delete(name);
    }
  }

  async #openActive(purpose: 'value' | 'fingerprint', scopeId: string): Promise<ActiveTerm> {
    return this.#underKek(async (kek) => {
      const row = (await this.#readNewest(purpose, scopeId)) ?? (await this.#addTerm(kek, purpose, scopeId, 1));
      if (row.state === 'destroyed') throw termsDestroyed();
      const key = this.#terms.get(row.id) ?? (await openTermRow(kek, this.installationId, row));
      this.#terms.set(key.id, key);
      return { key, reserved: 0, reserving: undefined };
    });
  }

  /** A term made by another replica, or a retired one not opened yet. */
  async #openById(termId: string): Promise<TermKey> {
    return this.#underKek(async (kek) => {
      const row = await this.#store.db.selectFrom('key_terms').selectAll().where('id', '=', termId).executeTakeFirst();
      if (row === undefined)
        throw new StrongroomError('key_unavailable', {
          detail: 'The key of this value is unknown to this installation.',
        });
      if (row.state === 'destroyed')
        throw new StrongroomError('key_unavailable', { detail: 'The key of this value was destroyed.' });
      const key = await openTermRow(kek, this.installationId, row);
      this.#terms.set(termId, key);
      return key;
    });
  }

  /**
   * Work that reads or makes terms under one KEK. While a rotation is between its commit and its end the store is under the
   * new KEK and this process still has the old one: such work fails, and is done again when the rotation is over.
   */
  async #underKek<Result>(work: (kek: KeyEncryptionKey) => Promise<Result>): Promise<Result> {
    for (;;) {
      const kek = this.#kek;
      try {
        return await work(kek);
      } catch (error) {
        if (!(error instanceof StrongroomError) || error.code !== 'key_unavailable') throw error;
        await this.#rotation;
        if (kek === this.#kek) throw error;
      }
    }
  }

  async #readNewest(purpose: KeyPurpose, scopeId: string): Promise<Tables['key_terms'] | undefined> {
    return this.#store.db
      .selectFrom('key_terms')
      .selectAll()
      .where('scope_id', '=', scopeId)
      .where('purpose', '=', purpose)
      .orderBy('number', 'desc')
      .limit(1)
      .executeTakeFirst();
  }

  async #addTerm(
    kek: KeyEncryptionKey,
    purpose: 'value' | 'fingerprint',
    scopeId: string,
    number: number,
    audit?: AuditEvent,
    writer: Writer = this.#store,
  ): Promise<Tables['key_terms']> {
    const { term, key } = await createTerm(kek, { installationId: this.installationId, scopeId, purpose, number });
    key.destroy();
    await writer.execute('keys.addTerms', { terms: [term] }, audit === undefined ? {} : { audit: [audit] });
    const row = await this.#readNewest(purpose, scopeId);
    if (row === undefined)
      throw new StrongroomError('storage_unavailable', { detail: 'A key term could not be stored.' });
    return row;
  }
}

interface ActiveTerm {
  readonly key: TermKey;
  /** Sealings reserved in the store and not used yet. */
  reserved: number;
  reserving: Promise<void> | undefined;
}
