import { systemActor } from '../../identities/actor.ts';
import { dropOldVersions, insertVersion, type SealedVersion } from '../../secrets/commands.ts';
import type { CommandContext } from '../../store/store.ts';

export interface RowFinding {
  readonly secretId: string;
  /** The version that the row was compared with. */
  readonly epoch: number;
  readonly version: number;
  readonly found:
    | { readonly kind: 'missing' | 'as-left' }
    /** Sealed for the version after that one. */
    | { readonly kind: 'edit'; readonly sealed: SealedVersion };
}

/** What became of the row of a copy. Nothing is noted of a secret that is ours by now, deleted, or of another version. */
async function note(
  context: CommandContext,
  { secretId, epoch, version, found }: RowFinding,
): Promise<{ readonly isNoted: boolean }> {
  const row = await context.db
    .selectFrom('secrets')
    .selectAll()
    .where('id', '=', secretId)
    .where('is_unmarked', '=', 1)
    .where('deleted_at', 'is', null)
    .where('current_epoch', '=', epoch)
    .where('current_version', '=', version)
    .executeTakeFirst();
  if (row === undefined) return { isNoted: false };
  const update = context.db.updateTable('secrets').where('id', '=', secretId);
  if (found.kind === 'edit') {
    const { sealed } = found;
    await insertVersion(context, secretId, sealed, 'outside');
    await dropOldVersions(context, secretId, row.keep_versions);
    await update
      .set({
        current_epoch: sealed.epoch,
        current_version: sealed.version,
        shape: sealed.shape,
        field_names: sealed.fieldNames,
        rotated_at: context.now,
        updated_at: context.now,
        updated_by: 'outside',
        store_state: null,
        revision: row.revision + 1,
      })
      .execute();
  } else
    await update
      .set({ store_state: found.kind === 'missing' ? 'missing' : null, revision: row.revision + 1 })
      .execute();
  context.audit({
    ...systemActor,
    action: 'secret.manage',
    outcome: 'allowed',
    scope: { id: row.scope_id, name: '' },
    object: { type: 'secret', id: row.id, name: row.key },
    because: ['legacy-table', found.kind],
    detail: { change: 'mark' },
  });
  return { isNoted: true };
}

export const legacyTableCommands = { 'legacyTable.note': note };
