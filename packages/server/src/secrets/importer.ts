import { StrongroomError } from '@strongroom/contract';
import type { Caller, ScopeRef } from '../access/types.ts';
import type { AuditEvent } from '../audit/event.ts';
import type { IdempotencyKey, Store } from '../store/store.ts';
import type { NewSecret, SetValue } from './commands.ts';
import type { ImportedItem } from './import-command.ts';
import { readImport, type ImportEntry, type ImportFormat } from './import-file.ts';
import type { SecretRow } from './queries.ts';
import type { SecretReader } from './reader.ts';
import { type Secrets, writeAttempts } from './service.ts';
import { parseValue, type ParsedValue } from './values.ts';

export interface ImportInput {
  readonly format: ImportFormat;
  readonly content: string;
  readonly folder?: string;
  readonly prefix?: string;
  readonly onExisting?: 'refuse' | 'skip' | 'rotate';
  readonly dryRun?: boolean;
}

export interface Imported {
  readonly isDryRun: boolean;
  readonly items: ImportedItem[];
}

/** What becomes of one entry; `parsed` when a value is to be written, over `existing` when there is one. */
interface Planned {
  readonly item: ImportedItem;
  readonly parsed?: ParsedValue;
  readonly existing?: SecretRow;
}

/** Writes what {@link readImport} read. */
export class SecretImporter {
  readonly #store: Store;
  readonly #secrets: Secrets;
  readonly #reader: SecretReader;
  readonly #valueBytes: number;

  constructor(store: Store, secrets: Secrets, reader: SecretReader, valueBytes: number) {
    this.#store = store;
    this.#secrets = secrets;
    this.#reader = reader;
    this.#valueBytes = valueBytes;
  }

  /**
   * All entries or none, in one transaction; unless `skip` or `rotate` says otherwise, one that exists stops them all. A
   * dry run tells what would become of each.
   */
  async import(caller: Caller, scope: ScopeRef, input: ImportInput, idempotency?: IdempotencyKey): Promise<Imported> {
    const entries = readImport(input.format, input.content, input.prefix ?? '');
    for (let attempt = 1; ; attempt += 1) {
      const plan: Planned[] = [];
      try {
        for (const entry of entries) plan.push(await this.#plan(scope, entry, input.onExisting ?? 'refuse'));
        if (input.dryRun === true) return { isDryRun: true, items: plan.map(({ item }) => item) };
        const { items } = await this.#write(caller, scope, plan, input.folder, idempotency);
        return { isDryRun: false, items: [...items] };
      } catch (error) {
        const isOvertaken = error instanceof StrongroomError && error.code === 'version_conflict';
        if (!isOvertaken || attempt === writeAttempts) throw error;
      } finally {
        for (const { parsed } of plan) parsed?.value.destroy();
      }
    }
  }

  async #write(
    caller: Caller,
    scope: ScopeRef,
    plan: readonly Planned[],
    folder: string | undefined,
    idempotency: IdempotencyKey | undefined,
  ): Promise<{ readonly items: readonly ImportedItem[] }> {
    const created: NewSecret[] = [];
    const rotated: SetValue[] = [];
    const audit: AuditEvent[] = [];
    for (const { item, parsed, existing } of plan) {
      if (parsed === undefined) continue;
      if (existing === undefined) {
        const metadata = folder === undefined ? {} : { folder };
        const made = await this.#secrets.newSecret(caller, scope, item.key, parsed, metadata);
        created.push(made.args);
        audit.push(made.audit);
      } else {
        const made = await this.#secrets.newVersion(caller, scope, existing, { parsed, copiedFrom: null }, 'rotate');
        rotated.push(made.args);
        audit.push(made.audit);
      }
    }
    const items = plan.map(({ item }) => item);
    return this.#store.execute(
      'secret.import',
      { items, created, rotated },
      { audit, ...(idempotency && { idempotency }) },
    );
  }

  async #plan(scope: ScopeRef, entry: ImportEntry, onExisting: 'refuse' | 'skip' | 'rotate'): Promise<Planned> {
    const { key } = entry;
    const refused = (reason: string): Planned => ({ item: { key, outcome: 'refused', reason } });
    if (entry.refusal !== undefined) return refused(entry.refusal);
    const existing = await this.#reader.row(scope, key);
    if (existing !== undefined) {
      if (existing.key !== key) return refused(`clashes with ${existing.key}`);
      if (existing.deleted_at !== null) return refused('held by a deleted secret; restore or purge it');
      if (onExisting === 'refuse') return refused('exists');
      if (onExisting === 'skip') return { item: { key, outcome: 'skipped', reason: 'exists' } };
    }
    try {
      const parsed = parseValue(entry.input, this.#valueBytes);
      return existing === undefined
        ? { item: { key, outcome: 'created' }, parsed }
        : { item: { key, outcome: 'rotated' }, parsed, existing };
    } catch (error) {
      if (!(error instanceof StrongroomError)) throw error;
      return refused(error.errors?.[0]?.message ?? error.message);
    }
  }
}
