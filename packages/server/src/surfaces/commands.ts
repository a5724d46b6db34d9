import { StrongroomError } from '@strongroom/contract/core';
import { requireLivingSecrets } from '../launches/commands.ts';
import { isUniqueViolation } from '../store/errors.ts';
import type { CommandContext } from '../store/store.ts';
import type { ConfigurationRow, UseRow } from './rows.ts';

/** A reference held, as a save writes it. */
export type NewUse = Omit<UseRow, 'configuration_id' | 'scope_id' | 'authorised_at'>;

export interface NewConfiguration {
  readonly id: string;
  readonly scopeId: string;
  readonly surface: ConfigurationRow['surface'];
  readonly name: string;
  readonly document: string;
  readonly bundleId: string;
  readonly managedBy: string | null;
  readonly by: string;
  readonly uses: readonly NewUse[];
  /** Secrets that were decided on: a deletion meanwhile counts these uses or is seen here. */
  readonly secretIds: readonly string[];
  readonly maxConfigurations: number;
}

/** @throws StrongroomError `already_exists`, `limit_exceeded`, `not_found` when the domain is gone */
async function create(context: CommandContext, args: NewConfiguration): Promise<{ readonly id: string }> {
  await requireDomain(context, args.scopeId);
  await requireLivingSecrets(context, args.secretIds);
  const { count } = await context.db
    .selectFrom('configurations')
    .select((column) => column.fn.countAll<number>().as('count'))
    .where('scope_id', '=', args.scopeId)
    .where('surface', '=', args.surface)
    .where('deleted_at', 'is', null)
    .executeTakeFirstOrThrow();
  if (count >= args.maxConfigurations) {
    throw new StrongroomError('limit_exceeded', {
      detail: `The domain has ${args.maxConfigurations} configurations of this kind, which is the limit.`,
    });
  }
  try {
    await context.db
      .insertInto('configurations')
      .values({
        id: args.id,
        scope_id: args.scopeId,
        surface: args.surface,
        name: args.name,
        document: args.document,
        bundle_id: args.bundleId,
        managed_by: args.managedBy,
        is_suspended: 0,
        revision: 1,
        created_at: context.now,
        created_by: args.by,
        updated_at: context.now,
        updated_by: args.by,
        deleted_at: null,
      })
      .execute();
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    throw new StrongroomError('already_exists', { detail: `The domain has a configuration named ${args.name}.` });
  }
  await writeUses(context, args.id, args.scopeId, args.uses);
  return { id: args.id };
}

export interface ConfigurationChange {
  readonly id: string;
  /** The revision that was read and decided on. */
  readonly revision: number;
  readonly by: string;
  readonly document: string;
  readonly bundleId: string;
  readonly managedBy: string | null;
  readonly uses: readonly NewUse[];
  readonly secretIds: readonly string[];
}

/** @throws StrongroomError `version_conflict` when somebody else was quicker, `not_found` */
async function update(context: CommandContext, args: ConfigurationChange): Promise<void> {
  const row = await requireRevision(context, args.id, args.revision);
  await requireLivingSecrets(context, args.secretIds);
  await context.db
    .updateTable('configurations')
    .set({
      document: args.document,
      bundle_id: args.bundleId,
      managed_by: args.managedBy,
      revision: row.revision + 1,
      updated_at: context.now,
      updated_by: args.by,
    })
    .where('id', '=', args.id)
    .execute();
  await context.db.deleteFrom('uses').where('configuration_id', '=', args.id).execute();
  await writeUses(context, args.id, row.scope_id, args.uses);
  // Grants hang on the bundle.
  if (row.bundle_id !== args.bundleId) await context.bumpAuthorisation();
}

export interface StateChange {
  readonly id: string;
  readonly revision: number;
  readonly by: string;
}

async function suspend(context: CommandContext, args: StateChange & { readonly isSuspended: boolean }): Promise<void> {
  const row = await requireRevision(context, args.id, args.revision);
  await context.db
    .updateTable('configurations')
    .set({
      is_suspended: args.isSuspended ? 1 : 0,
      revision: row.revision + 1,
      updated_at: context.now,
      updated_by: args.by,
    })
    .where('id', '=', args.id)
    .execute();
}

/** The row stays for the history of its runs; what it used is free. */
async function remove(context: CommandContext, args: StateChange): Promise<void> {
  const row = await requireRevision(context, args.id, args.revision);
  await context.db
    .updateTable('configurations')
    .set({ deleted_at: context.now, revision: row.revision + 1, updated_at: context.now, updated_by: args.by })
    .where('id', '=', args.id)
    .execute();
  await context.db.deleteFrom('uses').where('configuration_id', '=', args.id).execute();
}

async function requireDomain(context: CommandContext, scopeId: string): Promise<void> {
  const scope = await context.db.selectFrom('scopes').select('deleted_at').where('id', '=', scopeId).executeTakeFirst();
  if (scope === undefined || scope.deleted_at !== null) throw new StrongroomError('not_found');
}

async function requireRevision(context: CommandContext, id: string, revision: number): Promise<ConfigurationRow> {
  const row = await context.db.selectFrom('configurations').selectAll().where('id', '=', id).executeTakeFirst();
  if (row === undefined || row.deleted_at !== null) throw new StrongroomError('not_found');
  if (row.revision !== revision) throw new StrongroomError('version_conflict');
  return row;
}

async function writeUses(
  context: CommandContext,
  configurationId: string,
  scopeId: string,
  uses: readonly NewUse[],
): Promise<void> {
  if (uses.length === 0) return;
  for (let start = 0; start < uses.length; start += 100) {
    await context.db
      .insertInto('uses')
      .values(
        uses.slice(start, start + 100).map((use) => ({
          ...use,
          configuration_id: configurationId,
          scope_id: scopeId,
          authorised_at: context.now,
        })),
      )
      .execute();
  }
}

export const surfaceCommands = {
  'surfaces.create': create,
  'surfaces.update': update,
  'surfaces.suspend': suspend,
  'surfaces.delete': remove,
};
