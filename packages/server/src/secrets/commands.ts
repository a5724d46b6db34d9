import { exactKey, StrongroomError } from '@strongroom/contract/core';
import type { CommandContext } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';
import { liveSecret, requireOurs } from './live-secret.ts';
import { removalCommands } from './removal-commands.ts';

type SecretRow = Tables['secrets'];

/** A value sealed for exactly one version of one secret, or what is known of one that another store has. */
export interface SealedVersion {
  readonly epoch: number;
  readonly version: number;
  /** Null, and `termId`, when a store outside the database has the value. */
  readonly envelope: Uint8Array | null;
  readonly termId: string | null;
  /** Where it is in that store. */
  readonly kept?: { readonly backendVersion: string | null; readonly intentId: string | null };
  readonly fingerprint: Uint8Array;
  readonly fingerprintTermId: string;
  readonly shape: SecretRow['shape'];
  /** JSON array of names; null unless `fields`. */
  readonly fieldNames: string | null;
  readonly isComparable: boolean;
  readonly copiedFrom: number | null;
}

export interface NewSecret {
  readonly id: string;
  readonly scopeId: string;
  readonly sourceId: string;
  readonly key: string;
  readonly foldedKey: string;
  readonly folder: string;
  readonly description: string;
  readonly owner: string;
  readonly tags: readonly string[];
  readonly destinations: string | null;
  readonly expiresAt: number | null;
  readonly rotateEveryDays: number | null;
  readonly keepVersions: number;
  readonly by: string;
  readonly sealed: SealedVersion;
  readonly maxKeysPerScope: number;
  /** The configuration it was typed into, and goes with; absent: nobody's. */
  readonly ownedBy?: string;
  /** Another program left the entry; it isn't marked as ours. */
  readonly isUnmarked?: boolean;
}

/** @throws StrongroomError `already_exists`, `key_clash` (naming the other key), `soft_deleted`, `limit_exceeded` */
export async function create(context: CommandContext, args: NewSecret): Promise<{ readonly id: string }> {
  const holder = await context.db
    .selectFrom('secrets')
    .select(['key', 'deleted_at'])
    .where('scope_id', '=', args.scopeId)
    .where('source_id', '=', args.sourceId)
    .where('folded_key', 'in', [args.foldedKey, exactKey(args.key)])
    .executeTakeFirst();
  if (holder !== undefined) throw taken(args.key, holder);
  // Before the store is looked at: whoever chooses another one takes the same row.
  await countKeys(context, args.scopeId, 1, args.maxKeysPerScope);
  const scope = await context.db
    .selectFrom('scopes')
    .innerJoin('sources', 'sources.scope_id', 'scopes.id')
    .select(['scopes.deleted_at', 'sources.type'])
    .where('scopes.id', '=', args.scopeId)
    .where('sources.id', '=', args.sourceId)
    .executeTakeFirst();
  if (scope === undefined || scope.deleted_at !== null) throw new StrongroomError('not_found');
  if ((scope.type === 'DATABASE') !== (args.sealed.envelope !== null)) throw storeChanged();
  const { sealed } = args;
  await context.db
    .insertInto('secrets')
    .values({
      id: args.id,
      scope_id: args.scopeId,
      source_id: args.sourceId,
      key: args.key,
      folded_key: args.foldedKey,
      folder: args.folder,
      description: args.description,
      owner: args.owner,
      tags: JSON.stringify(args.tags.toSorted()),
      shape: sealed.shape,
      field_names: sealed.fieldNames,
      destinations: args.destinations,
      expires_at: args.expiresAt,
      rotate_every_days: args.rotateEveryDays,
      current_epoch: sealed.epoch,
      current_version: sealed.version,
      keep_versions: args.keepVersions,
      rotated_at: context.now,
      created_at: context.now,
      created_by: args.by,
      updated_at: context.now,
      updated_by: args.by,
      last_launched_at: null,
      revision: 1,
      deleted_at: null,
      deleted_by: null,
      purge_after: null,
      owned_by: args.ownedBy ?? null,
      store_state: null,
      is_unmarked: args.isUnmarked === true ? 1 : 0,
    })
    .execute();
  await insertVersion(context, args.id, sealed, args.by);
  await replaceTags(context, args.id, args.scopeId, args.tags);
  await indexDocument(context, args.id);
  // References saved before the secret existed, or to an earlier secret of this key, mean this one from now on.
  await context.db
    .updateTable('uses')
    .set({ secret_id: args.id })
    .where('target_scope_id', '=', args.scopeId)
    .where('target_source_id', '=', args.sourceId)
    .where('target_key', '=', args.key)
    .execute();
  return { id: args.id };
}

/** The scope got another store since the value was prepared for the one before. */
export function storeChanged(): StrongroomError {
  return new StrongroomError('version_conflict', { detail: 'The managed store of the scope was changed meanwhile.' });
}

export function taken(
  key: string,
  holder: { readonly key: string; readonly deleted_at: number | null },
): StrongroomError {
  if (holder.deleted_at !== null) {
    return new StrongroomError('soft_deleted', {
      detail: `The key ${holder.key} belongs to a deleted secret.`,
      hint: `Bring it back with: strongroom secret restore ${holder.key}; or destroy it with: strongroom secret purge ${holder.key}.`,
    });
  }
  if (holder.key === key)
    return new StrongroomError('already_exists', {
      detail: `A secret with the key ${key} exists.`,
      hint: 'Give it a new value with secret rotate.',
    });
  return new StrongroomError('key_clash', {
    detail: `The key ${key} clashes with ${holder.key}: they differ only in case.`,
  });
}

/** With 0 it only keeps others from counting, or from choosing a store, until this transaction has ended. */
export async function countKeys(context: CommandContext, scopeId: string, more: 0 | 1, max: number): Promise<void> {
  const row = await context.db
    .insertInto('secret_counts')
    .values({ scope_id: scopeId, secrets: more })
    .onConflict((conflict) =>
      conflict.column('scope_id').doUpdateSet((column) => ({ secrets: column('secret_counts.secrets', '+', more) })),
    )
    .returning('secrets')
    .executeTakeFirstOrThrow();
  if (row.secrets > max)
    throw new StrongroomError('limit_exceeded', {
      detail: `The scope holds ${max} secrets, which is its limit (limits.keysPerScope).`,
    });
}

export async function insertVersion(
  context: CommandContext,
  secretId: string,
  sealed: SealedVersion,
  by: string,
): Promise<void> {
  await context.db
    .insertInto('secret_versions')
    .values({
      secret_id: secretId,
      epoch: sealed.epoch,
      version: sealed.version,
      envelope: sealed.envelope,
      term_id: sealed.termId,
      shape: sealed.shape,
      field_names: sealed.fieldNames,
      fingerprint: sealed.fingerprint,
      fingerprint_term_id: sealed.fingerprintTermId,
      is_comparable: sealed.isComparable ? 1 : 0,
      created_at: context.now,
      created_by: by,
      copied_from: sealed.copiedFrom,
      backend_version: sealed.kept?.backendVersion ?? null,
      intent_id: sealed.kept?.intentId ?? null,
    })
    .execute();
}

async function replaceTags(
  context: CommandContext,
  secretId: string,
  scopeId: string,
  tags: readonly string[],
): Promise<void> {
  await context.db.deleteFrom('secret_tags').where('secret_id', '=', secretId).execute();
  if (tags.length === 0) return;
  await context.db
    .insertInto('secret_tags')
    .values(tags.map((tag) => ({ secret_id: secretId, scope_id: scopeId, tag })))
    .execute();
}

/** What the search finds a secret by: key, folder, tags, description; lower-cased, one line each. */
async function indexDocument(context: CommandContext, secretId: string): Promise<void> {
  const row = await context.db
    .selectFrom('secrets')
    .select(['scope_id', 'key', 'folder', 'tags', 'description'])
    .where('id', '=', secretId)
    .executeTakeFirstOrThrow();
  const text = [row.key, row.folder, ...(JSON.parse(row.tags) as string[]), row.description].join('\n').toLowerCase();
  await context.db
    .insertInto('secret_documents')
    .values({ secret_id: secretId, scope_id: row.scope_id, text })
    .onConflict((conflict) => conflict.column('secret_id').doUpdateSet({ text }))
    .execute();
}

export interface SetValue {
  readonly secretId: string;
  readonly expectedRevision: number | null;
  /** The version that was current when the new one was sealed; `version_conflict` when it no longer is. */
  readonly fromEpoch: number;
  readonly fromVersion: number;
  readonly sealed: SealedVersion;
  readonly by: string;
}

/** Rotation and rollback: a new version becomes the current one; versions beyond the kept number go. */
export async function setValue(
  context: CommandContext,
  args: SetValue,
): Promise<{ readonly id: string; readonly revision: number }> {
  const row = await liveSecret(context, args.secretId, args.expectedRevision);
  if (row.current_epoch !== args.fromEpoch || row.current_version !== args.fromVersion) {
    throw new StrongroomError('version_conflict', { detail: 'The secret got another value at the same time.' });
  }
  // In a store outside the database it is the store that refuses.
  if (args.sealed.envelope !== null) requireOurs(row);
  await insertVersion(context, args.secretId, args.sealed, args.by);
  await context.db
    .updateTable('secrets')
    .set({
      current_epoch: args.sealed.epoch,
      current_version: args.sealed.version,
      shape: args.sealed.shape,
      field_names: args.sealed.fieldNames,
      rotated_at: context.now,
      updated_at: context.now,
      updated_by: args.by,
      store_state: null,
      // Whoever keeps the value took it, so its entry is ours.
      is_unmarked: 0,
      revision: row.revision + 1,
    })
    .where('id', '=', args.secretId)
    .execute();
  await dropOldVersions(context, args.secretId, row.keep_versions);
  return { id: args.secretId, revision: row.revision + 1 };
}

export async function dropOldVersions(context: CommandContext, secretId: string, keep: number): Promise<void> {
  const oldest = await context.db
    .selectFrom('secret_versions')
    .select('version')
    .where('secret_id', '=', secretId)
    .orderBy('version', 'desc')
    .offset(keep - 1)
    .limit(1)
    .executeTakeFirst();
  if (oldest !== undefined)
    await context.db
      .deleteFrom('secret_versions')
      .where('secret_id', '=', secretId)
      .where('version', '<', oldest.version)
      .execute();
}

/** Absent fields stay as they are. */
export interface SecretChanges {
  readonly description?: string;
  readonly folder?: string;
  readonly owner?: string;
  readonly tags?: readonly string[];
  readonly expiresAt?: number | null;
  readonly rotateEveryDays?: number | null;
  readonly destinations?: string | null;
}

/** What a change makes of a row. @param at Unix milliseconds */
export function changedColumns(
  row: Pick<Tables['secrets'], 'revision'>,
  changes: SecretChanges,
  { at, by }: { readonly at: number; readonly by: string },
) {
  return {
    ...(changes.description === undefined ? {} : { description: changes.description }),
    ...(changes.folder === undefined ? {} : { folder: changes.folder }),
    ...(changes.owner === undefined ? {} : { owner: changes.owner }),
    ...(changes.tags === undefined ? {} : { tags: JSON.stringify(changes.tags.toSorted()) }),
    ...(changes.expiresAt === undefined ? {} : { expires_at: changes.expiresAt }),
    ...(changes.rotateEveryDays === undefined ? {} : { rotate_every_days: changes.rotateEveryDays }),
    ...(changes.destinations === undefined ? {} : { destinations: changes.destinations }),
    updated_at: at,
    updated_by: by,
    revision: row.revision + 1,
  };
}

async function update(
  context: CommandContext,
  args: {
    readonly secretId: string;
    readonly expectedRevision: number | null;
    readonly changes: SecretChanges;
    readonly by: string;
  },
): Promise<{ readonly revision: number }> {
  const row = await liveSecret(context, args.secretId, args.expectedRevision);
  const { changes, by } = args;
  await context.db
    .updateTable('secrets')
    .set(changedColumns(row, changes, { at: context.now, by }))
    .where('id', '=', args.secretId)
    .execute();
  if (changes.tags !== undefined) await replaceTags(context, args.secretId, row.scope_id, changes.tags);
  await indexDocument(context, args.secretId);
  return { revision: row.revision + 1 };
}

/** No scope ids: assigned to all domains. */
async function assign(
  context: CommandContext,
  args: { readonly secretId: string; readonly scopeIds: readonly string[]; readonly by: string },
): Promise<void> {
  await liveSecret(context, args.secretId, null);
  await context.db.deleteFrom('secret_assignments').where('secret_id', '=', args.secretId).execute();
  if (args.scopeIds.length > 0) {
    await context.db
      .insertInto('secret_assignments')
      .values(
        args.scopeIds.map((scopeId) => ({
          secret_id: args.secretId,
          scope_id: scopeId,
          created_at: context.now,
          created_by: args.by,
        })),
      )
      .execute();
  }
  await context.bumpAuthorisation();
}

/** Batched off the launch's own commit: the newest launch per secret wins. */
async function touchLaunched(
  context: CommandContext,
  args: { readonly launched: readonly { readonly secretId: string; readonly at: number }[] },
): Promise<void> {
  for (const { secretId, at } of args.launched) {
    await context.db
      .updateTable('secrets')
      .set({ last_launched_at: at })
      .where('id', '=', secretId)
      .where((column) => column.or([column('last_launched_at', 'is', null), column('last_launched_at', '<', at)]))
      .execute();
  }
}

export const secretCommands = {
  'secret.create': create,
  'secret.setValue': setValue,
  'secret.update': update,
  ...removalCommands,
  'secret.assign': assign,
  'secret.touchLaunched': touchLaunched,
};
