import { foldKey, StrongroomError } from '@strongroom/contract';
import type { AccessService } from '../access/service.ts';
import type { Caller, ScopeRef } from '../access/types.ts';
import type { AuditEvent } from '../audit/event.ts';
import { idsOfDomains } from '../domains/named-domains.ts';
import type { Keys } from '../keys/keys.ts';
import { fingerprintInScope, sealInScope } from '../keys/seal-in-scope.ts';
import { newId } from '../store/ids.ts';
import { requireSameAsMade } from '../store/replayed.ts';
import type { IdempotencyKey, Store, Writer } from '../store/store.ts';
import { changeEvent, type EditableMetadata, toChanges } from './changes.ts';
import { changedColumns, type NewSecret, type SealedVersion, type SetValue } from './commands.ts';
import { requireRevision } from './live-secret.ts';
import { formatVersion, noBrokenUses, type SecretView, time, useText } from './metadata.ts';
import type { ListedSecret } from './queries.ts';
import type { SecretReader } from './reader.ts';
import { type ManagedSource, SecretWrites } from './secret-writes.ts';
import { minComparableBytes, parseValue, type ParsedValue, type ValueInput } from './values.ts';

export interface SecretLimits {
  /** Bytes of one value in the managed store. */
  readonly valueBytes: number;
  readonly keysPerScope: number;
  readonly keptVersions: number;
  /** How long a deleted secret can be restored. */
  readonly retentionDays: number;
}

/** How often a version is sealed anew when another rotation takes its number first. */
export const writeAttempts = 5;
const dayMilliseconds = 86_400_000;

/** Domains that may use a Global secret: all, or these. */
interface AssignmentInput {
  readonly all?: boolean;
  readonly domains?: readonly string[];
}

/** A value on its way into a version; `copiedFrom`: the version a rollback takes it from. */
interface ValueSource {
  readonly parsed: ParsedValue;
  readonly copiedFrom: number | null;
}

/** Every change of the catalogue of the managed stores, in all three scopes. */
export class Secrets {
  readonly #store: Store;
  readonly #access: Pick<AccessService, 'writer'>;
  readonly #keys: Keys;
  readonly #reader: SecretReader;
  readonly #limits: SecretLimits;
  readonly #writes: SecretWrites;

  constructor(
    store: Store,
    access: Pick<AccessService, 'writer'>,
    keys: Keys,
    reader: SecretReader,
    limits: SecretLimits,
    writes = new SecretWrites(null),
  ) {
    this.#store = store;
    this.#access = access;
    this.#keys = keys;
    this.#reader = reader;
    this.#limits = limits;
    this.#writes = writes;
  }

  /** @throws StrongroomError `validation_failed`, `limit_exceeded`, `already_exists`, `key_clash`, `soft_deleted` */
  async create(
    caller: Caller,
    scope: ScopeRef,
    input: { readonly key: string } & ValueInput & EditableMetadata,
    idempotency?: IdempotencyKey,
  ): Promise<SecretView> {
    const parsed = parseValue(input, this.#limits.valueBytes);
    let madeId: string | undefined;
    try {
      const source = await this.managedSource(scope);
      const made = await this.newSecret(caller, scope, source, input.key, parsed, input);
      const plan = { kind: 'create', ...made } as const;
      const writer = this.writer(caller, scope);
      const write = { writer, scopeId: scope.id, source, key: input.key, plan, parsed, idempotency };
      madeId = await this.#writes.write(write);
    } finally {
      parsed.value.destroy();
    }
    const view = await this.#reader.get(caller, scope, input.key);
    requireSameAsMade(madeId, view);
    return view;
  }

  /** For changes of secrets of a scope. */
  writer(caller: Caller, scope: ScopeRef): Writer {
    return this.#access.writer(caller, 'secret.manage', { kind: 'scope', scope });
  }

  /** A new secret, its value sealed for its place, and the record of its making. */
  async newSecret(
    caller: Caller,
    scope: ScopeRef,
    source: ManagedSource,
    key: string,
    parsed: ParsedValue,
    metadata: EditableMetadata,
  ): Promise<{ readonly args: NewSecret; readonly audit: AuditEvent }> {
    const id = newId('secret');
    const changes = toChanges(metadata);
    const sealed = await this.#seal(scope, source, id, 1, { parsed, copiedFrom: null });
    const args = {
      id,
      scopeId: scope.id,
      sourceId: source.id,
      key,
      foldedKey: foldKey(key),
      folder: changes.folder ?? '',
      description: changes.description ?? '',
      owner: changes.owner ?? caller.name,
      tags: changes.tags ?? [],
      destinations: changes.destinations ?? null,
      expiresAt: changes.expiresAt ?? null,
      rotateEveryDays: changes.rotateEveryDays ?? null,
      keepVersions: this.#limits.keptVersions,
      by: caller.name,
      sealed,
      maxKeysPerScope: this.#limits.keysPerScope,
    };
    const version = formatVersion(sealed.epoch, sealed.version);
    return { args, audit: changeEvent(caller, scope, 'create', { id, key }, { version }) };
  }

  /** The next version of a secret, sealed for its number, and the record of it. */
  async newVersion(
    caller: Caller,
    scope: ScopeRef,
    row: ListedSecret,
    value: ValueSource,
    verb: 'rotate' | 'rollback',
  ): Promise<{ readonly args: SetValue; readonly audit: AuditEvent }> {
    const sealed = await this.#seal(scope, sourceOf(row), row.id, row.current_version + 1, value);
    const args = {
      secretId: row.id,
      expectedRevision: null,
      fromEpoch: row.current_epoch,
      fromVersion: row.current_version,
      sealed,
      by: caller.name,
    };
    const version = formatVersion(sealed.epoch, sealed.version);
    return { args, audit: changeEvent(caller, scope, verb, row, { version }) };
  }

  async update(
    caller: Caller,
    scope: ScopeRef,
    key: string,
    metadata: EditableMetadata,
    ifMatch: number | undefined,
  ): Promise<SecretView> {
    const row = await this.#reader.find(caller, scope, key);
    const changes = toChanges(metadata);
    await this.writer(caller, scope).execute(
      'secret.update',
      { secretId: row.id, expectedRevision: ifMatch ?? null, changes, by: caller.name },
      { audit: [changeEvent(caller, scope, 'update', row, {}, Object.keys(changes))] },
    );
    return this.#reader.get(caller, scope, key);
  }

  /** What {@link update} would make of it, with nothing written. @throws StrongroomError `not_found`, `revision_mismatch` */
  async previewUpdate(
    caller: Caller,
    scope: ScopeRef,
    key: string,
    metadata: EditableMetadata,
    ifMatch: number | undefined,
  ): Promise<SecretView> {
    const row = await this.#reader.find(caller, scope, key);
    requireRevision(row, ifMatch ?? null);
    const changed = changedColumns(row, toChanges(metadata), { at: Date.now(), by: caller.name });
    return this.#reader.view(caller, scope, { ...row, ...changed });
  }

  /** @throws StrongroomError `revision_mismatch`; `version_conflict` when other rotations kept winning */
  async rotate(
    caller: Caller,
    scope: ScopeRef,
    key: string,
    input: ValueInput,
    ifMatch: number | undefined,
    idempotency?: IdempotencyKey,
  ): Promise<SecretView> {
    const parsed = parseValue(input, this.#limits.valueBytes);
    try {
      const source = async (): Promise<ValueSource> => ({ parsed, copiedFrom: null });
      await this.#setValue(caller, scope, key, 'rotate', ifMatch, source, idempotency);
    } finally {
      parsed.value.destroy();
    }
    return this.#reader.get(caller, scope, key);
  }

  /** Copies an old version's value into a new version; the value is seen by nobody. */
  async rollback(
    caller: Caller,
    scope: ScopeRef,
    key: string,
    version: string,
    ifMatch: number | undefined,
  ): Promise<SecretView> {
    const [epoch = 0, n = 0] = version.split('.').map(Number);
    await this.#setValue(caller, scope, key, 'rollback', ifMatch, async (row) => {
      const old = await this.#store.db
        .selectFrom('secret_versions')
        .selectAll()
        .where('secret_id', '=', row.id)
        .where('epoch', '=', epoch)
        .where('version', '=', n)
        .executeTakeFirst();
      if (old === undefined)
        throw new StrongroomError('validation_failed', {
          hint: 'See its versions with strongroom secret versions.',
          errors: [{ pointer: '/version', message: `${row.key} has no version ${version}, or no longer` }],
        });
      if (old.envelope === null)
        return { parsed: await this.#writes.readVersion(sourceOf(row), row.key, old), copiedFrom: n };
      const value = await this.#keys.open({ scopeId: scope.id, secretId: row.id, epoch, version: n }, old.envelope);
      return { parsed: { value, shape: old.shape, fieldNames: old.field_names }, copiedFrom: n };
    });
    return this.#reader.get(caller, scope, key);
  }

  /** A version is sealed for its number, so when another rotation takes the number first it is sealed again. */
  async #setValue(
    caller: Caller,
    scope: ScopeRef,
    key: string,
    verb: 'rotate' | 'rollback',
    ifMatch: number | undefined,
    source: (row: ListedSecret) => Promise<ValueSource>,
    idempotency?: IdempotencyKey,
  ): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      const row = await this.#reader.find(caller, scope, key);
      if (row.owned_by !== null)
        throw new StrongroomError('in_use', {
          detail: `${row.key} belongs to the configuration it was typed into; type it anew there.`,
        });
      const value = await source(row);
      try {
        const { args, audit } = await this.newVersion(caller, scope, row, value, verb);
        const plan = { kind: 'set', args: { ...args, expectedRevision: ifMatch ?? null }, audit } as const;
        const { parsed } = value;
        const place = { scopeId: scope.id, source: sourceOf(row), key: row.key };
        const writer = this.writer(caller, scope);
        requireSameAsMade(await this.#writes.write({ writer, ...place, plan, parsed, idempotency }), row);
        return;
      } catch (error) {
        if (!(error instanceof StrongroomError) || error.code !== 'version_conflict' || attempt === writeAttempts)
          throw error;
      } finally {
        if (verb === 'rollback') value.parsed.value.destroy();
      }
    }
  }

  /** Soft delete. Without `force` a secret in use stays, and the error names its uses. */
  async delete(
    caller: Caller,
    scope: ScopeRef,
    key: string,
    options: { readonly force: boolean; readonly ifMatch: number | undefined },
  ) {
    const row = await this.#reader.find(caller, scope, key);
    const broken = await this.#reader.brokenUses(caller, scope, row);
    const { brokenUses } = broken;
    const fields = broken.isComplete ? brokenUses.length : await this.#reader.countUses(caller, scope, row);
    try {
      const { deletedAt, purgeAfter } = await this.writer(caller, scope).execute(
        'secret.delete',
        {
          secretId: row.id,
          expectedRevision: options.ifMatch ?? null,
          force: options.force,
          retentionMilliseconds: this.#limits.retentionDays * dayMilliseconds,
          by: caller.name,
        },
        { audit: [changeEvent(caller, scope, 'delete', row, { forced: options.force, uses: fields })] },
      );
      return { key: row.key, deletedAt: time(deletedAt), purgeAfter: time(purgeAfter), ...broken };
    } catch (error) {
      // What else holds it is named by the command.
      if (!(error instanceof StrongroomError) || error.code !== 'in_use' || brokenUses.length === 0) throw error;
      const errors = brokenUses.map((use) => ({
        pointer: use.pointer,
        reference: use.reference,
        message: useText(use),
      }));
      throw new StrongroomError('in_use', {
        detail: `The secret ${row.key} is used in ${fields} field${fields === 1 ? '' : 's'}.`,
        errors,
      });
    }
  }

  async restore(caller: Caller, scope: ScopeRef, key: string): Promise<SecretView> {
    const row = await this.#reader.findAny(caller, scope, key);
    await this.writer(caller, scope).execute(
      'secret.restore',
      { secretId: row.id, by: caller.name },
      { audit: [changeEvent(caller, scope, 'restore', row)] },
    );
    return this.#reader.get(caller, scope, key);
  }

  async purge(caller: Caller, scope: ScopeRef, key: string): Promise<void> {
    const row = await this.#reader.findAny(caller, scope, key);
    const plan = {
      kind: 'purge',
      args: { secretId: row.id },
      audit: changeEvent(caller, scope, 'purge', row),
    } as const;
    const place = { scopeId: scope.id, source: sourceOf(row), key: row.key };
    await this.#writes.write({ writer: this.writer(caller, scope), ...place, plan, parsed: null });
  }

  /** @throws StrongroomError `not_found`, `validation_failed` */
  async assign(caller: Caller, scope: ScopeRef, key: string, input: AssignmentInput) {
    const { row, scopeIds } = await this.#assignable(caller, scope, key, input);
    await this.writer(caller, scope).execute(
      'secret.assign',
      { secretId: row.id, scopeIds, by: caller.name },
      { audit: [changeEvent(caller, scope, 'assign', row, { domains: scopeIds.length })] },
    );
    const broken = scopeIds.length === 0 ? noBrokenUses : await this.#reader.brokenUses(caller, scope, row, scopeIds);
    return { ...(await this.#reader.assignments(caller, scope, key)), ...broken };
  }

  /** What {@link assign} would answer, with nothing written. @throws as `assign` */
  async previewAssignment(caller: Caller, scope: ScopeRef, key: string, input: AssignmentInput) {
    const { row, scopeIds } = await this.#assignable(caller, scope, key, input);
    const broken = scopeIds.length === 0 ? noBrokenUses : await this.#reader.brokenUses(caller, scope, row, scopeIds);
    return { all: scopeIds.length === 0, domains: (input.domains ?? []).toSorted(), ...broken };
  }

  async #assignable(caller: Caller, scope: ScopeRef, key: string, { all, domains: names = [] }: AssignmentInput) {
    if ((all === true) === names.length > 0) {
      throw new StrongroomError('validation_failed', {
        errors: [{ pointer: '/domains', message: 'send either all: true or at least one domain' }],
      });
    }
    const row = await this.#reader.find(caller, scope, key);
    return { row, scopeIds: await idsOfDomains(this.#store, names) };
  }

  async #seal(
    scope: ScopeRef,
    source: ManagedSource,
    secretId: string,
    version: number,
    { parsed, copiedFrom }: ValueSource,
  ): Promise<SealedVersion> {
    const { value, shape, fieldNames } = parsed;
    const epoch = await this.#epoch();
    const place = { scopeId: scope.id, secretId, epoch, version };
    const sealed =
      source.type === 'DATABASE'
        ? await sealInScope(this.#store, this.#keys, place, value)
        : { envelope: null, termId: null, ...(await fingerprintInScope(this.#store, this.#keys, scope.id, value)) };
    const isComparable = value.byteLength >= minComparableBytes;
    return { epoch, version, ...sealed, shape, fieldNames, isComparable, copiedFrom };
  }

  async #epoch(): Promise<number> {
    const { epoch } = await this.#store.db.selectFrom('installation').select('epoch').executeTakeFirstOrThrow();
    return epoch;
  }

  /** Where the scope's values are. */
  managedSource(scope: ScopeRef): Promise<ManagedSource> {
    return this.#store.db
      .selectFrom('sources')
      .select(['id', 'type'])
      .where('scope_id', '=', scope.id)
      .where('name', '=', 'managed')
      .executeTakeFirstOrThrow();
  }
}

function sourceOf(row: ListedSecret): ManagedSource {
  return { id: row.source_id, type: row.source_type };
}
