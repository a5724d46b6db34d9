import { StrongroomError } from '@strongroom/contract/core';
import type { CommandContext } from '../store/store.ts';
import { archiveCommands } from './archive-commands.ts';
import type { SignedCheckpoint } from './checkpoint-document.ts';
import { type ChainHead, sha256Hex } from './record.ts';
import { latestCheckpoint } from './statements.ts';

export interface StoreCheckpointArgs {
  readonly checkpoint: SignedCheckpoint;
  /** The checkpoint it names as the one before. */
  readonly previousId: string | null;
  readonly heads: readonly ChainHead[];
}

/** Stores a checkpoint, moves the marks of the chains it covers, and tells of it in the log. */
async function storeCheckpoint(context: CommandContext, args: StoreCheckpointArgs): Promise<void> {
  const { checkpoint, previousId, heads } = args;
  const latest = await latestCheckpoint(context.db);
  if ((latest?.id ?? null) !== previousId)
    throw new StrongroomError('version_conflict', { detail: 'Another checkpoint was stored meanwhile.' });
  await context.db
    .insertInto('audit_checkpoints')
    .values({
      id: checkpoint.id,
      at: checkpoint.at,
      document: checkpoint.document,
      signature: checkpoint.signature,
      key_id: checkpoint.keyId,
    })
    .execute();
  for (const { chain, sequence } of heads) {
    await context.db
      .updateTable('audit_chains')
      .set({ checkpointed_sequence: sequence })
      .where('id', '=', chain)
      .where('checkpointed_sequence', '<', sequence)
      .execute();
  }
  context.audit({
    principal: 'system',
    principalName: 'system',
    action: 'audit.checkpoint',
    outcome: 'allowed',
    detail: { checkpoint: checkpoint.id, digest: sha256Hex(checkpoint.document) },
  });
}

/** Anonymous denials of one minute. */
export interface DenialCount {
  /** Start of the minute, milliseconds since 1970. */
  readonly minute: number;
  readonly action: string;
  readonly count: number;
}

async function countDenials(context: CommandContext, args: { readonly counts: readonly DenialCount[] }): Promise<void> {
  for (const { minute, action, count } of args.counts) {
    await context.db
      .insertInto('denial_counts')
      .values({ minute, action, count })
      .onConflict((conflict) =>
        conflict.columns(['minute', 'action']).doUpdateSet((row) => ({
          count: row('denial_counts.count', '+', row.ref('excluded.count')),
        })),
      )
      .execute();
  }
}

/** Turns the counts of minutes that are over into one record each. */
async function foldDenials(
  context: CommandContext,
  args: { readonly before: number },
): Promise<{ readonly minutes: number }> {
  const rows = await context.db.deleteFrom('denial_counts').where('minute', '<', args.before).returningAll().execute();
  const minutes = [...Map.groupBy(rows, (row) => row.minute)].sort(([a], [b]) => a - b);
  for (const [minute, counts] of minutes) {
    const detail: Record<string, string | number> = { minute: new Date(minute).toISOString(), total: 0 };
    for (const { action, count } of counts) {
      detail[`action:${action}`] = count;
      detail['total'] = Number(detail['total']) + count;
    }
    context.audit({
      principal: 'anonymous',
      principalName: 'anonymous',
      action: 'denials.anonymous',
      outcome: 'denied',
      detail,
    });
  }
  return { minutes: minutes.length };
}

export const auditCommands = {
  ...archiveCommands,
  'audit.storeCheckpoint': storeCheckpoint,
  'audit.countDenials': countDenials,
  'audit.foldDenials': foldDenials,
};
