import { StrongroomError } from '@strongroom/contract/core';
import {
  createSigningKey,
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
  type KeyTerm,
  MAX_TERM_USES,
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
import { newId } from '../store/ids.ts';
import type { Store } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';
import { useReservation } from './commands.ts';
import type { Keys, SealedValue, ValuePlace } from './keys.ts';

/** The scope id of terms that belong to no scope of secrets. */
export const installationScopeId = 'installation';

const kekCheckPlaintext = new TextEncoder().encode('strongroom installation key check');
const installationPurposes = ['token', 'cursor', 'idempotency', 'audit-mac'] as const;

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
 * @throws StrongroomError `key_unavailable`: wrong KEK, or a term that this KEK does not open.
 */
export async function openKeyring(store: Store, kek: KeyEncryptionKey): Promise<Keyring> {
  const installation = (await readInstallation(store)) ?? (await createInstallation(store, kek));
  await proveKek(kek, installation);
  const terms = new Map<string, TermKey>();
  const rows = await store.db
    .selectFrom('key_terms')
    .selectAll()
    .where('scope_id', '=', installationScopeId)
    .where('state', '!=', 'destroyed')
    .execute();
  for (const row of rows) if (row.purpose !== 'audit-sign') terms.set(row.id, await open(kek, installation.id, row));
  return new Keyring(store, kek, installation.id, terms);
}

type InstallationRow = Pick<Tables['installation'], 'id' | 'kek_id' | 'kek_check'>;

async function readInstallation(store: Store): Promise<InstallationRow | undefined> {
  return store.db.selectFrom('installation').select(['id', 'kek_id', 'kek_check']).executeTakeFirst();
}

async function createInstallation(store: Store, kek: KeyEncryptionKey): Promise<InstallationRow> {
  const installationId = newId('installation');
  const terms: KeyTerm[] = [];
  for (const purpose of installationPurposes) {
    const { term, key } = await createTerm(kek, { installationId, scopeId: installationScopeId, purpose, number: 1 });
    key.destroy();
    terms.push(term);
  }
  const signingKey = createSigningKey();
  terms.push(await signingKey.wrap(kek, { installationId, scopeId: installationScopeId, number: 1 }));
  signingKey.destroy();
  await store.execute('keys.createInstallation', {
    id: installationId,
    kekId: kek.id,
    kekCheck: await sealKekCheck(kek, installationId),
    terms,
  });
  // Another process may have been first; its installation is the one.
  const row = await readInstallation(store);
  if (row === undefined)
    throw new StrongroomError('storage_unavailable', { detail: 'The installation could not be created.' });
  return row;
}

/** The constant under the KEK that proves at the next start that the KEK is the right one. */
export async function sealKekCheck(kek: KeyEncryptionKey, installationId: string): Promise<Uint8Array> {
  return kek.wrap(kekCheckPlaintext, new TextEncoder().encode(`strongroom/kek-check/v1/${installationId}`));
}

/** @throws StrongroomError `key_unavailable` */
export async function proveKek(kek: KeyEncryptionKey, installation: InstallationRow): Promise<void> {
  const wrong = (cause?: unknown): StrongroomError =>
    new StrongroomError('key_unavailable', {
      detail: `The key-encryption key ${kek.id} is not the one this installation was made with (${installation.kek_id}).`,
      hint: 'Point STRONGROOM_KEK_FILE at the right key, or recover it with strongroom recovery restore. Nothing was changed.',
      cause,
    });
  if (kek.id !== installation.kek_id) throw wrong();
  try {
    await kek.unwrap(installation.kek_check, new TextEncoder().encode(`strongroom/kek-check/v1/${installation.id}`));
  } catch (cause) {
    throw wrong(cause);
  }
}

/** A stored row as the crypto package's record. */
export function termFromRow(row: Tables['key_terms']): KeyTerm {
  return {
    id: row.id,
    scopeId: row.scope_id,
    purpose: row.purpose as KeyPurpose,
    number: row.number,
    wrapped: row.wrapped ?? new Uint8Array(0),
    kekId: row.kek_id,
    uses: row.uses,
    state: row.state,
  };
}

async function open(kek: KeyEncryptionKey, installationId: string, row: Tables['key_terms']): Promise<TermKey> {
  try {
    return await openTerm(kek, installationId, termFromRow(row));
  } catch (cause) {
    throw new StrongroomError('key_unavailable', {
      detail: `The key term ${row.id} (${row.purpose}, ${row.state}) does not open.`,
      cause,
    });
  }
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

  constructor(store: Store, kek: KeyEncryptionKey, installationId: string, terms: Map<string, TermKey>) {
    this.#store = store;
    this.#kek = kek;
    this.installationId = installationId;
    this.#terms = terms;
  }

  get kek(): KeyEncryptionKey {
    return this.#kek;
  }

  /** After a rotation: new terms are wrapped by the new KEK; opened terms stay as they are. */
  useKek(kek: KeyEncryptionKey): void {
    this.#kek = kek;
  }

  async prepareScope(scopeId: string): Promise<void> {
    await this.#activeTerm('value', scopeId);
    await this.#activeTerm('fingerprint', scopeId);
  }

  async seal(place: ValuePlace, value: SecretValue): Promise<SealedValue> {
    const key = await this.#takeUse(place.scopeId);
    const envelope = sealValue(key, this.#context(place), value);
    const { fingerprint: bytes, termId } = await this.fingerprint(place.scopeId, value);
    return { envelope, termId: key.id, fingerprint: bytes, fingerprintTermId: termId };
  }

  async open(place: ValuePlace, envelope: Uint8Array): Promise<SecretValue> {
    try {
      const termId = envelopeTermId(envelope);
      const key = this.#terms.get(termId) ?? (await this.#openById(termId));
      return openValue(key, this.#context(place), envelope);
    } catch (cause) {
      if (cause instanceof StrongroomError) throw cause;
      if (!(cause instanceof CryptoError)) throw cause;
      if (cause.code === 'term_destroyed')
        throw new StrongroomError('key_unavailable', { detail: 'The key of this value was destroyed.', cause });
      throw new StrongroomError('internal', {
        detail: 'A stored value does not decrypt: its row was changed or moved.',
        cause,
      });
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
    const signing = await openSigningKey(this.#kek, this.installationId, term);
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

  /** Makes the next value term of a scope; what older terms sealed stays readable. */
  async rotateValueTerm(scopeId: string, audit?: AuditEvent): Promise<void> {
    const current = await this.#activeTerm('value', scopeId);
    await this.#addTerm('value', scopeId, current.key.number + 1, audit);
    this.#active.delete(`value ${scopeId}`);
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
    let active = await this.#activeTerm('value', scopeId);
    if (active.key.uses >= MAX_TERM_USES - useReservation) {
      await this.rotateValueTerm(scopeId);
      active = await this.#activeTerm('value', scopeId);
    }
    if (active.reserved === 0) {
      active.reserving ??= this.#reserve(active);
      try {
        await active.reserving;
      } catch (error) {
        // Another replica retired the term: its successor is in the store.
        if (!(error instanceof StrongroomError) || error.code !== 'version_conflict') throw error;
        if (this.#active.get(`value ${scopeId}`) === active) this.#active.delete(`value ${scopeId}`);
        return this.#takeUse(scopeId);
      }
    }
    active.reserved -= 1;
    return active.key;
  }

  async #reserve(active: ActiveTerm): Promise<void> {
    try {
      await this.#store.execute('keys.reserveUses', { termId: active.key.id });
      active.reserved += useReservation;
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
    const row = (await this.#readActive(purpose, scopeId)) ?? (await this.#addTerm(purpose, scopeId, 1));
    if (row.state === 'destroyed')
      throw new StrongroomError('key_unavailable', { detail: 'The keys of this scope were destroyed.' });
    const key = this.#terms.get(row.id) ?? (await open(this.#kek, this.installationId, row));
    this.#terms.set(key.id, key);
    return { key, reserved: 0, reserving: undefined };
  }

  async #readActive(purpose: KeyPurpose, scopeId: string): Promise<Tables['key_terms'] | undefined> {
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
    purpose: 'value' | 'fingerprint',
    scopeId: string,
    number: number,
    audit?: AuditEvent,
  ): Promise<Tables['key_terms']> {
    const { term, key } = await createTerm(this.#kek, {
      installationId: this.installationId,
      scopeId,
      purpose,
      number,
    });
    key.destroy();
    await this.#store.execute('keys.addTerms', { terms: [term] }, audit === undefined ? {} : { audit: [audit] });
    const row = await this.#readActive(purpose, scopeId);
    if (row === undefined)
      throw new StrongroomError('storage_unavailable', { detail: 'A key term could not be stored.' });
    return row;
  }

  /** A term made by another replica, or a retired one not opened yet. */
  async #openById(termId: string): Promise<TermKey> {
    const row = await this.#store.db.selectFrom('key_terms').selectAll().where('id', '=', termId).executeTakeFirst();
    if (row === undefined)
      throw new StrongroomError('key_unavailable', {
        detail: 'The key of this value is unknown to this installation.',
      });
    if (row.state === 'destroyed')
      throw new StrongroomError('key_unavailable', { detail: 'The key of this value was destroyed.' });
    const key = await open(this.#kek, this.installationId, row);
    this.#terms.set(termId, key);
    return key;
  }
}

interface ActiveTerm {
  readonly key: TermKey;
  /** Sealings reserved in the store and not used yet. */
  reserved: number;
  reserving: Promise<void> | undefined;
}
