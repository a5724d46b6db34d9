import { StrongroomError } from '@strongroom/contract/core';
import type { CommandContext } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';

export type IntegrationRow = Tables['integrations'];

/** @throws StrongroomError `not_found`, `version_conflict` */
export async function requireIntegration(
  context: CommandContext,
  id: string,
  revision: number,
): Promise<IntegrationRow> {
  const row = await context.db.selectFrom('integrations').selectAll().where('id', '=', id).executeTakeFirst();
  if (row === undefined) throw new StrongroomError('not_found');
  if (row.revision !== revision) throw new StrongroomError('version_conflict');
  return row;
}

/** @throws StrongroomError `not_found` when it was deleted */
export async function requireScope(context: CommandContext, id: string): Promise<void> {
  const scope = await context.db
    .selectFrom('scopes')
    .select('id')
    .where('id', '=', id)
    .where('deleted_at', 'is', null)
    .executeTakeFirst();
  if (scope === undefined) throw new StrongroomError('not_found');
}
