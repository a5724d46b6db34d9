import { StrongroomError } from '@strongroom/contract/core';
import { timingSafeEqualBytes } from '@strongroom/crypto';
import { sql } from 'kysely';
import { type CommandContext, type Command, hotStatement, type IdempotencyKey } from './store.ts';

const lifetimeMilliseconds = 24 * 60 * 60 * 1000;

/**
 * Takes the key for this transaction. Another lane holding it is waited for (PostgreSQL), so two requests with one key never
 * both run.
 */
const claim = hotStatement('idempotency.claim', (db) =>
  db
    .insertInto('idempotency')
    .values({ subject: '', route: '', key: '', body_hmac: new Uint8Array(), response: sql.lit('null'), expires_at: 0 })
    .onConflict((conflict) =>
      conflict
        .columns(['subject', 'route', 'key'])
        .doUpdateSet((row) => ({
          body_hmac: row.ref('excluded.body_hmac'),
          response: row.ref('excluded.response'),
          expires_at: row.ref('excluded.expires_at'),
        }))
        .where('idempotency.expires_at', '<=', 0),
    )
    .returning('key')
    .compile(),
);

const read = hotStatement('idempotency.read', (db) =>
  db
    .selectFrom('idempotency')
    .select(['body_hmac', 'response'])
    .where('subject', '=', '')
    .where('route', '=', '')
    .where('key', '=', '')
    .compile(),
);

const store = hotStatement('idempotency.store', (db) =>
  db
    .updateTable('idempotency')
    .set({ response: '' })
    .where('subject', '=', '')
    .where('route', '=', '')
    .where('key', '=', '')
    .compile(),
);

/**
 * Undefined when the key is fresh and now claimed; otherwise the stored result.
 * @throws StrongroomError `idempotency_mismatch` for another body, `replayed_issue` for what is shown once
 */
export async function claimIdempotencyKey(
  context: CommandContext,
  key: IdempotencyKey,
): Promise<{ readonly result: unknown } | undefined> {
  const place = [key.subject, key.route, key.key] as const;
  const expiresAt = context.now + lifetimeMilliseconds;
  if ((await context.first(claim, [...place, key.bodyHmac, expiresAt, context.now])) !== undefined) return undefined;

  const row = await context.first(read, place);
  if (row === undefined) throw new StrongroomError('version_conflict', { detail: 'The idempotency key just expired.' });
  if (!timingSafeEqualBytes(row.body_hmac, key.bodyHmac)) throw new StrongroomError('idempotency_mismatch');
  const result: unknown = JSON.parse(row.response);
  if (key.shownOnce === true) {
    throw new StrongroomError('replayed_issue', {
      detail: `The credential was issued as ${idOf(result) ?? 'unknown'}.`,
    });
  }
  return { result };
}

/** Keeps the answer beside the change; of a credential only the id. */
export async function storeIdempotentResult(
  context: CommandContext,
  key: IdempotencyKey,
  result: unknown,
): Promise<void> {
  const kept = key.shownOnce === true ? { id: idOf(result) ?? null } : (result ?? null);
  await context.run(store, [JSON.stringify(kept), key.subject, key.route, key.key]);
}

function idOf(result: unknown): string | undefined {
  if (typeof result !== 'object' || result === null || !('id' in result)) return undefined;
  return typeof result.id === 'string' ? result.id : undefined;
}

/** Removes up to `limit` expired rows; background work repeats it until `removed` is 0. */
const sweep: Command<{ readonly limit: number }, { readonly removed: number }> = async (context, { limit }) => {
  const expired = context.db
    .selectFrom('idempotency')
    .select(['subject', 'route', 'key'])
    .where('expires_at', '<=', context.now)
    .orderBy('expires_at')
    .limit(limit);
  const rows = await expired.execute();
  for (const row of rows) {
    await context.db
      .deleteFrom('idempotency')
      .where('subject', '=', row.subject)
      .where('route', '=', row.route)
      .where('key', '=', row.key)
      .where('expires_at', '<=', context.now)
      .execute();
  }
  return { removed: rows.length };
};

export const idempotencyCommands = { 'idempotency.sweep': sweep };
