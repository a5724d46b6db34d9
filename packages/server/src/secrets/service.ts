import { type AuditEvent } from '../audit/event.ts';
import { foldKey, StrongroomError } from '@strongroom/contract';
import { actionsOn, type ActionAnswer } from '../access/refusal.ts';
import type { Access, Caller, ScopeRef } from '../access/types.ts';
import type { Keys } from '../keys/keys.ts';
import { newId } from '../store/ids.ts';
import { hotStatement, type IdempotencyKey, type Store } from '../store/store.ts';
import type { SealedVersion, SecretChanges } from './commands.ts';
import { readImport, type ImportFormat } from './import.ts';
import { formatVersion, secretView, type SecretView, time } from './metadata.ts';
import type { SecretRow, SecretState, UseRow } from './queries.ts';
import { minComparableBytes, parseValue, type ParsedValue, type ValueInput } from './values.ts';

export interface SecretLimits {
  /** Bytes of one value in the managed store. */
  readonly valueBytes: number;
  readonly keysPerScope: number;
  readonly keptVersions: number;
  /** How long a deleted secret can be restored. */
  readonly retentionDays: number;
}

/** Metadata as a form sends it; what is absent stays. */
export interface EditableMetadata {
  readonly description?: string;
  readonly folder?: string;
  readonly tags?: string[];
  readonly owner?: string;
  readonly expiresAt?: string | null;
  readonly rotateEveryDays?: number | null;
  readonly destinations?: { scheme: string; host: string; port: number }[] | null;
}

export interface SecretListFilter {
  readonly limit?: number;
  readonly cursor?: string;
  readonly q?: string;
  readonly folder?: string;
  readonly tag?: string;
  readonly state?: SecretState;
}

const defaultPage = 50;
const inventoryLimit = 200;
const writeAttempts = 5;
const dayMilliseconds = 86_400_000;

type SecretWithUses = SecretRow & { readonly uses: number };

const byFoldedKey = hotStatement<SecretWithUses>('secret.byFoldedKey', (db) =>
  db
    .selectFrom('secrets')
    .innerJoin('sources', 'sources.id', 'secrets.source_id')
    .selectAll('secrets')
    .select((column) => [
      column
        .selectFrom('uses')
        .innerJoin('configurations', 'configurations.id', 'uses.configuration_id')
        .select((use) => use.fn.countAll<number>().as('count'))
        .whereRef('uses.secret_id', '=', 'secrets.id')
        .where('configurations.deleted_at', 'is', null)
        .$asScalar()
        .$notNull()
        .as('uses'),
    ])
    .where('secrets.scope_id', '=', '')
    .where('sources.name', '=', 'managed')
    .where('secrets.folded_key', '=', '')
    .compile(),
);

/** The catalogue of the managed stores in all three scopes. */
export class Secrets {
  readonly #store: Store;
  readonly #keys: Keys;
  readonly #access: Access;
  readonly #limits: SecretLimits;

  constructor(store: Store, keys: Keys, access: Access, limits: SecretLimits) {
    this.#store = store;
    this.#keys = keys;
    this.#access = access;
    this.#limits = limits;
  }

  /** @throws StrongroomError `validation_failed`, `limit_exceeded`, `already_exists`, `key_clash`, `soft_deleted` */
  async create(
    caller: Caller,
    scope: ScopeRef,
    input: { readonly key: string } & ValueInput & EditableMetadata,
    idempotency?: IdempotencyKey,
  ): Promise<SecretView> {
    const parsed = parseValue(input, this.#limits.valueBytes);
    try {
      await this.#createParsed(caller, scope, input.key, parsed, input, idempotency);
    } finally {
      parsed.value.destroy();
    }
    return this.get(caller, scope, input.key);
  }

  async #createParsed(
    caller: Caller,
    scope: ScopeRef,
    key: string,
    parsed: ParsedValue,
    metadata: EditableMetadata,
    idempotency?: IdempotencyKey,
  ): Promise<void> {
    const id = newId('secret');
    const changes = toChanges(metadata);
    const sealed = await this.#seal(scope, id, await this.#epoch(), 1, parsed, null);
    await this.#store.execute(
      'secret.create',
      {
        id,
        scopeId: scope.id,
        sourceId: await this.#managedSource(scope),
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
      },
      {
        audit: [event(caller, scope, 'create', { id, key }, { version: formatVersion(sealed.epoch, sealed.version) })],
        ...(idempotency && { idempotency }),
      },
    );
  }

  async get(caller: Caller, scope: ScopeRef, key: string): Promise<SecretView> {
    return this.#view(caller, scope, await this.#find(caller, scope, key));
  }

  async list(
    caller: Caller,
    scope: ScopeRef,
    filter: SecretListFilter,
  ): Promise<{ items: SecretView[]; nextCursor?: string }> {
    if (filter.state === 'deleted' || filter.state === 'shared-value')
      await this.#access.require(caller, 'secret.manage', { kind: 'scope', scope });
    const { cursor, limit = defaultPage, ...selection } = filter;
    const binding = JSON.stringify(['secret.list', caller.id, scope.id, selection]);
    const after = cursor === undefined ? undefined : this.#openCursor(cursor, binding);
    const rows = await this.#store.query('secret.list', {
      ...selection,
      ...this.#visibility(caller, scope),
      scopeId: scope.id,
      now: Date.now(),
      limit: limit + 1,
      ...(after && { after: { foldedKey: String(after['k']), id: String(after['i']) } }),
    });
    const page = rows.slice(0, limit);
    const last = page.at(-1);
    const items = await Promise.all(page.map((row) => this.#view(caller, scope, row)));
    return rows.length > limit && last !== undefined
      ? { items, nextCursor: this.#keys.sealCursor({ k: last.folded_key, i: last.id }, binding) }
      : { items };
  }

  async update(
    caller: Caller,
    scope: ScopeRef,
    key: string,
    metadata: EditableMetadata,
    ifMatch: number | undefined,
  ): Promise<SecretView> {
    const row = await this.#find(caller, scope, key);
    const changes = toChanges(metadata);
    await this.#store.execute(
      'secret.update',
      { secretId: row.id, expectedRevision: ifMatch ?? null, changes, by: caller.name },
      { audit: [event(caller, scope, 'update', row, {}, Object.keys(changes))] },
    );
    return this.get(caller, scope, key);
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
      await this.#setValue(
        caller,
        scope,
        key,
        'rotate',
        ifMatch,
        async () => ({ parsed, copiedFrom: null }),
        idempotency,
      );
    } finally {
      parsed.value.destroy();
    }
    return this.get(caller, scope, key);
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
        throw new StrongroomError('not_found', {
          detail: `The secret has no version ${version}.`,
          hint: 'See its versions with secret versions.',
        });
      const value = await this.#keys.open({ scopeId: scope.id, secretId: row.id, epoch, version: n }, old.envelope);
      return { parsed: { value, shape: old.shape, fieldNames: old.field_names }, copiedFrom: n };
    });
    return this.get(caller, scope, key);
  }

  /** A version is sealed for its number, so when another rotation takes the number first it is sealed again. */
  async #setValue(
    caller: Caller,
    scope: ScopeRef,
    key: string,
    verb: 'rotate' | 'rollback',
    ifMatch: number | undefined,
    source: (row: SecretRow) => Promise<{ readonly parsed: ParsedValue; readonly copiedFrom: number | null }>,
    idempotency?: IdempotencyKey,
  ): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      const row = await this.#find(caller, scope, key);
      const { parsed, copiedFrom } = await source(row);
      const sealed = await this.#seal(scope, row.id, await this.#epoch(), row.current_version + 1, parsed, copiedFrom);
      if (verb === 'rollback') parsed.value.destroy();
      try {
        await this.#store.execute(
          'secret.setValue',
          {
            secretId: row.id,
            expectedRevision: ifMatch ?? null,
            fromEpoch: row.current_epoch,
            fromVersion: row.current_version,
            sealed,
            by: caller.name,
          },
          {
            audit: [event(caller, scope, verb, row, { version: formatVersion(sealed.epoch, sealed.version) })],
            ...(idempotency && { idempotency }),
          },
        );
        return;
      } catch (error) {
        if (!(error instanceof StrongroomError) || error.code !== 'version_conflict' || attempt === writeAttempts)
          throw error;
      }
    }
  }

  async versions(caller: Caller, scope: ScopeRef, key: string) {
    const row = await this.#find(caller, scope, key);
    const versions = await this.#store.db
      .selectFrom('secret_versions')
      .select(['epoch', 'version', 'shape', 'field_names', 'created_at', 'created_by', 'copied_from'])
      .where('secret_id', '=', row.id)
      .orderBy('version', 'desc')
      .execute();
    const epochOf = new Map(versions.map(({ version, epoch }) => [version, epoch]));
    return versions.map((version) => ({
      version: formatVersion(version.epoch, version.version),
      isCurrent: version.version === row.current_version,
      shape: version.shape,
      ...(version.field_names === null ? {} : { fields: JSON.parse(version.field_names) as string[] }),
      createdAt: time(version.created_at),
      createdBy: version.created_by,
      ...(version.copied_from === null
        ? {}
        : { copiedFrom: formatVersion(epochOf.get(version.copied_from) ?? version.epoch, version.copied_from) }),
    }));
  }

  /** Soft delete. Without `force` a secret in use stays, and the error names its uses. */
  async delete(
    caller: Caller,
    scope: ScopeRef,
    key: string,
    options: { readonly force: boolean; readonly ifMatch: number | undefined },
  ) {
    const row = await this.#find(caller, scope, key);
    const uses = (await this.#uses(caller, scope, row.id, inventoryLimit)).map(useView);
    try {
      const { deletedAt, purgeAfter } = await this.#store.execute(
        'secret.delete',
        {
          secretId: row.id,
          expectedRevision: options.ifMatch ?? null,
          force: options.force,
          retentionMilliseconds: this.#limits.retentionDays * dayMilliseconds,
          by: caller.name,
        },
        { audit: [event(caller, scope, 'delete', row, { forced: options.force, uses: uses.length })] },
      );
      return { key: row.key, deletedAt: time(deletedAt), purgeAfter: time(purgeAfter), brokenUses: uses };
    } catch (error) {
      if (!(error instanceof StrongroomError) || error.code !== 'in_use') throw error;
      const errors = uses.map((use) => ({
        pointer: use.pointer,
        reference: use.reference,
        message: `${use.surface} ${use.configuration} uses it as ${use.name}`,
      }));
      throw new StrongroomError('in_use', {
        detail: `The secret ${row.key} is used in ${row.uses} field${row.uses === 1 ? '' : 's'}.`,
        errors,
      });
    }
  }

  async restore(caller: Caller, scope: ScopeRef, key: string): Promise<SecretView> {
    const row = await this.#findAny(caller, scope, key);
    await this.#store.execute(
      'secret.restore',
      { secretId: row.id, by: caller.name },
      { audit: [event(caller, scope, 'restore', row)] },
    );
    return this.get(caller, scope, key);
  }

  async purge(caller: Caller, scope: ScopeRef, key: string): Promise<void> {
    const row = await this.#findAny(caller, scope, key);
    await this.#store.execute('secret.purge', { secretId: row.id }, { audit: [event(caller, scope, 'purge', row)] });
  }

  async usedBy(
    caller: Caller,
    scope: ScopeRef,
    key: string,
    page: { readonly limit?: number; readonly cursor?: string },
  ) {
    const row = await this.#find(caller, scope, key);
    const { cursor, limit = defaultPage } = page;
    const binding = JSON.stringify(['secret.usedBy', caller.id, row.id]);
    const after = cursor === undefined ? undefined : this.#openCursor(cursor, binding);
    const rows = await this.#uses(
      caller,
      scope,
      row.id,
      limit + 1,
      after && { configurationId: String(after['c']), pointer: String(after['p']) },
    );
    const items = rows.slice(0, limit);
    const last = items.at(-1);
    return {
      items: items.map(useView),
      ...(rows.length > limit && last !== undefined
        ? { nextCursor: this.#keys.sealCursor({ c: last.configuration_id, p: last.pointer }, binding) }
        : {}),
    };
  }

  async folders(scope: ScopeRef) {
    return this.#store.query('secret.folders', { scopeId: scope.id });
  }

  async inventory(caller: Caller, scope: ScopeRef, expiringWithinDays: number) {
    const now = Date.now();
    const select = async (state: SecretState) => {
      const rows = await this.#store.query('secret.list', {
        ...this.#visibility(caller, scope),
        scopeId: scope.id,
        state,
        expiringWithinDays,
        now,
        limit: inventoryLimit + 1,
      });
      return Promise.all(rows.map((row) => this.#view(caller, scope, row)));
    };
    const isManager = this.#access.decide(caller.snapshot, 'secret.manage', { kind: 'scope', scope }).allow;
    const [stale, unused, expiring, expired] = await Promise.all([
      select('stale'),
      select('unused'),
      select('expiring'),
      select('expired'),
    ]);
    const duplicates = isManager
      ? await this.#store.query('secret.duplicates', { scopeId: scope.id, now, limit: inventoryLimit })
      : [];
    const missing = await this.#store.query('secret.usedButMissing', {
      scopeId: scope.id,
      usesIn: this.#visibility(caller, scope).usesIn,
      limit: inventoryLimit + 1,
    });
    const lists = [stale, unused, expiring, expired, missing];
    const cut = <Item>(items: readonly Item[]) => items.slice(0, inventoryLimit);
    return {
      stale: cut(stale),
      unused: cut(unused),
      expiring: cut(expiring),
      expired: cut(expired),
      duplicates: duplicates.map(({ keys }) => ({ keys: [...keys] })),
      usedButMissing: cut(missing).map(useView),
      isComplete: lists.every((items) => items.length <= inventoryLimit),
    };
  }

  /** Every entry is checked first; unless `skip` or `rotate` says otherwise, one that exists stops the whole import. */
  async import(
    caller: Caller,
    scope: ScopeRef,
    input: {
      readonly format: ImportFormat;
      readonly content: string;
      readonly folder?: string;
      readonly prefix?: string;
      readonly onExisting?: 'refuse' | 'skip' | 'rotate';
      readonly dryRun?: boolean;
    },
  ) {
    const { onExisting = 'refuse', dryRun = false } = input;
    const entries = readImport(input.format, input.content, input.prefix ?? '');
    const plan: {
      readonly key: string;
      readonly outcome: 'created' | 'rotated' | 'skipped' | 'refused';
      readonly reason?: string;
      readonly parsed?: ParsedValue;
    }[] = [];
    try {
      for (const entry of entries) plan.push(await this.#planImport(scope, entry, onExisting));
      const items = plan.map(({ parsed: _parsed, ...item }) => item);
      if (dryRun) return { isDryRun: true, items };
      const refused = items.filter((item) => item.outcome === 'refused');
      if (refused.length > 0) {
        throw new StrongroomError('validation_failed', {
          detail: `Nothing was imported: ${refused.length} of ${items.length} entries can't be taken.`,
          errors: refused.map((item) => ({ pointer: `/content/${item.key}`, message: item.reason ?? 'refused' })),
        });
      }
      for (const item of plan) {
        if (item.parsed === undefined) continue;
        const { parsed } = item;
        if (item.outcome === 'created')
          await this.#createParsed(
            caller,
            scope,
            item.key,
            parsed,
            input.folder === undefined ? {} : { folder: input.folder },
          );
        else
          await this.#setValue(caller, scope, item.key, 'rotate', undefined, async () => ({
            parsed,
            copiedFrom: null,
          }));
      }
      return { isDryRun: false, items };
    } finally {
      for (const item of plan) item.parsed?.value.destroy();
    }
  }

  async #planImport(
    scope: ScopeRef,
    entry: ReturnType<typeof readImport>[number],
    onExisting: 'refuse' | 'skip' | 'rotate',
  ) {
    if (entry.refusal !== undefined) return { key: entry.key, outcome: 'refused' as const, reason: entry.refusal };
    const existing = await this.#row(scope, entry.key);
    if (existing !== undefined && existing.key !== entry.key)
      return { key: entry.key, outcome: 'refused' as const, reason: `clashes with ${existing.key}` };
    if (existing !== undefined && existing.deleted_at !== null)
      return { key: entry.key, outcome: 'refused' as const, reason: 'held by a deleted secret; restore or purge it' };
    if (existing !== undefined && onExisting === 'refuse')
      return { key: entry.key, outcome: 'refused' as const, reason: 'exists' };
    if (existing !== undefined && onExisting === 'skip')
      return { key: entry.key, outcome: 'skipped' as const, reason: 'exists' };
    try {
      return {
        key: entry.key,
        outcome: existing === undefined ? ('created' as const) : ('rotated' as const),
        parsed: parseValue(entry.input, this.#limits.valueBytes),
      };
    } catch (error) {
      if (!(error instanceof StrongroomError)) throw error;
      return { key: entry.key, outcome: 'refused' as const, reason: error.errors?.[0]?.message ?? error.message };
    }
  }

  /** Domains a Global secret is assigned to; none: all. */
  async assignments(caller: Caller, scope: ScopeRef, key: string): Promise<{ all: boolean; domains: string[] }> {
    const row = await this.#find(caller, scope, key);
    const rows = await this.#store.db
      .selectFrom('secret_assignments')
      .innerJoin('scopes', 'scopes.id', 'secret_assignments.scope_id')
      .select('scopes.name')
      .where('secret_assignments.secret_id', '=', row.id)
      .orderBy('scopes.name')
      .execute();
    return { all: rows.length === 0, domains: rows.map(({ name }) => name) };
  }

  async assign(
    caller: Caller,
    scope: ScopeRef,
    key: string,
    input: { readonly all?: boolean; readonly domains?: readonly string[] },
  ) {
    const names = input.domains ?? [];
    if ((input.all === true) === names.length > 0) {
      throw new StrongroomError('validation_failed', {
        errors: [{ pointer: '/domains', message: 'send either all: true or at least one domain' }],
      });
    }
    const row = await this.#find(caller, scope, key);
    const found =
      names.length === 0
        ? []
        : await this.#store.db
            .selectFrom('scopes')
            .select(['id', 'name'])
            .where('kind', '=', 'domain')
            .where('deleted_at', 'is', null)
            .where('name', 'in', names)
            .execute();
    const missing = names.filter((name) => !found.some((domain) => domain.name === name));
    if (missing.length > 0)
      throw new StrongroomError('validation_failed', {
        errors: missing.map((name) => ({ pointer: `/domains/${names.indexOf(name)}`, message: 'no such domain' })),
      });
    await this.#store.execute(
      'secret.assign',
      { secretId: row.id, scopeIds: found.map(({ id }) => id), by: caller.name },
      { audit: [event(caller, scope, 'assign', row, { domains: found.length })] },
    );
    const uses = await this.#uses(caller, scope, row.id, inventoryLimit);
    const allowed = new Set(found.map(({ id }) => id));
    const brokenUses = found.length === 0 ? [] : uses.filter((use) => !allowed.has(use.scope_id)).map(useView);
    return { ...(await this.assignments(caller, scope, key)), brokenUses };
  }

  /** The live secret, or the 404 that says nothing. */
  async #find(caller: Caller, scope: ScopeRef, key: string): Promise<SecretWithUses> {
    const row = await this.#findAny(caller, scope, key);
    if (row.deleted_at !== null) throw new StrongroomError('not_found');
    return row;
  }

  async #findAny(caller: Caller, scope: ScopeRef, key: string): Promise<SecretWithUses> {
    const row = await this.#row(scope, key);
    if (row === undefined || row.key !== key) throw new StrongroomError('not_found');
    const { assignedTo, usesIn } = this.#visibility(caller, scope);
    if (assignedTo !== null && !(await this.#isAssigned(row.id, assignedTo))) throw new StrongroomError('not_found');
    return usesIn === null ? row : { ...row, uses: (await this.#uses(caller, scope, row.id, inventoryLimit)).length };
  }

  async #row(scope: ScopeRef, key: string): Promise<SecretWithUses | undefined> {
    return this.#store.first(byFoldedKey, [scope.id, 'managed', foldKey(key)]);
  }

  async #isAssigned(secretId: string, domains: readonly string[]): Promise<boolean> {
    const rows = await this.#store.db
      .selectFrom('secret_assignments')
      .select('scope_id')
      .where('secret_id', '=', secretId)
      .execute();
    return rows.length === 0 || rows.some((row) => domains.includes(row.scope_id));
  }

  /** In a domain everything is its own. Of Global a caller sees what is assigned to its domains, and its own domains' uses. */
  #visibility(
    caller: Caller,
    scope: ScopeRef,
  ): { readonly assignedTo: readonly string[] | null; readonly usesIn: readonly string[] | null } {
    if (scope.kind !== 'global') return { assignedTo: null, usesIn: null };
    const { roles, domains } = caller.snapshot;
    const seesAll = (['PLATFORM_ADMIN', 'SECRETS_ADMIN', 'DOMAIN_MANAGER', 'READ_ONLY_ADMIN', 'AUDITOR'] as const).some(
      (role) => roles.has(role),
    );
    return seesAll
      ? { assignedTo: null, usesIn: null }
      : { assignedTo: [...domains.keys()], usesIn: [...domains.keys()] };
  }

  async #uses(
    caller: Caller,
    scope: ScopeRef,
    secretId: string,
    limit: number,
    after?: { readonly configurationId: string; readonly pointer: string },
  ): Promise<UseRow[]> {
    return this.#store.query('secret.usedBy', {
      secretId,
      usesIn: this.#visibility(caller, scope).usesIn,
      limit,
      ...(after && { after }),
    });
  }

  async #view(caller: Caller, scope: ScopeRef, row: SecretWithUses): Promise<SecretView> {
    return secretView(scope, row, await this.#actions(caller, scope, row), Date.now());
  }

  async #actions(caller: Caller, scope: ScopeRef, row: SecretRow): Promise<ActionAnswer[]> {
    const actions = actionsOn(caller.snapshot, ['secret.manage'], { kind: 'scope', scope });
    if (scope.kind !== 'domain') return actions;
    const asset = await this.#access.secretAsset(scope, { scope: 'domain', secretId: row.id, key: row.key });
    return [...actions, ...actionsOn(caller.snapshot, ['secret.use'], { kind: 'asset', asset })];
  }

  async #seal(
    scope: ScopeRef,
    secretId: string,
    epoch: number,
    version: number,
    parsed: ParsedValue,
    copiedFrom: number | null,
  ): Promise<SealedVersion> {
    const isComparable = parsed.value.byteLength >= minComparableBytes;
    const sealed = await this.#keys.seal({ scopeId: scope.id, secretId, epoch, version }, parsed.value);
    return { epoch, version, ...sealed, shape: parsed.shape, fieldNames: parsed.fieldNames, isComparable, copiedFrom };
  }

  async #epoch(): Promise<number> {
    const { epoch } = await this.#store.db.selectFrom('installation').select('epoch').executeTakeFirstOrThrow();
    return epoch;
  }

  async #managedSource(scope: ScopeRef): Promise<string> {
    const source = await this.#store.db
      .selectFrom('sources')
      .select('id')
      .where('scope_id', '=', scope.id)
      .where('name', '=', 'managed')
      .executeTakeFirstOrThrow();
    return source.id;
  }

  #openCursor(cursor: string, binding: string): Record<string, unknown> {
    const payload = this.#keys.openCursor(cursor, binding);
    if (payload === null) throw new StrongroomError('cursor_invalid');
    return payload;
  }
}

function toChanges(metadata: EditableMetadata): SecretChanges {
  return {
    ...(metadata.description === undefined ? {} : { description: metadata.description }),
    ...(metadata.folder === undefined ? {} : { folder: metadata.folder }),
    ...(metadata.tags === undefined ? {} : { tags: metadata.tags }),
    ...(metadata.owner === undefined ? {} : { owner: metadata.owner }),
    ...(metadata.expiresAt === undefined
      ? {}
      : { expiresAt: metadata.expiresAt === null ? null : Date.parse(metadata.expiresAt) }),
    ...(metadata.rotateEveryDays === undefined ? {} : { rotateEveryDays: metadata.rotateEveryDays }),
    ...(metadata.destinations === undefined
      ? {}
      : { destinations: metadata.destinations === null ? null : JSON.stringify(metadata.destinations) }),
  };
}

export function useView(row: UseRow) {
  return {
    surface: row.surface,
    configuration: row.configuration,
    domain: row.domain,
    pointer: row.pointer,
    name: row.name,
    reference: row.reference,
    kind: row.kind,
    authorisedBy: row.authorised_by,
  };
}

function event(
  caller: Caller,
  scope: ScopeRef,
  verb: string,
  secret: { readonly id: string; readonly key: string },
  detail: Readonly<Record<string, string | number | boolean | null>> = {},
  because: readonly string[] = [],
): AuditEvent {
  return {
    principal: caller.id,
    principalName: caller.name,
    action: 'secret.manage',
    outcome: 'allowed',
    scope: { id: scope.id, name: scope.name },
    object: { type: 'secret', id: secret.id, name: secret.key },
    requestId: caller.requestId,
    network: caller.network,
    because,
    detail: { change: verb, ...detail },
  };
}
