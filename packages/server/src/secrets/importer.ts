import { StrongroomError } from '@strongroom/contract';
import type { Caller, ScopeRef } from '../access/types.ts';
import { readImport, type ImportFormat } from './import-file.ts';
import type { SecretReader } from './reader.ts';
import type { Secrets } from './service.ts';
import { parseValue, type ParsedValue } from './values.ts';

/** Writes what {@link readImport} read. */
export class SecretImporter {
  readonly #secrets: Secrets;
  readonly #reader: SecretReader;
  readonly #valueBytes: number;

  constructor(secrets: Secrets, reader: SecretReader, valueBytes: number) {
    this.#secrets = secrets;
    this.#reader = reader;
    this.#valueBytes = valueBytes;
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
      for (const entry of entries) plan.push(await this.#plan(scope, entry, onExisting));
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
          await this.#secrets.createParsed(
            caller,
            scope,
            item.key,
            parsed,
            input.folder === undefined ? {} : { folder: input.folder },
          );
        else
          await this.#secrets.setValue(caller, scope, item.key, 'rotate', undefined, async () => ({
            parsed,
            copiedFrom: null,
          }));
      }
      return { isDryRun: false, items };
    } finally {
      for (const item of plan) item.parsed?.value.destroy();
    }
  }

  async #plan(scope: ScopeRef, entry: ReturnType<typeof readImport>[number], onExisting: 'refuse' | 'skip' | 'rotate') {
    if (entry.refusal !== undefined) return { key: entry.key, outcome: 'refused' as const, reason: entry.refusal };
    const existing = await this.#reader.row(scope, entry.key);
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
        parsed: parseValue(entry.input, this.#valueBytes),
      };
    } catch (error) {
      if (!(error instanceof StrongroomError)) throw error;
      return { key: entry.key, outcome: 'refused' as const, reason: error.errors?.[0]?.message ?? error.message };
    }
  }
}
