import { type Reference, reservedSourceName, StrongroomError } from '@strongroom/contract';
import type { SecretValue } from '@strongroom/crypto';
import type { Caller, ScopeRef } from '../access/types.ts';
import type { AuditEvent } from '../audit/event.ts';
import { changeEvent } from '../secrets/changes.ts';
import type { SecretReader } from '../secrets/reader.ts';
import type { SecretWrites } from '../secrets/secret-writes.ts';
import { type Secrets, writeAttempts } from '../secrets/service.ts';
import type { SetValue } from '../secrets/commands.ts';
import { newId } from '../store/ids.ts';
import type { Store, Writer } from '../store/store.ts';
import type { Destination } from './definition.ts';

/** For whom a secret is written. */
export interface Owner {
  readonly configurationId: string;
  readonly surface: string;
  readonly name: string;
}

export interface OwnedSecret {
  readonly id: string;
  readonly reference: Reference;
}

/** Another value of an owned secret, sealed: it becomes its value with the commit of the save that it was typed for. */
export interface OwnedRotation {
  readonly args: SetValue;
  readonly audit: AuditEvent;
}

export interface OwnedSecretParts {
  readonly store: Store;
  readonly secrets: Secrets;
  readonly reader: SecretReader;
  readonly writes: SecretWrites;
  /** Bytes of one value. */
  readonly maxValueBytes: number;
}

/** How long a secret may be without the configuration it was written for, before it is taken for the rest of a crash. */
const abandonedMilliseconds = 600_000;
const removedAtOnce = 200;

/**
 * Managed secrets that belong to a configuration: what was typed into a credential field. They are written before the
 * configuration refers to them, and go when it refers to them no more; what a crash leaves in between is swept.
 */
export class OwnedSecrets {
  readonly #parts: OwnedSecretParts;

  constructor(parts: OwnedSecretParts) {
    this.#parts = parts;
  }

  /**
   * Writes a value as a new secret of the scope. The caller destroys the value.
   * @param caller as the save was decided: nothing is written once access has changed since
   * @param key what it is to be called; something is added where that is taken
   * @throws StrongroomError `limit_exceeded`; those of a managed store; `version_conflict`: decide again
   */
  async create(
    caller: Caller,
    scope: ScopeRef,
    owner: Owner,
    key: string,
    value: SecretValue,
    destination: Destination | null,
  ): Promise<OwnedSecret> {
    this.#requireSize(value);
    try {
      return await this.#write(caller, scope, owner, key, value, destination);
    } catch (error) {
      const codes = ['already_exists', 'key_clash', 'soft_deleted'];
      if (!(error instanceof StrongroomError && codes.includes(error.code))) throw error;
      const suffix = newId('secret').slice(-8);
      return this.#write(caller, scope, owner, `${key}.${suffix}`, value, destination);
    }
  }

  async #write(
    caller: Caller,
    scope: ScopeRef,
    owner: Owner,
    key: string,
    value: SecretValue,
    destination: Destination | null,
  ): Promise<OwnedSecret> {
    const { secrets, writes } = this.#parts;
    const source = await secrets.managedSource(scope);
    const parsed = { value, shape: 'text', fieldNames: null } as const;
    const made = await secrets.newSecret(caller, scope, source, key, parsed, {
      description: `Typed into ${owner.surface} ${owner.name}`,
      ...(destination === null ? {} : { destinations: [{ ...destination }] }),
    });
    const args = { ...made.args, ownedBy: owner.configurationId };
    const plan = { kind: 'create', ...made, args } as const;
    await writes.write({ writer: this.#writerFor(caller), scopeId: scope.id, source, key, plan, parsed });
    return { id: args.id, reference: { scope: scope.kind, source: reservedSourceName, key } };
  }

  /**
   * Another value for an owned secret, for the save to commit together with its configuration; `null` where the value is kept
   * outside the database, which commits nothing together with it: {@link rotate} it. The caller destroys the value.
   * @throws StrongroomError `limit_exceeded`, `not_found`
   */
  async rotation(caller: Caller, scope: ScopeRef, key: string, value: SecretValue): Promise<OwnedRotation | null> {
    this.#requireSize(value);
    const { secrets, reader } = this.#parts;
    const row = await reader.find(caller, scope, key);
    if (row.source_type !== 'DATABASE') return null;
    const parsed = { value, shape: 'text', fieldNames: null } as const;
    return secrets.newVersion(caller, scope, row, { parsed, copiedFrom: null }, 'rotate');
  }

  /**
   * Gives an owned secret another value. The caller destroys the value.
   * @param caller as the save was decided: nothing is written once access has changed since
   * @throws StrongroomError those of a rotation; `version_conflict`: decide again
   */
  async rotate(caller: Caller, scope: ScopeRef, key: string, value: SecretValue): Promise<void> {
    this.#requireSize(value);
    const { store, secrets, reader, writes } = this.#parts;
    const writer = this.#writerFor(caller);
    const parsed = { value, shape: 'text', fieldNames: null } as const;
    for (let attempt = 1; ; attempt += 1) {
      const row = await reader.find(caller, scope, key);
      try {
        const made = await secrets.newVersion(caller, scope, row, { parsed, copiedFrom: null }, 'rotate');
        const source = { id: row.source_id, type: row.source_type };
        const plan = { kind: 'set', ...made } as const;
        await writes.write({ writer, scopeId: scope.id, source, key, plan, parsed });
        return;
      } catch (error) {
        const isOvertaken = error instanceof StrongroomError && error.code === 'version_conflict';
        if (!isOvertaken || attempt === writeAttempts) throw error;
        if ((await store.authorisationRevision()) !== caller.snapshot.revision) throw error;
      }
    }
  }

  /**
   * Destroys what a configuration owned and refers to no more; what fails is swept later.
   * @param secretIds which; absent: all of it
   */
  async remove(
    caller: Caller,
    scope: ScopeRef,
    configurationId: string,
    secretIds?: ReadonlySet<string>,
  ): Promise<void> {
    if (secretIds?.size === 0) return;
    const rows = await this.#parts.store.query('surfaces.abandonedSecrets', {
      configurationId,
      before: Number.MAX_SAFE_INTEGER,
      limit: removedAtOnce,
    });
    for (const row of rows) {
      if (secretIds !== undefined && !secretIds.has(row.id)) continue;
      await this.#delete(row.id, caller.name, changeEvent(caller, scope, 'delete', row, { owner: configurationId }));
      const { source_id: id, source_type: type, key } = row;
      const audit = changeEvent(caller, scope, 'purge', row, { owner: configurationId });
      const plan = { kind: 'purge', args: { secretId: row.id }, audit } as const;
      const { store: writer, writes } = this.#parts;
      await writes.write({ writer, scopeId: scope.id, source: { id, type }, key, plan, parsed: null });
    }
  }

  /** Deletes what a crash between a secret and its configuration left; the purge of deleted secrets does the rest. */
  async sweep(signal: AbortSignal, now = this.#parts.store.now()): Promise<void> {
    const rows = await this.#parts.store.query('surfaces.abandonedSecrets', {
      before: now - abandonedMilliseconds,
      limit: removedAtOnce,
    });
    for (const row of rows) {
      if (signal.aborted) return;
      await this.#delete(row.id, 'system', {
        principal: 'system',
        principalName: 'system',
        action: 'secret.manage',
        outcome: 'allowed',
        scope: { id: row.scope_id, name: '' },
        object: { type: 'secret', id: row.id, name: row.key },
        because: ['abandoned'],
        detail: { change: 'delete', owner: row.owned_by },
      });
    }
  }

  #writerFor({ snapshot }: Caller): Writer {
    const { store } = this.#parts;
    return {
      execute: (name, args, options) =>
        store.execute(name, args, { ...options, expectAuthorisationRevision: snapshot.revision }),
    };
  }

  async #delete(secretId: string, by: string, event: AuditEvent): Promise<void> {
    const args = { secretId, expectedRevision: null, force: true, retentionMilliseconds: 0, by };
    await this.#parts.store.execute('secret.delete', args, { audit: [event] });
  }

  #requireSize(value: SecretValue): void {
    const { maxValueBytes } = this.#parts;
    if (value.byteLength <= maxValueBytes) return;
    throw new StrongroomError('limit_exceeded', {
      detail: `The value is larger than the store's limit of ${maxValueBytes} bytes.`,
    });
  }
}
