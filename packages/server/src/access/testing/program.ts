import type { SurfaceName } from '@strongroom/contract';
import { foldKey } from '@strongroom/contract';
import { commands as all } from '../../store/commands.ts';
import type { CommandContext } from '../../store/store.ts';

export { createAuditChain } from '../../audit/chain.ts';
export { queries } from '../../store/queries.ts';

/** A secret without a value: this folder needs its row only. */
async function addSecret(
  context: CommandContext,
  args: { readonly id: string; readonly scopeId: string; readonly key: string },
): Promise<void> {
  const source = await context.db
    .selectFrom('sources')
    .select('id')
    .where('scope_id', '=', args.scopeId)
    .where('name', '=', 'managed')
    .executeTakeFirstOrThrow();
  await context.db
    .insertInto('secrets')
    .values({
      id: args.id,
      scope_id: args.scopeId,
      source_id: source.id,
      is_unmarked: 0,
      key: args.key,
      folded_key: foldKey(args.key),
      folder: '',
      description: '',
      owner: '',
      tags: '[]',
      shape: 'text',
      field_names: null,
      destinations: null,
      expires_at: null,
      rotate_every_days: null,
      current_epoch: 1,
      current_version: 1,
      keep_versions: 10,
      rotated_at: context.now,
      created_at: context.now,
      created_by: 'test',
      updated_at: context.now,
      updated_by: 'test',
      last_launched_at: null,
      revision: 1,
      deleted_at: null,
      deleted_by: null,
      purge_after: null,
    })
    .execute();
}

async function addConfiguration(
  context: CommandContext,
  args: {
    readonly id: string;
    readonly scopeId: string;
    readonly surface: SurfaceName;
    readonly name: string;
    readonly bundleId: string;
  },
): Promise<void> {
  await context.db
    .insertInto('configurations')
    .values({
      id: args.id,
      scope_id: args.scopeId,
      surface: args.surface,
      name: args.name,
      document: '{}',
      bundle_id: args.bundleId,
      managed_by: null,
      is_suspended: 0,
      revision: 1,
      created_at: context.now,
      created_by: 'test',
      updated_at: context.now,
      updated_by: 'test',
      deleted_at: null,
    })
    .execute();
}

async function assign(
  context: CommandContext,
  args: { readonly secretId: string; readonly scopeId: string },
): Promise<void> {
  await context.db
    .insertInto('secret_assignments')
    .values({ secret_id: args.secretId, scope_id: args.scopeId, created_at: context.now, created_by: 'test' })
    .execute();
  await context.bumpAuthorisation();
}

export const commands = {
  ...all,
  'test.addSecret': addSecret,
  'test.addConfiguration': addConfiguration,
  'test.assign': assign,
};
export type TestCommands = typeof commands;
