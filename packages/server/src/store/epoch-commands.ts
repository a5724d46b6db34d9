import type { Command } from './store.ts';

export interface BeginEpochArgs {
  /** The new epoch is greater than this one and than the database's own. */
  readonly above: number;
  /** Revokes every session, token and sign-in link. */
  readonly endsCredentials: boolean;
}

export interface BegunEpoch {
  readonly epoch: number;
  readonly endedSessions: number;
  readonly endedTokens: number;
}

/**
 * After a restore: versions made from now on are of a new epoch and can't be taken for those the backup did not have. Leases
 * of the time before are over, and so is every answer kept for a repeated request.
 */
const beginEpoch: Command<BeginEpochArgs, BegunEpoch> = async (context, args) => {
  const { db, now } = context;
  const epoch = Math.max(context.epoch, args.above) + 1;
  await db.updateTable('installation').set({ epoch }).execute();
  await db
    .updateTable('leases')
    .set((row) => ({ epoch: row('epoch', '+', 1), expires_at: 0 }))
    .execute();
  await db.deleteFrom('idempotency').execute();
  await context.bumpAuthorisation();
  if (!args.endsCredentials) return { epoch, endedSessions: 0, endedTokens: 0 };

  const sessions = await db
    .updateTable('sessions')
    .set({ revoked_at: now })
    .where('revoked_at', 'is', null)
    .executeTakeFirst();
  const tokens = await db
    .updateTable('tokens')
    .set({ revoked_at: now })
    .where('revoked_at', 'is', null)
    .executeTakeFirst();
  await db.updateTable('sign_in_links').set({ used_at: now }).where('used_at', 'is', null).execute();
  return {
    epoch,
    endedSessions: Number(sessions.numUpdatedRows),
    endedTokens: Number(tokens.numUpdatedRows),
  };
};

/** Changes nothing: carries the audit records of its options. */
const record: Command<undefined, void> = async () => undefined;

export const epochCommands = { 'store.beginEpoch': beginEpoch, 'store.record': record };
