import { StrongroomError, type DomainPermission, type Preset } from '@strongroom/contract/core';
import type { CommandContext } from '../store/store.ts';
import {
  accessEvent,
  principalObject,
  requireDomain,
  requireLive,
  type Added,
  type DomainChange,
} from './command-parts.ts';
import { requireRoom } from './limits.ts';
import type { NamedPrincipal } from './principal-names.ts';

export interface MemberRecord extends Added {
  readonly principal: NamedPrincipal;
  readonly preset: Preset;
  readonly managedBy: string | null;
}

export interface PutMemberArgs extends DomainChange {
  readonly principal: NamedPrincipal;
  readonly preset: Preset;
  /** `add` refuses when the principal is a member already. */
  readonly mode: 'add' | 'set';
  /** Of a new member; that of one that is there stays. */
  readonly managedBy?: string;
  /** Members of the domain. */
  readonly max: number;
}

/** @throws StrongroomError `not_found`, `already_exists`, `limit_exceeded` */
async function putMember(context: CommandContext, args: PutMemberArgs): Promise<MemberRecord> {
  await requireDomain(context, args.scope.id);
  await requireLive(context, args.principal);
  const existing = await context.db
    .selectFrom('members')
    .select(['preset', 'managed_by'])
    .where('scope_id', '=', args.scope.id)
    .where('principal_id', '=', args.principal.id)
    .executeTakeFirst();
  if (existing !== undefined && args.mode === 'add') {
    throw alreadyMember(args.principal, existing.preset);
  }
  if (existing === undefined) await requireRoom(context, 'members', args.scope.id, args.max);
  const row = {
    scope_id: args.scope.id,
    principal_id: args.principal.id,
    preset: args.preset,
    created_at: context.now,
    created_by: args.actor.principal,
    managed_by: existing === undefined ? (args.managedBy ?? null) : existing.managed_by,
  };
  await context.db
    .insertInto('members')
    .values(row)
    .onConflict((conflict) => conflict.columns(['scope_id', 'principal_id']).doUpdateSet(row))
    .execute();
  await context.bumpAuthorisation();
  const because = [
    'put-member',
    `preset:${args.preset}`,
    ...(existing === undefined ? [] : [`was:${existing.preset}`]),
  ];
  context.audit(accessEvent(args, principalObject(args.principal), because));
  return {
    principal: args.principal,
    preset: args.preset,
    managedBy: row.managed_by,
    createdAt: context.now,
    createdBy: args.actor.principalName,
  };
}

/** @throws StrongroomError `not_found` */
async function deleteMember(
  context: CommandContext,
  args: DomainChange & { readonly principal: NamedPrincipal },
): Promise<void> {
  await requireDomain(context, args.scope.id);
  const removed = await context.db
    .deleteFrom('members')
    .where('scope_id', '=', args.scope.id)
    .where('principal_id', '=', args.principal.id)
    .returning('preset')
    .executeTakeFirst();
  if (removed === undefined) throw new StrongroomError('not_found');
  await context.bumpAuthorisation();
  context.audit(accessEvent(args, principalObject(args.principal), ['delete-member', `was:${removed.preset}`]));
}

export interface GrantRecord extends Added {
  readonly id: string;
  readonly principal: NamedPrincipal;
  readonly permission: DomainPermission;
  readonly managedBy: string | null;
}

export interface AddGrantArgs extends DomainChange {
  readonly id: string;
  readonly principal: NamedPrincipal;
  readonly permission: DomainPermission;
  /** Needed for RESOLVE to people: a user, or a group, which may have some. */
  readonly isAcknowledged: boolean;
  readonly managedBy?: string;
  /** Grants of the domain. */
  readonly max: number;
}

export function alreadyMember({ label }: NamedPrincipal, preset: Preset): StrongroomError {
  return new StrongroomError('already_exists', { detail: `${label} is ${preset} here already.` });
}

export function alreadyGranted({ label }: NamedPrincipal, permission: DomainPermission): StrongroomError {
  return new StrongroomError('already_exists', { detail: `${label} has ${permission} here already.` });
}

/** @returns whether it is to people. @throws StrongroomError `validation_failed` for RESOLVE to people without acknowledgement */
export function requireAcknowledged(
  permission: DomainPermission,
  { kind }: NamedPrincipal,
  isAcknowledged: boolean,
): boolean {
  const toPeople = letsPeopleReceiveValues(permission, kind);
  if (!toPeople || isAcknowledged) return toPeople;
  throw new StrongroomError('validation_failed', {
    errors: [
      {
        pointer: '/acknowledge',
        message: 'RESOLVE lets people receive values. Send acknowledge: true if that is meant.',
      },
    ],
  });
}

/**
 * @throws StrongroomError `not_found`, `already_exists`, `limit_exceeded`, `validation_failed` for RESOLVE to people without
 * acknowledgement
 */
async function addGrant(context: CommandContext, args: AddGrantArgs): Promise<GrantRecord> {
  await requireDomain(context, args.scope.id);
  await requireLive(context, args.principal);
  const toPeople = requireAcknowledged(args.permission, args.principal, args.isAcknowledged);
  await requireRoom(context, 'grants', args.scope.id, args.max);
  const inserted = await context.db
    .insertInto('grants')
    .values({
      id: args.id,
      scope_id: args.scope.id,
      principal_id: args.principal.id,
      permission: args.permission,
      created_at: context.now,
      created_by: args.actor.principal,
      managed_by: args.managedBy ?? null,
    })
    .onConflict((conflict) => conflict.columns(['scope_id', 'principal_id', 'permission']).doNothing())
    .executeTakeFirst();
  if (Number(inserted.numInsertedOrUpdatedRows ?? 0) !== 1) {
    throw alreadyGranted(args.principal, args.permission);
  }
  await context.bumpAuthorisation();
  const because = ['add-grant', `permission:${args.permission}`, ...(toPeople ? ['acknowledged'] : [])];
  context.audit(
    accessEvent(args, principalObject(args.principal), because, toPeople ? { receivesValues: true } : undefined),
  );
  return {
    id: args.id,
    principal: args.principal,
    permission: args.permission,
    managedBy: args.managedBy ?? null,
    createdAt: context.now,
    createdBy: args.actor.principalName,
  };
}

/** A group counts as people: some may join it later. */
export function letsPeopleReceiveValues(permission: DomainPermission, kind: NamedPrincipal['kind']): boolean {
  return permission === 'RESOLVE' && kind !== 'service-account';
}

/** @throws StrongroomError `not_found` */
async function deleteGrant(context: CommandContext, args: DomainChange & { readonly id: string }): Promise<void> {
  await requireDomain(context, args.scope.id);
  const removed = await context.db
    .deleteFrom('grants')
    .where('id', '=', args.id)
    .where('scope_id', '=', args.scope.id)
    .returning(['principal_id', 'permission'])
    .executeTakeFirst();
  if (removed === undefined) throw new StrongroomError('not_found');
  await context.bumpAuthorisation();
  const object = { type: 'grant', id: args.id, name: removed.principal_id };
  context.audit(accessEvent(args, object, ['delete-grant', `permission:${removed.permission}`]));
}

export const memberCommands = {
  'access.putMember': putMember,
  'access.deleteMember': deleteMember,
  'access.addGrant': addGrant,
  'access.deleteGrant': deleteGrant,
};
