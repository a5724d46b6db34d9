import { StrongroomError } from '@strongroom/contract/core';
import { requireLivingSecrets } from '../launches/commands.ts';
import { setValue, type SetValue } from '../secrets/commands.ts';
import { isUniqueViolation } from '../store/errors.ts';
import { adminScopeId } from '../store/ids.ts';
import type { CommandContext } from '../store/store.ts';
import type { ConfigurationRow, UseRow } from './rows.ts';
import type { FixedDestinations } from './save.ts';

/** A reference held, as a save writes it. */
export type NewUse = Omit<UseRow, 'configuration_id' | 'scope_id' | 'authorised_at'>;

/** A configuration used, as a save writes it. */
export interface NewConsumption {
  readonly consumed_id: string;
  readonly authorised_by: string;
}

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
  readonly consumptions: readonly NewConsumption[];
  /** What no other live one of its kind and scope may have; null: nothing. */
  readonly uniqueKey: string | null;
  /** Secrets that were decided on: a deletion meanwhile counts these uses or is seen here. */
  readonly secretIds: readonly string[];
  readonly fixed?: FixedDestinations | null;
  readonly maxConfigurations: number;
}

/** @throws StrongroomError `already_exists`, `limit_exceeded`, `not_found` when the domain is gone */
async function create(context: CommandContext, args: NewConfiguration): Promise<{ readonly id: string }> {
  await requireDomain(context, args.scopeId);
  await requireLivingSecrets(context, args.secretIds);
  await requireUnique(context, args);
  if (args.scopeId === adminScopeId) await ensureAdminBundle(context, args.bundleId);
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
        unique_key: args.uniqueKey,
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
  await fixDestinations(context, args.fixed);
  await writeUses(context, args.id, args.scopeId, args.uses);
  await writeConsumptions(context, args.id, args.scopeId, args.consumptions);
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
  readonly uniqueKey: string | null;
  readonly uses: readonly NewUse[];
  readonly consumptions: readonly NewConsumption[];
  readonly secretIds: readonly string[];
  readonly fixed?: FixedDestinations | null;
  /** Other values of secrets that it owns. */
  readonly rotations?: readonly SetValue[];
}

/** @throws StrongroomError `version_conflict` when somebody else was quicker, `not_found` */
export async function updateConfiguration(context: CommandContext, args: ConfigurationChange): Promise<void> {
  const row = await requireRevision(context, args.id, args.revision);
  await requireLivingSecrets(context, args.secretIds);
  await requireUnique(context, { ...args, scopeId: row.scope_id, surface: row.surface });
  for (const rotation of args.rotations ?? []) await setValue(context, rotation);
  await context.db
    .updateTable('configurations')
    .set({
      document: args.document,
      bundle_id: args.bundleId,
      managed_by: args.managedBy,
      unique_key: args.uniqueKey,
      revision: row.revision + 1,
      updated_at: context.now,
      updated_by: args.by,
    })
    .where('id', '=', args.id)
    .execute();
  await fixDestinations(context, args.fixed);
  await context.db.deleteFrom('uses').where('configuration_id', '=', args.id).execute();
  await writeUses(context, args.id, row.scope_id, args.uses);
  await context.db.deleteFrom('consumptions').where('configuration_id', '=', args.id).execute();
  await writeConsumptions(context, args.id, row.scope_id, args.consumptions);
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

/**
 * The row stays for the history of its runs; what it used is free.
 * @throws StrongroomError `in_use` when others consume it, unless forced
 */
async function remove(context: CommandContext, args: StateChange & { readonly force: boolean }): Promise<void> {
  const row = await requireRevision(context, args.id, args.revision);
  const consumers = await context.db
    .selectFrom('consumptions')
    .select('configuration_id')
    .where('consumed_id', '=', args.id)
    .limit(1)
    .execute();
  if (consumers.length > 0 && !args.force)
    throw new StrongroomError('in_use', { detail: `${row.name} is used by other configurations.` });
  await context.db
    .updateTable('configurations')
    .set({ deleted_at: context.now, revision: row.revision + 1, updated_at: context.now, updated_by: args.by })
    .where('id', '=', args.id)
    .execute();
  await context.db.deleteFrom('uses').where('configuration_id', '=', args.id).execute();
  await context.db.deleteFrom('consumptions').where('configuration_id', '=', args.id).execute();
  await context.db.deleteFrom('placeholder_changes').where('configuration_id', '=', args.id).execute();
}

/** @throws StrongroomError `already_exists` */
async function requireUnique(
  context: CommandContext,
  args: Pick<NewConfiguration, 'id' | 'scopeId' | 'surface' | 'uniqueKey'>,
): Promise<void> {
  if (args.uniqueKey === null) return;
  const other = await context.db
    .selectFrom('configurations')
    .select('id')
    .where('scope_id', '=', args.scopeId)
    .where('surface', '=', args.surface)
    .where('unique_key', '=', args.uniqueKey)
    .where('deleted_at', 'is', null)
    .where('id', '!=', args.id)
    .executeTakeFirst();
  if (other !== undefined)
    throw new StrongroomError('already_exists', { detail: 'Another configuration is for the same place.' });
}

/** Somebody else's choice of destinations meanwhile stays. */
async function fixDestinations(context: CommandContext, fixed: FixedDestinations | null | undefined): Promise<void> {
  if (fixed === null || fixed === undefined) return;
  await context.db
    .updateTable('secrets')
    .set((column) => ({
      destinations: JSON.stringify([fixed.destination]),
      revision: column('revision', '+', 1),
      updated_at: context.now,
    }))
    .where('id', 'in', fixed.secretIds)
    .where('destinations', 'is', null)
    .execute();
}

/** Configurations of the platform are in a bundle like all others; nobody sees it. */
async function ensureAdminBundle(context: CommandContext, id: string): Promise<void> {
  const row = {
    id,
    scope_id: adminScopeId,
    name: 'default',
    description: '',
    owner_id: null,
    is_default: 1,
    revision: 1,
    created_at: context.now,
    created_by: 'system',
    updated_at: context.now,
  };
  await context.db
    .insertInto('bundles')
    .values(row)
    .onConflict((conflict) => conflict.column('id').doNothing())
    .execute();
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

/** @throws StrongroomError `version_conflict` when one was deleted since it was decided on */
async function writeConsumptions(
  context: CommandContext,
  configurationId: string,
  scopeId: string,
  consumptions: readonly NewConsumption[],
): Promise<void> {
  if (consumptions.length === 0) return;
  const ids = consumptions.map(({ consumed_id: id }) => id);
  const living = await context.db
    .selectFrom('configurations')
    .select('id')
    .where('id', 'in', ids)
    .where('deleted_at', 'is', null)
    .execute();
  if (living.length !== ids.length) throw new StrongroomError('version_conflict');
  await context.db
    .insertInto('consumptions')
    .values(
      consumptions.map((consumption) => ({
        ...consumption,
        configuration_id: configurationId,
        scope_id: scopeId,
        authorised_at: context.now,
      })),
    )
    .execute();
}

export const surfaceCommands = {
  'surfaces.create': create,
  'surfaces.update': updateConfiguration,
  'surfaces.suspend': suspend,
  'surfaces.delete': remove,
};
