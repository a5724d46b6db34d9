import type { CommandContext } from '../store/store.ts';
import { systemActor } from './actor.ts';
import { familiarMilliseconds } from './throttle.ts';

const day = 24 * 60 * 60_000;
/** Ended sessions and dead tokens stay visible this long; the audit keeps what happened. */
const keepEndedMilliseconds = 90 * day;

export interface RecordActivityArgs {
  readonly tokens: readonly { readonly id: string; readonly at: number }[];
  readonly sessions: readonly { readonly id: string; readonly at: number }[];
}

/** Last uses, gathered off the hot path. Times only move forward. */
async function recordActivity(context: CommandContext, args: RecordActivityArgs): Promise<void> {
  for (const { id, at } of args.tokens) {
    await context.db
      .updateTable('tokens')
      .set({ last_used_at: at })
      .where('id', '=', id)
      .where((where) => where.or([where('last_used_at', 'is', null), where('last_used_at', '<', at)]))
      .execute();
  }
  for (const { id, at } of args.sessions) {
    await context.db
      .updateTable('sessions')
      .set({ last_seen_at: at })
      .where('id', '=', id)
      .where('last_seen_at', '<', at)
      .execute();
  }
}

/** Removes what is long over: throttles, links, ended sessions, dead tokens. */
async function sweep(context: CommandContext): Promise<void> {
  const { db, now } = context;
  await db
    .deleteFrom('throttles')
    .where((where) =>
      where.or([
        where('window_start', '<', now - familiarMilliseconds),
        where.and([where('window_start', '<', now - day), where('failures', '>', 0)]),
      ]),
    )
    .execute();
  await db
    .deleteFrom('sign_in_links')
    .where('expires_at', '<', now - day)
    .execute();
  const ended = now - keepEndedMilliseconds;
  await db
    .deleteFrom('sessions')
    .where((where) => where.or([where('expires_at', '<', ended), where('revoked_at', '<', ended)]))
    // By them a start knows that the first administrator has been here, and prints no link any more.
    .where('principal_id', 'not in', (column) =>
      column
        .selectFrom('principals')
        .select('id')
        .where('kind', '=', 'user')
        .where('created_by', '=', systemActor.principal)
        .where('password_hash', 'is', null),
    )
    .execute();
  await db
    .deleteFrom('tokens')
    .where((where) => where.or([where('expires_at', '<', ended), where('revoked_at', '<', ended)]))
    .execute();
}

export const upkeepCommands = {
  'identities.recordActivity': recordActivity,
  'identities.sweep': sweep,
};
