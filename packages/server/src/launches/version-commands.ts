import type { CommandContext } from '../store/store.ts';

/** What a backend answered about some keys of an integration, or the code of why it didn't. */
export interface Observed {
  readonly sourceId: string;
  readonly found: readonly { readonly key: string; readonly version: string | null; readonly isAbsent: boolean }[];
  readonly failed: readonly { readonly key: string; readonly code: string }[];
}

/** A failure leaves what was known before, and its age. */
async function observed({ db, now }: CommandContext, { sourceId, found, failed }: Observed): Promise<void> {
  const row = await db.selectFrom('integrations').select('id').where('id', '=', sourceId).executeTakeFirst();
  // Deleted meanwhile.
  if (row === undefined) return;
  for (const { key, version, isAbsent } of found) {
    const values = { version, is_absent: isAbsent ? 1 : 0, observed_at: now, failure: null, asked_at: now };
    await db
      .insertInto('source_versions')
      .values({ source_id: sourceId, key, ...values })
      .onConflict((conflict) => conflict.columns(['source_id', 'key']).doUpdateSet(values))
      .execute();
  }
  for (const { key, code } of failed) {
    const values = { failure: code, asked_at: now };
    await db
      .insertInto('source_versions')
      .values({ source_id: sourceId, key, version: null, is_absent: 0, observed_at: null, ...values })
      .onConflict((conflict) => conflict.columns(['source_id', 'key']).doUpdateSet(values))
      .execute();
  }
}

export const versionCommands = { 'launches.observed': observed };
