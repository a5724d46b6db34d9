import { StrongroomError } from '@strongroom/contract/core';
import type { CommandContext } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';

type SecretRow = Tables['secrets'];

/** @throws StrongroomError `not_found` when absent or deleted, `revision_mismatch` */
export async function liveSecret(
  context: CommandContext,
  secretId: string,
  expectedRevision: number | null,
): Promise<SecretRow> {
  const row = await context.db.selectFrom('secrets').selectAll().where('id', '=', secretId).executeTakeFirst();
  if (row === undefined || row.deleted_at !== null) throw new StrongroomError('not_found');
  requireRevision(row, expectedRevision);
  return row;
}

/** @throws StrongroomError `revision_mismatch` */
export function requireRevision(row: Pick<SecretRow, 'revision'>, expectedRevision: number | null): void {
  if (expectedRevision !== null && row.revision !== expectedRevision)
    throw new StrongroomError('revision_mismatch', { detail: `The secret is at revision ${row.revision}.` });
}

/** What another program left is only read; that its entry has gone may be noted. @throws StrongroomError `state_conflict` */
export function requireOurs(row: Pick<SecretRow, 'key' | 'is_unmarked' | 'store_state'>): void {
  if (row.is_unmarked === 0 || row.store_state === 'missing') return;
  throw new StrongroomError('state_conflict', {
    detail: `The entry of ${row.key} was not made by Strongroom, so that it is only read.`,
    hint: 'strongroom store adopt marks it as Strongroom’s.',
  });
}
