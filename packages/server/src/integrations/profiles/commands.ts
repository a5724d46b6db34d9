import { StrongroomError } from '@strongroom/contract/core';
import type { CommandContext } from '../../store/store.ts';
import type { Tables } from '../../store/tables.ts';

export type ProfileRow = Tables['profiles'];

export interface BindingRow {
  readonly scopeId: string;
  readonly prefix: string;
}

export interface NewProfile {
  readonly id: string;
  readonly name: string;
  readonly type: ProfileRow['type'];
  readonly description: string;
  /** JSON. */
  readonly settings: string;
  readonly externalId: string;
  readonly bindings: readonly BindingRow[];
  readonly by: string;
}

/** @throws StrongroomError `already_exists`; `not_found` when a domain is gone */
async function create(context: CommandContext, args: NewProfile): Promise<{ readonly id: string }> {
  const inserted = await context.db
    .insertInto('profiles')
    .values({
      id: args.id,
      name: args.name,
      type: args.type,
      description: args.description,
      settings: args.settings,
      external_id: args.externalId,
      revision: 1,
      created_at: context.now,
      created_by: args.by,
      updated_at: context.now,
      updated_by: args.by,
    })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .executeTakeFirst();
  if (Number(inserted.numInsertedOrUpdatedRows ?? 0) !== 1)
    throw new StrongroomError('already_exists', { detail: `There is a profile named ${args.name}.` });
  await bind(context, args.id, args.bindings, args.by);
  return { id: args.id };
}

export interface ProfileChange {
  readonly id: string;
  readonly revision: number;
  readonly description: string;
  readonly settings: string;
  /** All of them; null: as they are. */
  readonly bindings: readonly BindingRow[] | null;
  readonly by: string;
}

/** @throws StrongroomError `not_found`, `version_conflict` */
async function update(context: CommandContext, args: ProfileChange): Promise<void> {
  const row = await requireProfile(context, args.id, args.revision);
  await context.db
    .updateTable('profiles')
    .set({
      description: args.description,
      settings: args.settings,
      revision: row.revision + 1,
      updated_at: context.now,
      updated_by: args.by,
    })
    .where('id', '=', row.id)
    .execute();
  if (args.bindings === null) return;
  await context.db.deleteFrom('profile_bindings').where('profile_id', '=', row.id).execute();
  await bind(context, row.id, args.bindings, args.by);
}

/** @throws StrongroomError `not_found`, `version_conflict`, `in_use` */
async function remove(
  context: CommandContext,
  args: { readonly id: string; readonly revision: number },
): Promise<void> {
  const row = await requireProfile(context, args.id, args.revision);
  await requireUnused(context, row);
  await context.db.deleteFrom('profile_bindings').where('profile_id', '=', row.id).execute();
  await context.db.deleteFrom('profiles').where('id', '=', row.id).execute();
}

/** @throws StrongroomError `in_use` */
export async function requireUnused(
  { db }: Pick<CommandContext, 'db'>,
  { id, name }: Pick<ProfileRow, 'id' | 'name'>,
): Promise<void> {
  const { count } = await db
    .selectFrom('integrations')
    .select((column) => column.fn.countAll<number>().as('count'))
    .where('profile_id', '=', id)
    .executeTakeFirstOrThrow();
  if (count > 0)
    throw new StrongroomError('in_use', {
      detail: `${count} integration${count === 1 ? ' names' : 's name'} the profile ${name}.`,
      hint: 'Change or delete the integrations first.',
    });
}

async function bind(
  context: CommandContext,
  profileId: string,
  bindings: readonly BindingRow[],
  by: string,
): Promise<void> {
  for (const { scopeId, prefix } of bindings) {
    const scope = await context.db
      .selectFrom('scopes')
      .select('id')
      .where('id', '=', scopeId)
      .where('deleted_at', 'is', null)
      .executeTakeFirst();
    if (scope === undefined) throw new StrongroomError('not_found');
    await context.db
      .insertInto('profile_bindings')
      .values({ profile_id: profileId, scope_id: scopeId, prefix, created_at: context.now, created_by: by })
      .execute();
  }
}

async function requireProfile(context: CommandContext, id: string, revision: number): Promise<ProfileRow> {
  const row = await context.db.selectFrom('profiles').selectAll().where('id', '=', id).executeTakeFirst();
  if (row === undefined) throw new StrongroomError('not_found');
  if (row.revision !== revision) throw new StrongroomError('version_conflict');
  return row;
}

export const profileCommands = {
  'profile.create': create,
  'profile.update': update,
  'profile.delete': remove,
};
