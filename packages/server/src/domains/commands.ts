import { removeWorkloadsIn } from '../workloads/commands.ts';
import { removeTargetsOf } from '../clusters/commands.ts';
import { type StoreName, StrongroomError } from '@strongroom/contract/core';
import { requireDomain } from '../access/command-parts.ts';
import { defaultBundleIdOf } from '../access/default-bundle.ts';
import type { Actor } from '../identities/actor.ts';
import { removeIntegrationsOf } from '../integrations/commands.ts';
import { removeNoticesOf } from '../notices/commands.ts';
import { chooseStore } from '../managed-stores/commands.ts';
import { choiceEvent } from '../managed-stores/choice-event.ts';
import { sourceTypeOf, storeNameOf } from '../managed-stores/store-names.ts';
import { keyCommands } from '../keys/commands.ts';
import type { CommandContext } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';
import { contentOf, requireNothingUnderWay } from './content.ts';

export interface DomainRecord {
  readonly id: string;
  readonly name: string;
  readonly displayName: string;
  readonly description: string;
  readonly store: StoreName;
  readonly managedBy: string | null;
  readonly revision: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** A scope with the type of its managed source. */
export type DomainRow = Tables['scopes'] & { readonly source_type: Tables['sources']['type'] };

export function domainRecord(row: DomainRow): DomainRecord {
  return {
    id: row.id,
    name: row.name,
    displayName: row.display_name,
    description: row.description,
    store: storeNameOf(row.source_type),
    managedBy: row.managed_by,
    revision: row.revision,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

export interface CreateDomainArgs {
  readonly actor: Actor;
  readonly id: string;
  readonly sourceId: string;
  readonly name: string;
  readonly displayName: string;
  readonly description: string;
  /** Where its values will be; the database without it. */
  readonly store?: StoreName;
  /** Becomes OWNER; null when the server itself makes the domain. */
  readonly ownerId: string | null;
  readonly managedBy?: string;
}

/** @throws StrongroomError `already_exists` */
export async function requireFreeName(db: CommandContext['db'], name: string): Promise<void> {
  const row = await db
    .selectFrom('scopes')
    .select('id')
    .where('name', '=', name)
    .where('deleted_at', 'is', null)
    .executeTakeFirst();
  if (row !== undefined) throw nameTaken(name);
}

function nameTaken(name: string): StrongroomError {
  return new StrongroomError('already_exists', { detail: `There is a scope named ${name}.` });
}

/** The domain, its default bundle, its managed source and its first OWNER, all or nothing. @throws StrongroomError `already_exists` */
async function createDomain(context: CommandContext, args: CreateDomainArgs): Promise<DomainRecord> {
  const { db, now } = context;
  const type = sourceTypeOf(args.store ?? 'database');
  const created = { created_at: now, created_by: args.actor.principal };
  const scope: Tables['scopes'] = {
    id: args.id,
    kind: 'domain',
    name: args.name,
    display_name: args.displayName,
    description: args.description,
    revision: 1,
    ...created,
    updated_at: now,
    deleted_at: null,
    managed_by: args.managedBy ?? null,
  };
  const inserted = await db
    .insertInto('scopes')
    .values(scope)
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  if (Number(inserted.numInsertedOrUpdatedRows ?? 0) !== 1) {
    throw nameTaken(args.name);
  }
  await db
    .insertInto('bundles')
    .values({
      id: defaultBundleIdOf(args.id),
      scope_id: args.id,
      name: 'default',
      description: 'Everything that no other bundle holds',
      owner_id: null,
      is_default: 1,
      revision: 1,
      ...created,
      updated_at: now,
    })
    .execute();
  await db
    .insertInto('sources')
    .values({ id: args.sourceId, scope_id: args.id, name: 'managed', type, created_at: now })
    .execute();
  if (args.ownerId !== null) {
    await db
      .insertInto('members')
      .values({ scope_id: args.id, principal_id: args.ownerId, preset: 'OWNER', ...created })
      .execute();
  }
  await context.bumpAuthorisation();
  context.audit({
    ...args.actor,
    action: 'domain.create',
    outcome: 'allowed',
    scope: { id: args.id, name: args.name },
    object: { type: 'domain', id: args.id, name: args.name },
    because: ['create', ...(args.ownerId === null ? [] : ['preset:OWNER'])],
  });
  return domainRecord({ ...scope, source_type: type });
}

export interface UpdateDomainArgs {
  readonly actor: Actor;
  readonly id: string;
  readonly displayName?: string;
  readonly description?: string;
  /** Only while it holds no secret. */
  readonly store?: StoreName;
  readonly expectedRevision?: number;
}

/** @throws StrongroomError `not_found`, `revision_mismatch`; `state_conflict` for another store while it holds secrets */
async function updateDomain(context: CommandContext, args: UpdateDomainArgs): Promise<DomainRecord> {
  const scope = await requireDomain(context, args.id);
  requireRevision(scope, args.expectedRevision);
  const changed: Tables['scopes'] = {
    ...scope,
    display_name: args.displayName ?? scope.display_name,
    description: args.description ?? scope.description,
    revision: scope.revision + 1,
    updated_at: context.now,
  };
  const { display_name, description, revision, updated_at } = changed;
  await context.db
    .updateTable('scopes')
    .set({ display_name, description, revision, updated_at })
    .where('id', '=', scope.id)
    .execute();
  if (args.store !== undefined) {
    const chosen = { id: scope.id, name: scope.name };
    await chooseStore(context, {
      scopeId: scope.id,
      type: sourceTypeOf(args.store),
      audit: choiceEvent(args.actor, chosen, args.store),
    });
  }
  const source = await context.db
    .selectFrom('sources')
    .select('type')
    .where('scope_id', '=', scope.id)
    .where('name', '=', 'managed')
    .executeTakeFirstOrThrow();
  const fields = [
    ...(args.store === undefined ? [] : ['store']),
    ...(args.displayName === undefined ? [] : ['displayName']),
    ...(args.description === undefined ? [] : ['description']),
  ];
  context.audit(domainEvent(args.actor, scope, ['update', ...fields]));
  return domainRecord({ ...changed, source_type: source.type });
}

export interface DeleteDomainArgs {
  readonly actor: Actor;
  readonly id: string;
  /** Also when it holds configurations, secrets or integrations. */
  readonly force: boolean;
  readonly expectedRevision?: number;
}

/**
 * Everything in the domain goes with it, and the keys of its secrets are destroyed. Assignments of Global secrets to it stay:
 * without them a secret assigned to this domain alone would be assigned to all.
 * @throws StrongroomError `not_found`, `revision_mismatch`; `in_use` while it holds something, unless forced; `state_conflict`
 * while runs are going on, even if forced
 */
async function deleteDomain(context: CommandContext, args: DeleteDomainArgs): Promise<void> {
  const { db, now } = context;
  const scope = await requireDomain(context, args.id);
  requireRevision(scope, args.expectedRevision);
  await requireNothingUnderWay(context, scope.id);
  const held = await contentOf(context, scope.id);
  if (!args.force && held.configurations + held.secrets + held.integrations > 0) {
    throw new StrongroomError('in_use', {
      detail: `The domain holds ${held.configurations} configurations, ${held.secrets} secrets and ${held.integrations} integrations.`,
    });
  }
  await db
    .updateTable('configurations')
    .set({ deleted_at: now, updated_at: now, updated_by: args.actor.principal })
    .where('scope_id', '=', scope.id)
    .where('deleted_at', 'is', null)
    .execute();
  await db.deleteFrom('uses').where('scope_id', '=', scope.id).execute();
  await db
    .updateTable('secrets')
    .set((column) => ({
      deleted_at: column.fn.coalesce('deleted_at', column.val(now)),
      deleted_by: column.fn.coalesce('deleted_by', column.val(args.actor.principal)),
      // Nothing can be restored without keys: the next purge takes the rows.
      purge_after: now,
    }))
    .where('scope_id', '=', scope.id)
    .execute();
  await db.deleteFrom('members').where('scope_id', '=', scope.id).execute();
  await db.deleteFrom('grants').where('scope_id', '=', scope.id).execute();
  await db.deleteFrom('bundle_grants').where('scope_id', '=', scope.id).execute();
  await db.deleteFrom('bundle_assets').where('scope_id', '=', scope.id).execute();
  await removeIntegrationsOf(context, scope.id);
  await removeWorkloadsIn(context, scope.id);
  await removeTargetsOf(context, scope.id);
  await removeNoticesOf(context, scope.id);
  await removeServiceAccounts(context, scope.id);
  await db
    .updateTable('scopes')
    .set({ deleted_at: now, updated_at: now, revision: scope.revision + 1 })
    .where('id', '=', scope.id)
    .execute();
  await keyCommands['keys.destroyScope'](context, { scopeId: scope.id });
  await context.bumpAuthorisation();
  context.audit({
    ...domainEvent(args.actor, scope, ['delete', ...(args.force ? ['forced'] : [])]),
    detail: { configurations: held.configurations, secrets: held.secrets, integrations: held.integrations },
  });
}

/** A domain's service accounts can do nothing without it; their tokens end with them. */
async function removeServiceAccounts(context: CommandContext, scopeId: string): Promise<void> {
  const { db, now } = context;
  const own = db.selectFrom('principals').select('id').where('scope_id', '=', scopeId);
  await db
    .updateTable('tokens')
    .set({ revoked_at: now })
    .where('principal_id', 'in', own)
    .where('revoked_at', 'is', null)
    .execute();
  await db
    .updateTable('principals')
    .set((column) => ({ deleted_at: now, updated_at: now, revision: column('revision', '+', 1) }))
    .where('scope_id', '=', scopeId)
    .where('deleted_at', 'is', null)
    .execute();
}

/** @throws StrongroomError `revision_mismatch` */
export function requireRevision(scope: Pick<DomainRecord, 'revision'>, expected: number | undefined): void {
  if (expected !== undefined && scope.revision !== expected) throw new StrongroomError('revision_mismatch');
}

function domainEvent(actor: Actor, scope: Tables['scopes'], because: readonly string[]) {
  return {
    ...actor,
    action: 'domain.manage',
    outcome: 'allowed',
    scope: { id: scope.id, name: scope.name },
    object: { type: 'domain', id: scope.id, name: scope.name },
    because,
  } as const;
}

export const domainCommands = {
  'domains.create': createDomain,
  'domains.update': updateDomain,
  'domains.delete': deleteDomain,
};
