import { foldKey, secretKeyPattern, StrongroomError } from '@strongroom/contract';
import type { Backend, Capabilities, Content, Entry, Expectation } from '@strongroom/backends';
import type { AuditEvent } from '../src/audit/event.ts';
import type { Keyring } from '../src/keys/keyring.ts';
import type { SealedVersion } from '../src/secrets/commands.ts';
import { newId } from '../src/store/ids.ts';
import type { Store } from '../src/store/store.ts';
import type { Tables } from '../src/store/tables.ts';

/** Of the managed store in the database, as the conformance suite sees it. */
const databaseCapabilities: Capabilities = {
  list: true,
  put: true,
  delete: true,
  cas: true,
  versions: true,
  batch: 1,
  fields: 'native',
  limits: { valueBytes: 64 * 1024 },
};

const scope = { id: 'dom_global', sourceId: 'src_global' } as const;
const tries = 200;

type SecretRow = Tables['secrets'];
type VersionRow = Tables['secret_versions'];

/**
 * The managed store `database` behind the interface of backends: the catalogue's own commands, the keyring, the store. So the
 * suite that outside stores pass is passed by this one, too.
 */
export class DatabaseBackend implements Backend {
  readonly type = 'database';
  readonly capabilities = databaseCapabilities;
  readonly #store: Store;
  readonly #keys: Keyring;
  #isClosed = false;

  constructor(store: Store, keys: Keyring) {
    this.#store = store;
    this.#keys = keys;
  }

  async get(key: string, options: { readonly signal: AbortSignal; readonly version?: string }): Promise<Entry | null> {
    this.#assertUsable(options.signal);
    assertKey(key);
    const found = await this.#find(key, options.version);
    return found === null ? null : this.#entry(...found);
  }

  async getMany(keys: readonly string[], { signal }: { readonly signal: AbortSignal }) {
    const answers = new Map<string, Entry | null | StrongroomError>();
    for (const key of new Set(keys)) {
      try {
        answers.set(key, await this.get(key, { signal }));
      } catch (error) {
        if (!(error instanceof StrongroomError) || !ownAnswers.has(error.code)) throw error;
        answers.set(key, error);
      }
    }
    return answers;
  }

  async check({ signal }: { readonly signal: AbortSignal }) {
    this.#assertUsable(signal);
    await this.#store.execute('operation.probe', undefined);
    return [{ step: 'store', outcome: 'ok', message: 'The store takes writes.' }] as const;
  }

  async list({
    signal,
    cursor,
    limit,
  }: {
    readonly signal: AbortSignal;
    readonly cursor?: string;
    readonly limit: number;
  }) {
    this.#assertUsable(signal);
    const rows = await this.#store.db
      .selectFrom('secrets')
      .select(['key', 'folded_key'])
      .where('scope_id', '=', scope.id)
      .where('deleted_at', 'is', null)
      .where('folded_key', '>', cursor ?? '')
      .orderBy('folded_key')
      .limit(limit)
      .execute();
    const last = rows.at(-1);
    return {
      items: rows.map(({ key }) => ({ key })),
      nextCursor: rows.length < limit || last === undefined ? null : last.folded_key,
    };
  }

  async put(
    key: string,
    content: Content,
    {
      signal,
      expect,
      intentId,
    }: { readonly signal: AbortSignal; readonly expect: Expectation; readonly intentId: string },
  ) {
    this.#assertUsable(signal);
    assertKey(key);
    if (content.value.byteLength > databaseCapabilities.limits.valueBytes) throw new StrongroomError('backend_limit');
    const fieldNames = fieldNamesOf(content);
    for (let attempt = 1; ; attempt += 1) {
      try {
        return { version: await this.#write(key, content, fieldNames, expect, intentId) };
      } catch (error) {
        const isLate =
          error instanceof StrongroomError && (error.code === 'version_conflict' || error.code === 'already_exists');
        if (!isLate) throw error;
        if (expect.kind !== 'any' || attempt === tries) throw new StrongroomError('version_conflict', { cause: error });
      }
    }
  }

  async delete(key: string, { signal, expect }: { readonly signal: AbortSignal; readonly expect: Expectation }) {
    this.#assertUsable(signal);
    assertKey(key);
    const row = await this.#row(key);
    if (row === undefined || row.key !== key) {
      if (expect.kind !== 'any' && expect.kind !== 'absent') throw new StrongroomError('version_conflict');
      return;
    }
    await this.#assertExpected(row, expect);
    if (row.deleted_at === null)
      await this.#store.execute(
        'secret.delete',
        { secretId: row.id, expectedRevision: row.revision, force: true, retentionMilliseconds: 0, by: 'system' },
        { audit: [event('delete', row)] },
      );
    await this.#store.execute('secret.purge', { secretId: row.id }, { audit: [event('purge', row)] });
  }

  async close() {
    this.#isClosed = true;
  }

  async #write(
    key: string,
    content: Content,
    fieldNames: readonly string[] | null,
    expect: Expectation,
    intentId: string,
  ): Promise<string> {
    const row = await this.#row(key);
    if (row !== undefined && row.key !== key) throw new StrongroomError('key_clash');
    await this.#assertExpected(row, expect);
    const { epoch } = await this.#store.db.selectFrom('installation').select('epoch').executeTakeFirstOrThrow();
    const id = row?.id ?? newId('secret');
    const version = (row?.current_version ?? 0) + 1;
    const sealed: SealedVersion = {
      epoch,
      version,
      ...(await this.#keys.seal({ scopeId: scope.id, secretId: id, epoch, version }, content.value)),
      shape: content.shape,
      fieldNames: fieldNames === null ? null : JSON.stringify(fieldNames),
      isComparable: false,
      copiedFrom: null,
      kept: { backendVersion: null, intentId },
    };
    if (row === undefined) await this.#create(id, key, sealed);
    else {
      const from = { fromEpoch: row.current_epoch, fromVersion: row.current_version };
      const args = { secretId: id, expectedRevision: row.revision, ...from, sealed, by: 'system' };
      await this.#store.execute('secret.setValue', args, { audit: [event('rotate', row)] }).catch(asConflict);
    }
    return versionText(id, sealed);
  }

  async #create(id: string, key: string, sealed: SealedVersion): Promise<void> {
    const metadata = { folder: '', description: '', owner: 'system', tags: [], destinations: null, expiresAt: null };
    await this.#store.execute(
      'secret.create',
      {
        id,
        scopeId: scope.id,
        sourceId: scope.sourceId,
        key,
        foldedKey: foldKey(key),
        ...metadata,
        rotateEveryDays: null,
        keepVersions: 10,
        by: 'system',
        sealed,
        maxKeysPerScope: 10_000,
      },
      { audit: [event('create', { id, key })] },
    );
  }

  #row(key: string): Promise<SecretRow | undefined> {
    return this.#store.db
      .selectFrom('secrets')
      .selectAll()
      .where('scope_id', '=', scope.id)
      .where('source_id', '=', scope.sourceId)
      .where('folded_key', '=', foldKey(key))
      .executeTakeFirst();
  }

  async #find(key: string, version: string | undefined): Promise<readonly [SecretRow, VersionRow] | null> {
    const row = await this.#row(key);
    if (row === undefined || row.key !== key) return null;
    if (row.deleted_at !== null) throw new StrongroomError('backend_deleted');
    const rows = await this.#store.db
      .selectFrom('secret_versions')
      .selectAll()
      .where('secret_id', '=', row.id)
      .execute();
    const wanted = version ?? versionText(row.id, { epoch: row.current_epoch, version: row.current_version });
    const found = rows.find((each) => versionText(row.id, each) === wanted);
    return found === undefined ? null : [row, found];
  }

  async #entry(row: SecretRow, found: VersionRow): Promise<Entry> {
    const place = { scopeId: scope.id, secretId: row.id, epoch: found.epoch, version: found.version };
    return {
      value: await this.#keys.open(place, found.envelope ?? new Uint8Array()),
      shape: found.shape,
      fieldNames: found.field_names === null ? null : (JSON.parse(found.field_names) as string[]),
      version: versionText(row.id, found),
      updatedAt: found.created_at,
      ...(found.intent_id === null ? {} : { intentId: found.intent_id }),
    };
  }

  async #assertExpected(row: SecretRow | undefined, expect: Expectation): Promise<void> {
    if (expect.kind === 'any') return;
    const found = row === undefined ? null : await this.#find(row.key, undefined);
    const isMet =
      expect.kind === 'absent'
        ? found === null
        : found !== null &&
          (expect.kind === 'version'
            ? versionText(found[0].id, found[1]) === expect.version
            : found[1].intent_id === expect.intentId);
    if (!isMet) throw new StrongroomError('version_conflict');
  }

  #assertUsable(signal: AbortSignal): void {
    if (this.#isClosed) throw new StrongroomError('backend_unavailable', { detail: 'The store was closed.' });
    if (signal.aborted) throw new StrongroomError('deadline_exceeded');
  }
}

/** What is one key's own answer among many. */
const ownAnswers: ReadonlySet<string> = new Set(['validation_failed', 'backend_deleted']);

function assertKey(key: string): void {
  if (!new RegExp(secretKeyPattern).test(key)) throw new StrongroomError('validation_failed');
}

function versionText(id: string, { epoch, version }: { readonly epoch: number; readonly version: number }): string {
  return `${id}@${epoch}.${version}`;
}

/** In the order of the text, which `JSON.parse` loses for names like `10`. @throws StrongroomError `validation_failed` */
function fieldNamesOf({ value, shape }: Content): readonly string[] | null {
  if (shape !== 'fields') return null;
  const text = value.revealText();
  if (!isFields(text)) throw new StrongroomError('validation_failed', { detail: 'These are no fields' });
  const strings = [...text.matchAll(/"(?:[^"\\]|\\.)*"/gu)];
  return strings.filter((_, index) => index % 2 === 0).map(([token]) => JSON.parse(token) as string);
}

function isFields(text: string): boolean {
  try {
    const fields: unknown = JSON.parse(text);
    const isObject = typeof fields === 'object' && fields !== null && !Array.isArray(fields);
    return isObject && Object.values(fields).every((field) => typeof field === 'string');
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}

/** A writer at the same time had it deleted or changed. */
function asConflict(error: unknown): never {
  const isLate = error instanceof StrongroomError && (error.code === 'revision_mismatch' || error.code === 'not_found');
  throw isLate ? new StrongroomError('version_conflict', { cause: error }) : error;
}

function event(change: string, { id, key }: { readonly id: string; readonly key: string }): AuditEvent {
  return {
    principal: 'system',
    principalName: 'system',
    action: 'secret.manage',
    outcome: 'allowed',
    object: { type: 'secret', id, name: key },
    detail: { change },
  };
}
