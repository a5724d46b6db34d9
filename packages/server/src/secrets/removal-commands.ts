import { StrongroomError } from '@strongroom/contract/core';
import { orphanReceipts } from '../launches/receipts.ts';
import type { CommandContext } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';
import { liveSecret, requireOurs } from './live-secret.ts';
import { holdersOf, holdersText } from '../impact/holders.ts';

type SecretRow = Tables['secrets'];

/** Uses are counted inside, so that a save at the same moment is seen by one of the two. */
async function softDelete(
  context: CommandContext,
  args: {
    readonly secretId: string;
    readonly expectedRevision: number | null;
    readonly force: boolean;
    readonly retentionMilliseconds: number;
    readonly by: string;
  },
): Promise<{ readonly deletedAt: number; readonly purgeAfter: number }> {
  const row = await liveSecret(context, args.secretId, args.expectedRevision);
  await requireNoWrite(context, row.id);
  requireOurs(row);
  if (!args.force) {
    const use = await context.db
      .selectFrom('uses')
      .innerJoin('configurations', 'configurations.id', 'uses.configuration_id')
      .select('uses.configuration_id')
      .where('uses.secret_id', '=', args.secretId)
      .where('configurations.deleted_at', 'is', null)
      .executeTakeFirst();
    if (use !== undefined)
      throw new StrongroomError('in_use', { detail: `The secret ${row.key} is used by configurations.` });
    const held = holdersText(await holdersOf(context, { sourceId: row.source_id, key: row.key }));
    if (held !== null) throw new StrongroomError('in_use', { detail: `The secret ${row.key} is used by ${held}.` });
  }
  const purgeAfter = context.now + args.retentionMilliseconds;
  await context.db
    .updateTable('secrets')
    .set({
      deleted_at: context.now,
      deleted_by: args.by,
      purge_after: purgeAfter,
      updated_at: context.now,
      updated_by: args.by,
      revision: row.revision + 1,
    })
    .where('id', '=', args.secretId)
    .execute();
  return { deletedAt: context.now, purgeAfter };
}

/** A value that is on its way into a store outside the database comes to its end first. */
async function requireNoWrite(context: CommandContext, secretId: string): Promise<void> {
  const pending = await context.db
    .selectFrom('write_intents')
    .select('id')
    .where('secret_id', '=', secretId)
    .where('state', '=', 'pending')
    .executeTakeFirst();
  if (pending !== undefined)
    throw new StrongroomError('version_conflict', { detail: 'Another write of this secret is under way.' });
}

async function restore(
  context: CommandContext,
  args: { readonly secretId: string; readonly by: string },
): Promise<{ readonly revision: number }> {
  const row = await deletedSecret(context, args.secretId);
  await context.db
    .updateTable('secrets')
    .set({
      deleted_at: null,
      deleted_by: null,
      purge_after: null,
      updated_at: context.now,
      updated_by: args.by,
      revision: row.revision + 1,
    })
    .where('id', '=', args.secretId)
    .execute();
  return { revision: row.revision + 1 };
}

/** The row, its versions and its index entry go; receipts and audit records keep the id. */
export async function purge(context: CommandContext, args: { readonly secretId: string }): Promise<void> {
  const row = await deletedSecret(context, args.secretId);
  context.erase();
  await context.db.deleteFrom('secret_versions').where('secret_id', '=', args.secretId).execute();
  await context.db.deleteFrom('secret_tags').where('secret_id', '=', args.secretId).execute();
  await context.db.deleteFrom('secret_documents').where('secret_id', '=', args.secretId).execute();
  const assigned = await context.db
    .deleteFrom('secret_assignments')
    .where('secret_id', '=', args.secretId)
    .executeTakeFirst();
  await orphanReceipts(context, [args.secretId]);
  await context.db.deleteFrom('secrets').where('id', '=', args.secretId).execute();
  await context.db
    .updateTable('secret_counts')
    .set((column) => ({ secrets: column('secrets', '-', 1) }))
    .where('scope_id', '=', row.scope_id)
    .execute();
  if (Number(assigned.numDeletedRows) > 0) await context.bumpAuthorisation();
}

export async function deletedSecret(context: CommandContext, secretId: string): Promise<SecretRow> {
  const row = await context.db.selectFrom('secrets').selectAll().where('id', '=', secretId).executeTakeFirst();
  if (row === undefined) throw new StrongroomError('not_found');
  if (row.deleted_at === null)
    throw new StrongroomError('state_conflict', {
      detail: `The secret ${row.key} is not deleted.`,
      hint: 'Delete it first with secret delete.',
    });
  return row;
}

export const removalCommands = {
  'secret.delete': softDelete,
  'secret.restore': restore,
  'secret.purge': purge,
};
