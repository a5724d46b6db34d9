import { StrongroomError } from '@strongroom/contract/core';
import type { AuditEvent } from '../audit/event.ts';
import { systemActor } from '../identities/actor.ts';
import { type LeaseToken, requireLease } from '../store/leases.ts';
import type { CommandContext } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';

/** A refresh in one integration's index. */
export interface Refresh {
  readonly sourceId: string;
  /** Of the settings it lists with. */
  readonly revision: number;
  readonly generation: number;
  readonly lease: LeaseToken;
}

/**
 * Begins a refresh: its generation is one that no other refresh of this integration has.
 * @throws StrongroomError `not_found`, `version_conflict` when the settings changed or the lease went to another process
 */
async function begin(
  context: CommandContext,
  args: Omit<Refresh, 'generation'>,
): Promise<{ readonly generation: number }> {
  await requireLease(context, args.lease);
  const row = await context.db
    .updateTable('integrations')
    .set((column) => ({ index_generation: column('index_generation', '+', 1) }))
    .where('id', '=', args.sourceId)
    .where('revision', '=', args.revision)
    .returning('index_generation')
    .executeTakeFirst();
  if (row === undefined) throw new StrongroomError('version_conflict');
  return { generation: row.index_generation };
}

export interface IndexPage extends Refresh {
  readonly keys: readonly { readonly key: string; readonly fieldNames: readonly string[] | null }[];
}

/** A page of what the backend listed. @throws StrongroomError `version_conflict` */
async function page(context: CommandContext, args: IndexPage): Promise<void> {
  await requireCurrent(context, args);
  for (const { key, fieldNames } of args.keys) {
    const seen = {
      field_names: fieldNames === null ? null : JSON.stringify(fieldNames),
      generation: args.generation,
      seen_at: context.now,
    };
    await context.db
      .insertInto('integration_keys')
      .values({ source_id: args.sourceId, folded_key: key.toLowerCase(), key, ...seen })
      .onConflict((conflict) => conflict.columns(['source_id', 'folded_key', 'key']).doUpdateSet(seen))
      .execute();
  }
}

/** Takes away keys that the refresh, whose last page is written, did not see; at most so many. @throws StrongroomError `version_conflict` */
async function sweep(
  context: CommandContext,
  args: Refresh & { readonly limit: number },
): Promise<{ readonly removed: number }> {
  await requireCurrent(context, args);
  const gone = context.db
    .selectFrom('integration_keys')
    .select('document_id')
    .where('source_id', '=', args.sourceId)
    .where('generation', '<', args.generation)
    .limit(args.limit);
  const { numDeletedRows } = await context.db
    .deleteFrom('integration_keys')
    .where('document_id', 'in', gone)
    .executeTakeFirst();
  return { removed: Number(numDeletedRows) };
}

/** The refresh has seen everything. @throws StrongroomError `version_conflict` */
async function finish(
  context: CommandContext,
  args: Refresh & { readonly keys: number; readonly isCut: boolean; readonly nextInMilliseconds: number },
): Promise<void> {
  const row = await requireCurrent(context, args);
  if (row.health === 'unhealthy') context.audit(healthEvent(row, 'allowed', ['healthy-again']));
  await context.db
    .updateTable('integrations')
    .set({
      index_keys: args.keys,
      index_is_cut: args.isCut ? 1 : 0,
      indexed_at: context.now,
      index_due_at: context.now + args.nextInMilliseconds,
      health: 'healthy',
      health_code: null,
      health_message: null,
      health_at: context.now,
    })
    .where('id', '=', args.sourceId)
    .execute();
}

/** The source could not be listed: its error is kept, and so is the index with its age. */
async function fail(
  context: CommandContext,
  args: {
    readonly sourceId: string;
    readonly revision: number;
    readonly code: string;
    readonly message: string;
    readonly nextInMilliseconds: number;
  },
): Promise<void> {
  const row = await context.db
    .selectFrom('integrations')
    .selectAll()
    .where('id', '=', args.sourceId)
    .where('revision', '=', args.revision)
    .executeTakeFirst();
  if (row === undefined) return;
  // Once, not at every try: the row has the rest.
  if (row.health !== 'unhealthy') context.audit(healthEvent(row, 'failed', [args.code]));
  await context.db
    .updateTable('integrations')
    .set({
      health: 'unhealthy',
      health_code: args.code,
      health_message: args.message,
      health_at: context.now,
      index_due_at: context.now + args.nextInMilliseconds,
    })
    .where('id', '=', row.id)
    .execute();
}

/** The settings, the generation and the lease are still those of the refresh. */
async function requireCurrent(context: CommandContext, args: Refresh): Promise<Tables['integrations']> {
  await requireLease(context, args.lease);
  const row = await context.db
    .selectFrom('integrations')
    .selectAll()
    .where('id', '=', args.sourceId)
    .where('revision', '=', args.revision)
    .where('index_generation', '=', args.generation)
    .executeTakeFirst();
  if (row === undefined) throw new StrongroomError('version_conflict');
  return row;
}

function healthEvent(
  row: Tables['integrations'],
  outcome: 'allowed' | 'failed',
  because: readonly string[],
): AuditEvent {
  return {
    ...systemActor,
    action: 'integration.refresh',
    outcome,
    scope: { id: row.scope_id, name: '' },
    object: { type: 'integration', id: row.id, name: row.name },
    because,
  };
}

export const indexCommands = {
  'integration.beginIndex': begin,
  'integration.indexPage': page,
  'integration.sweepIndex': sweep,
  'integration.finishIndex': finish,
  'integration.failIndex': fail,
};
