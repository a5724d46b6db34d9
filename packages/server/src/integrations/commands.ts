import { StrongroomError } from '@strongroom/contract/core';
import { useRows } from '../secrets/use-rows.ts';
import { isUniqueViolation } from '../store/errors.ts';
import { holdersOf, holdersText } from '../impact/holders.ts';
import type { CommandContext } from '../store/store.ts';
import { credentialCommands, dropCredential, putCredentials, type SealedCredential } from './credential-commands.ts';
import { indexCommands } from './index-commands.ts';
import { profileCommands } from './profiles/commands.ts';
import { type IntegrationRow, requireIntegration, requireScope } from './required-rows.ts';

export interface NewIntegration {
  readonly id: string;
  readonly scopeId: string;
  readonly name: string;
  readonly type: IntegrationRow['type'];
  readonly description: string;
  /** JSON. */
  readonly settings: string;
  readonly profileId: string | null;
  readonly bundleId: string | null;
  readonly credentials: readonly SealedCredential[];
  readonly managedBy?: string;
  readonly by: string;
  readonly maxIntegrations: number;
}

/** @throws StrongroomError `already_exists`, `key_clash`, `limit_exceeded`, `not_found` when the domain is gone */
async function create(context: CommandContext, args: NewIntegration): Promise<{ readonly id: string }> {
  const { db, now } = context;
  await requireScope(context, args.scopeId);
  await requireRoomFor(db, args);
  try {
    await db
      .insertInto('sources')
      .values({ id: args.id, scope_id: args.scopeId, name: args.name, type: args.type, created_at: now })
      .execute();
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    throw nameTaken(args.name, args.name);
  }
  await db
    .insertInto('integrations')
    .values({
      id: args.id,
      scope_id: args.scopeId,
      name: args.name,
      folded_name: args.name.toLowerCase(),
      type: args.type,
      description: args.description,
      settings: args.settings,
      profile_id: args.profileId,
      bundle_id: args.bundleId,
      is_for_all: 0,
      managed_by: args.managedBy ?? null,
      revision: 1,
      created_at: now,
      created_by: args.by,
      updated_at: now,
      updated_by: args.by,
      ...nothingKnown,
      index_generation: 0,
      index_from: 0,
      index_due_at: now,
    })
    .execute();
  await putCredentials(context, args.id, args.credentials, args.by);
  // Who may see and use it is a matter of access.
  await context.bumpAuthorisation();
  return { id: args.id };
}

export interface IntegrationChange {
  readonly id: string;
  /** The revision that was read and decided on. */
  readonly revision: number;
  readonly description: string;
  readonly settings: string;
  readonly profileId: string | null;
  readonly bundleId: string | null;
  /** Whether it is set up otherwise from now on: what was found before says nothing. */
  readonly isSetUpAnew: boolean;
  readonly credentials: readonly SealedCredential[];
  /** Credentials that the new way to sign in does not have. */
  readonly dropped: readonly string[];
  readonly by: string;
}

/** @throws StrongroomError `not_found`; `version_conflict` when somebody else was quicker */
async function update(context: CommandContext, args: IntegrationChange): Promise<{ readonly revision: number }> {
  const row = await requireIntegration(context, args.id, args.revision);
  await context.db
    .updateTable('integrations')
    .set({
      description: args.description,
      settings: args.settings,
      profile_id: args.profileId,
      bundle_id: args.bundleId,
      revision: row.revision + 1,
      updated_at: context.now,
      updated_by: args.by,
      index_due_at: context.now,
      ...(args.isSetUpAnew ? { ...nothingKnown, index_from: row.index_generation } : {}),
    })
    .where('id', '=', row.id)
    .execute();
  // Elsewhere the same key may have the same version and be something else.
  if (args.isSetUpAnew) await context.db.deleteFrom('source_versions').where('source_id', '=', row.id).execute();
  for (const name of args.dropped) await dropCredential(context, row.id, name);
  await putCredentials(context, row.id, args.credentials, args.by);
  if (row.bundle_id !== args.bundleId) await context.bumpAuthorisation();
  return { revision: row.revision + 1 };
}

export const nothingKnown = {
  health: 'unknown',
  health_code: null,
  health_message: null,
  health_at: null,
  index_keys: 0,
  index_is_cut: 0,
  indexed_at: null,
} as const;

/**
 * The integration, its credentials and its index go, its id never comes back.
 * @throws StrongroomError `not_found`, `version_conflict`; `in_use`, which names no configuration, unless forced
 */
async function remove(
  context: CommandContext,
  args: { readonly id: string; readonly revision: number; readonly force: boolean },
): Promise<void> {
  const row = await requireIntegration(context, args.id, args.revision);
  if (!args.force) {
    const use = await useRows(context)
      .where('uses.target_scope_id', '=', row.scope_id)
      .where('uses.target_source_id', '=', row.id)
      .limit(1)
      .executeTakeFirst();
    if (use !== undefined)
      throw new StrongroomError('in_use', { detail: `The integration ${row.name} is used by configurations.` });
    const held = holdersText(await holdersOf(context, { sourceId: row.id }));
    if (held !== null)
      throw new StrongroomError('in_use', { detail: `The integration ${row.name} is used by ${held}.` });
  }
  await removeRows(context, [row.id]);
  await context.bumpAuthorisation();
}

/** What is left of integrations after this: their ids in uses, receipts and the audit log. */
async function removeRows(context: CommandContext, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  const { db, now } = context;
  // Their credentials are values like others.
  context.erase();
  await db
    .updateTable('outside_credentials')
    .set({ state: 'gone', changed_at: now })
    .where('source_id', 'in', ids)
    .where('state', '=', 'current')
    .execute();
  for (const table of [
    'integration_keys',
    'integration_credentials',
    'integration_assignments',
    'source_versions',
  ] as const)
    await db.deleteFrom(table).where('source_id', 'in', ids).execute();
  await db.deleteFrom('integrations').where('id', 'in', ids).execute();
  await db.deleteFrom('sources').where('id', 'in', ids).execute();
}

/** With their domain, which profiles are not bound to any more. */
export async function removeIntegrationsOf(context: CommandContext, scopeId: string): Promise<void> {
  await context.db.deleteFrom('profile_bindings').where('scope_id', '=', scopeId).execute();
  const rows = await context.db.selectFrom('integrations').select('id').where('scope_id', '=', scopeId).execute();
  await removeRows(
    context,
    rows.map(({ id }) => id),
  );
}

/** Domains of a Global integration; `isForAll` stands for those that come, too. @throws StrongroomError `not_found`, `version_conflict` */
async function assign(
  context: CommandContext,
  args: {
    readonly id: string;
    readonly revision: number;
    readonly isForAll: boolean;
    readonly scopeIds: readonly string[];
    readonly by: string;
  },
): Promise<void> {
  const row = await requireIntegration(context, args.id, args.revision);
  await context.db
    .updateTable('integrations')
    .set({ is_for_all: args.isForAll ? 1 : 0 })
    .where('id', '=', row.id)
    .execute();
  await context.db.deleteFrom('integration_assignments').where('source_id', '=', row.id).execute();
  for (const scopeId of args.scopeIds) {
    await requireScope(context, scopeId);
    await context.db
      .insertInto('integration_assignments')
      .values({ source_id: row.id, scope_id: scopeId, created_at: context.now, created_by: args.by })
      .execute();
  }
  await context.bumpAuthorisation();
}

export interface Checked {
  readonly id: string;
  /** The revision that was tried; of another one nothing is known. */
  readonly revision: number;
  /** Why it failed; null: it is healthy. */
  readonly failure: { readonly code: string; readonly message: string } | null;
}

/** Keeps the outcome of a test. No revision of the settings; nothing when they changed meanwhile. */
async function checked(context: CommandContext, { id, revision, failure }: Checked): Promise<void> {
  await context.db
    .updateTable('integrations')
    .set({
      health: failure === null ? 'healthy' : 'unhealthy',
      health_code: failure?.code ?? null,
      health_message: failure?.message ?? null,
      health_at: context.now,
    })
    .where('id', '=', id)
    .where('revision', '=', revision)
    .execute();
}

/** @throws StrongroomError `already_exists`, `key_clash`, `limit_exceeded` */
export async function requireRoomFor(
  db: CommandContext['db'],
  args: Pick<NewIntegration, 'scopeId' | 'name' | 'maxIntegrations'>,
): Promise<void> {
  await requireRoom(db, args);
  const clash = await db
    .selectFrom('integrations')
    .select('name')
    .where('scope_id', '=', args.scopeId)
    .where('folded_name', '=', args.name.toLowerCase())
    .executeTakeFirst();
  if (clash !== undefined) throw nameTaken(args.name, clash.name);
}

async function requireRoom(
  db: CommandContext['db'],
  args: Pick<NewIntegration, 'scopeId' | 'maxIntegrations'>,
): Promise<void> {
  const { count } = await db
    .selectFrom('integrations')
    .select((column) => column.fn.countAll<number>().as('count'))
    .where('scope_id', '=', args.scopeId)
    .executeTakeFirstOrThrow();
  if (count < args.maxIntegrations) return;
  throw new StrongroomError('limit_exceeded', {
    detail: `A scope has at most ${args.maxIntegrations} integrations.`,
  });
}

function nameTaken(name: string, other: string): StrongroomError {
  return name === other
    ? new StrongroomError('already_exists', { detail: `There is an integration named ${name}.` })
    : new StrongroomError('key_clash', {
        detail: `The name ${name} clashes with ${other}.`,
        hint: 'Names of integrations are unique after case folding.',
      });
}

export const integrationCommands = {
  'integration.create': create,
  'integration.update': update,
  'integration.delete': remove,
  'integration.assign': assign,
  'integration.checked': checked,
  ...credentialCommands,
  ...indexCommands,
  ...profileCommands,
};
