import { StrongroomError } from '@strongroom/contract/core';
import type { CommandContext } from '../store/store.ts';
import { requireScope } from './required-rows.ts';

/** A credential as it is stored: sealed here, or in Kubernetes, where its entry is. */
export type SealedCredential =
  | {
      readonly name: string;
      readonly epoch: number;
      readonly version: number;
      readonly boundTo: string;
      readonly envelope: Uint8Array;
      readonly termId: string;
    }
  | { readonly name: string; readonly entry: string };

export async function putCredentials(
  context: CommandContext,
  sourceId: string,
  credentials: readonly SealedCredential[],
  by: string,
): Promise<void> {
  for (const credential of credentials) {
    await dropCredential(context, sourceId, credential.name);
    if ('entry' in credential) {
      await putOutside(context, sourceId, credential.entry);
      continue;
    }
    const { name, epoch, version, boundTo, envelope, termId } = credential;
    const term = await context.db.selectFrom('key_terms').select('state').where('id', '=', termId).executeTakeFirst();
    // Sealed under a key that was destroyed since: the scope is being deleted.
    if (term?.state === 'destroyed') throw new StrongroomError('not_found');
    const values = {
      epoch,
      version,
      bound_to: boundTo,
      envelope,
      term_id: termId,
      created_at: context.now,
      created_by: by,
    };
    await context.db
      .insertInto('integration_credentials')
      .values({ source_id: sourceId, name, ...values })
      .execute();
  }
}

/** One that is elsewhere is taken away there afterwards. */
export async function dropCredential(context: CommandContext, sourceId: string, name: string): Promise<void> {
  const { db, now } = context;
  context.erase();
  await db.deleteFrom('integration_credentials').where('source_id', '=', sourceId).where('name', '=', name).execute();
  await db
    .updateTable('outside_credentials')
    .set({ state: 'gone', changed_at: now })
    .where('source_id', '=', sourceId)
    .where('name', '=', name)
    .where('state', '=', 'current')
    .execute();
}

/** Shorter than what is not in force stays there. */
const writerMilliseconds = 5 * 60_000;

/** What is meant to be written to Kubernetes. @throws StrongroomError `not_found` when the scope is gone */
async function beginCredential(
  context: CommandContext,
  args: {
    readonly entry: string;
    readonly scopeId: string;
    readonly sourceId: string;
    readonly name: string;
    readonly epoch: number;
    readonly version: number;
    readonly boundTo: string;
    readonly by: string;
  },
): Promise<void> {
  await requireScope(context, args.scopeId);
  await context.db
    .insertInto('outside_credentials')
    .values({
      entry: args.entry,
      scope_id: args.scopeId,
      source_id: args.sourceId,
      name: args.name,
      epoch: args.epoch,
      version: args.version,
      bound_to: args.boundTo,
      state: 'pending',
      changed_at: context.now,
      created_by: args.by,
    })
    .execute();
}

/** It was written, and is in force. @throws StrongroomError `version_conflict` when it may be taken away by now */
async function putOutside({ db, now }: CommandContext, sourceId: string, entry: string): Promise<void> {
  const { numUpdatedRows } = await db
    .updateTable('outside_credentials')
    .set({ state: 'current', changed_at: now })
    .where('entry', '=', entry)
    .where('source_id', '=', sourceId)
    .where('state', '=', 'pending')
    .where('changed_at', '>', now - writerMilliseconds)
    .executeTakeFirstOrThrow();
  if (Number(numUpdatedRows) !== 1)
    throw new StrongroomError('version_conflict', { detail: 'Writing the credential took too long.' });
}

/** It was taken away in Kubernetes. */
async function forgetCredential({ db }: CommandContext, args: { readonly entry: string }): Promise<void> {
  await db.deleteFrom('outside_credentials').where('entry', '=', args.entry).where('state', '!=', 'current').execute();
}

export const credentialCommands = {
  'integration.beginCredential': beginCredential,
  'integration.forgetCredential': forgetCredential,
};
