import { type PlatformRole, StrongroomError } from '@strongroom/contract/core';
import type { CommandContext } from '../store/store.ts';
import { type Actor, identityEvent } from './actor.ts';
import {
  endSessions,
  insertPrincipal,
  requireAnAdmin,
  parseRoles,
  type PrincipalRecord,
  principalRecord,
  requirePrincipal,
} from './principals.ts';

/** Principals in one group. */
const maxMembers = 10_000;

export interface CreateGroupArgs {
  readonly actor: Actor;
  readonly id: string;
  readonly name: string;
  readonly displayName: string;
  readonly roles: readonly PlatformRole[];
}

/** @throws StrongroomError `already_exists` */
async function createGroup(context: CommandContext, args: CreateGroupArgs): Promise<PrincipalRecord> {
  const { actor, ...group } = args;
  await insertPrincipal(context, { ...group, kind: 'group', createdBy: actor.principal });
  const because = ['create', ...args.roles.map((role) => `role:${role}`)];
  context.audit(identityEvent(actor, { type: 'group', id: args.id, name: args.name }, because));
  return principalRecord(await requirePrincipal(context, 'group', args.id));
}

export interface MembershipArgs {
  readonly actor: Actor;
  readonly groupId: string;
  readonly principalId: string;
}

/**
 * Adding somebody who is a member already changes nothing. Whoever gains roles by it signs in anew.
 * @throws StrongroomError `not_found`; `state_conflict` for a service account of a domain; `limit_exceeded`
 */
async function addGroupMember(context: CommandContext, args: MembershipArgs): Promise<void> {
  await context.bumpAuthorisation();
  const group = await requirePrincipal(context, 'group', args.groupId);
  const member = await requireMember(context, args.principalId);
  if (member.scope_id !== null) {
    throw new StrongroomError('state_conflict', {
      detail:
        'A service account of a domain joins no group: those who manage access there would get what the group may do elsewhere.',
      hint: 'Create a service account of the platform and add that.',
    });
  }
  if (await isMember(context, args)) return;
  const { count } = await context.db
    .selectFrom('group_members')
    .select((column) => column.fn.countAll<number>().as('count'))
    .where('group_id', '=', group.id)
    .executeTakeFirstOrThrow();
  if (count >= maxMembers) {
    throw new StrongroomError('limit_exceeded', { detail: `A group has at most ${maxMembers} members.` });
  }
  await context.db
    .insertInto('group_members')
    .values({
      group_id: group.id,
      principal_id: member.id,
      added_at: context.now,
      added_by: args.actor.principal,
    })
    .execute();
  if (parseRoles(group.roles).length > 0) await endSessions(context, member.id);
  const because = ['add-member', `${member.kind}:${member.name}`];
  context.audit(identityEvent(args.actor, { type: 'group', id: group.id, name: group.name }, because));
}

/** @throws StrongroomError `not_found`, `last_admin` */
async function removeGroupMember(context: CommandContext, args: MembershipArgs): Promise<void> {
  await context.bumpAuthorisation();
  const group = await requirePrincipal(context, 'group', args.groupId);
  const member = await requireMember(context, args.principalId);
  const removed = await context.db
    .deleteFrom('group_members')
    .where('group_id', '=', group.id)
    .where('principal_id', '=', member.id)
    .returning('group_id')
    .executeTakeFirst();
  if (removed === undefined) throw new StrongroomError('not_found');
  const roles = parseRoles(group.roles);
  if (roles.includes('PLATFORM_ADMIN')) await requireAnAdmin(context);
  if (roles.length > 0) await endSessions(context, member.id);
  const because = ['remove-member', `${member.kind}:${member.name}`];
  context.audit(identityEvent(args.actor, { type: 'group', id: group.id, name: group.name }, because));
}

async function requireMember(context: CommandContext, id: string) {
  const row = await context.db
    .selectFrom('principals')
    .select(['id', 'kind', 'name', 'scope_id'])
    .where('id', '=', id)
    .where('kind', 'in', ['user', 'service-account'])
    .where('deleted_at', 'is', null)
    .executeTakeFirst();
  if (row === undefined) throw new StrongroomError('not_found');
  return row;
}

async function isMember(context: CommandContext, args: MembershipArgs): Promise<boolean> {
  const row = await context.db
    .selectFrom('group_members')
    .select('group_id')
    .where('group_id', '=', args.groupId)
    .where('principal_id', '=', args.principalId)
    .executeTakeFirst();
  return row !== undefined;
}

export const groupCommands = {
  'identities.createGroup': createGroup,
  'identities.addGroupMember': addGroupMember,
  'identities.removeGroupMember': removeGroupMember,
};
