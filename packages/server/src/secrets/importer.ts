import { StrongroomError } from '@strongroom/contract';
import type { Caller, ScopeRef } from '../access/types.ts';
import type { AuditEvent } from '../audit/event.ts';
import type { IdempotencyKey, Store } from '../store/store.ts';
import type { NewSecret, SetValue } from './commands.ts';
import type { ImportedItem } from './import-command.ts';
import { importEach, type Planned } from './import-each.ts';
import type { ImportFormat } from './import-file.ts';
import { fileSource, type ImportSource, type IntegrationPart, type OpenIntegrationSource } from './import-source.ts';
import type { SecretReader } from './reader.ts';
import { type ManagedSource, SecretWrites } from './secret-writes.ts';
import { type Secrets, writeAttempts } from './service.ts';

export type ImportInput = ImportOptions &
  ({ readonly format: ImportFormat; readonly content: string } | { readonly from: IntegrationPart });

interface ImportOptions {
  readonly folder?: string;
  readonly prefix?: string;
  readonly onExisting?: 'refuse' | 'skip' | 'rotate';
  readonly dryRun?: boolean;
}

export interface Imported {
  readonly isDryRun: boolean;
  readonly items: ImportedItem[];
}

export interface ImporterParts {
  readonly store: Store;
  readonly secrets: Secrets;
  readonly reader: SecretReader;
  readonly openIntegration: OpenIntegrationSource;
  readonly maxValueBytes: number;
  /** For scopes whose values are outside the database. */
  readonly writes?: SecretWrites;
}

/** Creates many secrets at once, from a file or from what an integration has. */
export class SecretImporter {
  readonly #parts: ImporterParts;

  constructor(parts: ImporterParts) {
    this.#parts = parts;
  }

  /**
   * All entries or none, in one transaction where the values are in the database; unless `skip` or `rotate` says otherwise, one that exists stops them all. A
   * dry run tells what would become of each; of an integration it reads no value.
   */
  async import(
    caller: Caller,
    scope: ScopeRef,
    input: ImportInput,
    idempotency?: IdempotencyKey,
    signal: AbortSignal = new AbortController().signal,
  ): Promise<Imported> {
    const source = await this.#open(caller, scope, input, signal);
    try {
      return await this.#import(caller, scope, source, input, idempotency);
    } finally {
      source.close();
    }
  }

  async #open(caller: Caller, scope: ScopeRef, input: ImportInput, signal: AbortSignal): Promise<ImportSource> {
    const { openIntegration, maxValueBytes } = this.#parts;
    const keyPrefix = input.prefix ?? '';
    return 'from' in input
      ? openIntegration(caller, scope, { ...input.from, keyPrefix, maxValueBytes }, signal)
      : fileSource(input.format, input.content, keyPrefix, maxValueBytes);
  }

  async #import(
    caller: Caller,
    scope: ScopeRef,
    source: ImportSource,
    { onExisting = 'refuse', dryRun = false, folder }: ImportOptions,
    idempotency: IdempotencyKey | undefined,
  ): Promise<Imported> {
    for (let attempt = 1; ; attempt += 1) {
      let plan: readonly Planned[] = [];
      try {
        plan = await Promise.all(source.entries.map((entry) => this.#plan(scope, entry, onExisting)));
        if (!dryRun || source.hasValues) plan = await withValues(plan, source);
        if (dryRun) return { isDryRun: true, items: plan.map(({ item }) => item) };
        const managed = await this.#parts.secrets.managedSource(scope);
        const { store, secrets, writes = new SecretWrites(null) } = this.#parts;
        const { items } =
          managed.type === 'DATABASE'
            ? await this.#write(caller, scope, managed, plan, folder, idempotency)
            : await importEach({ store, secrets, writes, caller, scope, source: managed, folder }, plan, idempotency);
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
    source: ManagedSource,
    plan: readonly Planned[],
    folder: string | undefined,
    idempotency: IdempotencyKey | undefined,
  ): Promise<{ readonly items: readonly ImportedItem[] }> {
    const { secrets } = this.#parts;
    const created: NewSecret[] = [];
    const rotated: SetValue[] = [];
    const audit: AuditEvent[] = [];
    for (const { item, parsed, existing } of plan) {
      if (parsed === undefined) continue;
      if (existing === undefined) {
        const metadata = folder === undefined ? {} : { folder };
        const made = await secrets.newSecret(caller, scope, source, item.key, parsed, metadata);
        created.push(made.args);
        audit.push(made.audit);
      } else {
        const made = await secrets.newVersion(caller, scope, existing, { parsed, copiedFrom: null }, 'rotate');
        rotated.push(made.args);
        audit.push(made.audit);
      }
    }
    const items = plan.map(({ item }) => item);
    const writer = secrets.writer(caller, scope);
    return writer.execute('secret.import', { items, created, rotated }, { audit, ...(idempotency && { idempotency }) });
  }

  /** What would become of an entry whose value can be taken. */
  async #plan(
    scope: ScopeRef,
    { key, refusal }: ImportSource['entries'][number],
    onExisting: 'refuse' | 'skip' | 'rotate',
  ): Promise<Planned> {
    const refused = (reason: string): Planned => ({ item: { key, outcome: 'refused', reason } });
    if (refusal !== undefined) return refused(refusal);
    const existing = await this.#parts.reader.row(scope, key);
    if (existing === undefined) return { item: { key, outcome: 'created' } };
    if (existing.key !== key) return refused(`clashes with ${existing.key}`);
    if (existing.deleted_at !== null) return refused('held by a deleted secret; restore or purge it');
    if (onExisting === 'refuse') return refused('exists');
    if (onExisting === 'skip') return { item: { key, outcome: 'skipped', reason: 'exists' } };
    return { item: { key, outcome: 'rotated' }, existing };
  }
}

/** The plan with the values that it writes; what has none is refused. */
async function withValues(plan: readonly Planned[], source: ImportSource): Promise<readonly Planned[]> {
  const isWritten = ({ item }: Planned): boolean => item.outcome === 'created' || item.outcome === 'rotated';
  const values = await source.take(plan.filter(isWritten).map(({ item }) => item.key));
  return plan.map((planned): Planned => {
    if (!isWritten(planned)) return planned;
    const { key } = planned.item;
    const value = values.get(key);
    if (value === undefined || typeof value === 'string')
      return { item: { key, outcome: 'refused', reason: value ?? 'has no value' } };
    return { ...planned, parsed: value };
  });
}
