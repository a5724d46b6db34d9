import type { CommandContext } from '../../store/store.ts';
import { commands as all } from '../../store/commands.ts';

export { createAuditChain } from '../../audit/chain.ts';
export { queries } from '../../store/queries.ts';

/** A domain with one member, as rows: this folder only needs that it is there. */
async function addDomain(
  context: CommandContext,
  args: { readonly id: string; readonly name: string; readonly ownerId: string },
): Promise<void> {
  const at = { created_at: context.now, created_by: 'test' };
  await context.db
    .insertInto('scopes')
    .values({
      ...at,
      id: args.id,
      kind: 'domain',
      name: args.name,
      display_name: args.name,
      description: '',
      revision: 1,
      updated_at: context.now,
      deleted_at: null,
    })
    .execute();
  await context.db
    .insertInto('members')
    .values({ ...at, scope_id: args.id, principal_id: args.ownerId, preset: 'OWNER' })
    .execute();
  await context.bumpAuthorisation();
}

async function deleteDomain(context: CommandContext, args: { readonly id: string }): Promise<void> {
  await context.db.updateTable('scopes').set({ deleted_at: context.now }).where('id', '=', args.id).execute();
  await context.bumpAuthorisation();
}

export const commands = { ...all, 'test.addDomain': addDomain, 'test.deleteDomain': deleteDomain };
