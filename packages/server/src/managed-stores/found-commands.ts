import { exactKey, foldKey, secretKeyPattern } from '@strongroom/contract/core';
import { create, type NewSecret } from '../secrets/commands.ts';
import type { AuditEvent } from '../audit/event.ts';
import { systemActor } from '../identities/actor.ts';
import { orphanReceipts } from '../launches/receipts.ts';
import type { CommandContext } from '../store/store.ts';

/** An entry that another program left, as it will be in the catalogue. */
export type FoundEntry = Omit<NewSecret, 'foldedKey' | 'scopeId' | 'sourceId' | 'sealed'> & {
  readonly sealed: Omit<NewSecret['sealed'], 'epoch' | 'version'>;
};

export interface FoundEntries {
  readonly scopeId: string;
  readonly sourceId: string;
  readonly entries: readonly FoundEntry[];
  /** Who says so, and what is put on record; the server by itself. */
  readonly by?: Pick<AuditEvent, 'principal' | 'principalName'>;
}

const secretKey = new RegExp(secretKeyPattern);

/**
 * Takes entries up under their exact names. One that is in the catalogue by now, or is being written, is passed over.
 * @throws StrongroomError `limit_exceeded`; `version_conflict` when the scope has another store by now
 */
async function find(
  context: CommandContext,
  { scopeId, sourceId, entries, by }: FoundEntries,
): Promise<{ readonly ids: readonly string[] }> {
  const ids: string[] = [];
  for (const { sealed, ...entry } of entries) {
    const foldedKey = await freeName(context, sourceId, entry.key);
    if (foldedKey === null) continue;
    const version = { ...sealed, epoch: context.epoch, version: 1 };
    await create(context, { ...entry, scopeId, sourceId, foldedKey, sealed: version });
    record(context, { scopeId, id: entry.id, key: entry.key }, by === undefined ? 'find' : 'adopt', by);
    ids.push(entry.id);
  }
  return { ids };
}

/** What it is held under: exactly, where a secret of ours could not be called so. Null: it is not to be taken up. */
async function freeName(context: CommandContext, sourceId: string, key: string): Promise<string | null> {
  const folded = foldKey(key);
  const rows = await context.db
    .selectFrom('secrets')
    .select(['key', 'folded_key'])
    .where('source_id', '=', sourceId)
    .where('folded_key', 'in', [folded, exactKey(key)])
    .execute();
  if (rows.some((row) => row.key === key)) return null;
  const pending = await context.db
    .selectFrom('write_intents')
    .select('id')
    .where('source_id', '=', sourceId)
    .where('folded_key', '=', folded)
    .where('state', '=', 'pending')
    .executeTakeFirst();
  if (pending !== undefined) return null;
  return secretKey.test(key) && rows.length === 0 ? folded : exactKey(key);
}

/** Rows of what was only read there: the scope gets another store, and keeps nothing of this one. */
export async function forgetFound(context: CommandContext, scopeId: string, sourceId: string): Promise<void> {
  const { db } = context;
  const ids = db.selectFrom('secrets').select('id').where('source_id', '=', sourceId).where('is_unmarked', '=', 1);
  await orphanReceipts(context, ids);
  for (const table of ['secret_versions', 'secret_tags', 'secret_documents', 'secret_assignments'] as const)
    await db.deleteFrom(table).where('secret_id', 'in', ids).execute();
  const { numDeletedRows } = await db
    .deleteFrom('secrets')
    .where('source_id', '=', sourceId)
    .where('is_unmarked', '=', 1)
    .executeTakeFirstOrThrow();
  await db
    .updateTable('secret_counts')
    .set((column) => ({ secrets: column('secrets', '-', Number(numDeletedRows)) }))
    .where('scope_id', '=', scopeId)
    .execute();
}

/** Their entries are marked as ours by now. */
async function adopt(
  context: CommandContext,
  { ids }: { readonly ids: readonly string[] },
): Promise<{ readonly adopted: number }> {
  let adopted = 0;
  for (const id of ids) {
    const row = await context.db
      .selectFrom('secrets')
      .select(['scope_id', 'key', 'revision'])
      .where('id', '=', id)
      .where('is_unmarked', '=', 1)
      .executeTakeFirst();
    if (row === undefined) continue;
    await context.db
      .updateTable('secrets')
      .set({ is_unmarked: 0, revision: row.revision + 1 })
      .where('id', '=', id)
      .execute();
    record(context, { scopeId: row.scope_id, id, key: row.key }, 'adopt');
    adopted += 1;
  }
  return { adopted };
}

function record(
  context: CommandContext,
  { scopeId, id, key }: { readonly scopeId: string; readonly id: string; readonly key: string },
  change: 'find' | 'adopt',
  by: FoundEntries['by'] = systemActor,
): void {
  context.audit({
    ...by,
    action: 'secret.manage',
    outcome: 'allowed',
    scope: { id: scopeId, name: '' },
    object: { type: 'secret', id, name: key },
    because: ['outside'],
    detail: { change },
  });
}

export const foundCommands = { 'managed.find': find, 'managed.adopt': adopt };
