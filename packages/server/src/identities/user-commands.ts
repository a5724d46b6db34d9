import { type PlatformRole, StrongroomError } from '@strongroom/contract/core';
import type { CommandContext } from '../store/store.ts';
import { type Actor, identityEvent } from './actor.ts';
import { removeWorkloadsOf } from '../workloads/commands.ts';
import {
  canonicalRoles,
  endSessions,
  insertPrincipal,
  isAdmin,
  requireAnAdmin,
  parseRoles,
  type PrincipalRecord,
  principalRecord,
  removePrincipal,
  requirePrincipal,
  requireRevision,
  updatePrincipal,
  voidLinks,
} from './principals.ts';

/** A one-time link about to be stored. */
export interface NewLink {
  readonly id: string;
  readonly hmac: Uint8Array;
  readonly termId: string;
  readonly expiresAt: number;
}

export interface CreateUserArgs {
  readonly actor: Actor;
  readonly id: string;
  /** Folded. */
  readonly name: string;
  readonly displayName: string;
  readonly email: string | null;
  readonly roles: readonly PlatformRole[];
  readonly passwordHash: string | null;
  readonly link: NewLink | null;
}

/** @throws StrongroomError `already_exists` */
async function createUser(context: CommandContext, args: CreateUserArgs): Promise<PrincipalRecord> {
  const { actor, link, ...user } = args;
  await insertPrincipal(context, { ...user, kind: 'user', createdBy: actor.principal });
  if (link !== null) await insertLink(context, args.id, link);
  const because = ['create', ...args.roles.map((role) => `role:${role}`), ...(link === null ? [] : ['sign-in-link'])];
  context.audit(identityEvent(actor, { type: 'user', id: args.id, name: args.name }, because));
  return principalRecord(await requirePrincipal(context, 'user', args.id));
}

export interface ChangePrincipalArgs {
  readonly actor: Actor;
  readonly kind: 'user' | 'group' | 'service-account';
  readonly id: string;
  /** For a service account managed through a domain: it must belong to this one. */
  readonly scope?: { readonly id: string; readonly name: string };
  readonly expectedRevision?: number;
  readonly displayName?: string;
  readonly email?: string | null;
  readonly roles?: readonly PlatformRole[];
  readonly isDisabled?: boolean;
}

/**
 * One command for users, groups and service accounts, so that the rule of the last administrator has one place.
 * Sessions end when roles change (a group's: those of its members) and when a user is disabled.
 * @throws StrongroomError `not_found`, `revision_mismatch`, `last_admin`, `state_conflict`
 */
async function changePrincipal(context: CommandContext, args: ChangePrincipalArgs): Promise<PrincipalRecord> {
  if (args.roles !== undefined || args.isDisabled !== undefined) await context.bumpAuthorisation();
  const row = await requirePrincipal(context, args.kind, args.id, args.scope?.id);
  requireRevision(row, args.expectedRevision);
  const roles = args.roles === undefined ? row.roles : JSON.stringify(canonicalRoles(args.roles));
  if (row.scope_id !== null && roles !== '[]') throw rolesInDomain();
  const next = {
    display_name: args.displayName ?? row.display_name,
    email: args.email === undefined ? row.email : args.email,
    roles,
    disabled_at: disabledAt(row.disabled_at, args.isDisabled, context.now),
  };
  const names = ['display_name', 'email', 'roles', 'disabled_at'] as const;
  const changed = names.filter((name) => next[name] !== row[name]);
  if (changed.length === 0) return principalRecord(row);

  const wasAdmin = await isAdmin(context, row);
  await updatePrincipal(context, row, next);
  const changesRoles = changed.includes('roles');
  const disables = changed.includes('disabled_at') && next.disabled_at !== null;
  if (wasAdmin && (changesRoles || disables)) await requireAnAdmin(context);
  if (changesRoles || disables) {
    await (row.kind === 'group' ? endMemberSessions(context, row.id) : endSessions(context, row.id));
  }
  if (disables) await voidLinks(context, row.id);

  const because: string[] = changed.map((name) => (name === 'disabled_at' ? (disables ? 'disable' : 'enable') : name));
  if (changesRoles) because.push(...parseRoles(roles).map((role) => `role:${role}`));
  context.audit(identityEvent(args.actor, { type: row.kind, id: row.id, name: row.name }, because, domainOf(row)));
  return principalRecord(await requirePrincipal(context, args.kind, args.id));
}

/** For the record of a change to a domain's service account, whoever made it. */
function domainOf(row: { readonly scope_id: string | null; readonly domain: string | null }) {
  return row.scope_id === null ? undefined : { id: row.scope_id, name: row.domain ?? '' };
}

function disabledAt(stored: number | null, isDisabled: boolean | undefined, now: number): number | null {
  if (isDisabled === undefined) return stored;
  return isDisabled ? (stored ?? now) : null;
}

export function rolesInDomain(): StrongroomError {
  return new StrongroomError('state_conflict', {
    detail: 'A service account of a domain has no platform roles: those who manage access there could use them.',
    hint: 'Create a service account of the platform for platform roles.',
  });
}

async function endMemberSessions(context: CommandContext, groupId: string): Promise<void> {
  await context.db
    .updateTable('sessions')
    .set({ revoked_at: context.now })
    .where('revoked_at', 'is', null)
    .where('principal_id', 'in', (db) =>
      db.selectFrom('group_members').select('principal_id').where('group_id', '=', groupId),
    )
    .execute();
}

export interface DeletePrincipalArgs {
  readonly actor: Actor;
  readonly kind: 'user' | 'group' | 'service-account';
  readonly id: string;
  readonly scope?: { readonly id: string; readonly name: string };
  readonly expectedRevision?: number;
}

/** @throws StrongroomError `not_found`, `revision_mismatch`, `last_admin` */
async function deletePrincipal(context: CommandContext, args: DeletePrincipalArgs): Promise<void> {
  await context.bumpAuthorisation();
  const row = await requirePrincipal(context, args.kind, args.id, args.scope?.id);
  requireRevision(row, args.expectedRevision);
  const wasAdmin = await isAdmin(context, row);
  if (row.kind === 'group') await endMemberSessions(context, row.id);
  await removePrincipal(context, row.id);
  await removeWorkloadsOf(context, row.id);
  if (wasAdmin) await requireAnAdmin(context);
  context.audit(identityEvent(args.actor, { type: row.kind, id: row.id, name: row.name }, ['delete'], domainOf(row)));
}

export interface CreateLinkArgs {
  readonly actor: Actor;
  readonly userId: string;
  readonly link: NewLink;
  /** Also forgets the password and ends all sessions. */
  readonly resetPassword: boolean;
}

/** @throws StrongroomError `not_found`; `state_conflict` for a disabled user */
async function createSignInLink(context: CommandContext, args: CreateLinkArgs): Promise<void> {
  const row = await requirePrincipal(context, 'user', args.userId);
  if (row.disabled_at !== null) throw new StrongroomError('state_conflict', { detail: 'The user is disabled.' });
  if (args.resetPassword) {
    await updatePrincipal(context, row, { password_hash: null });
    await endSessions(context, row.id);
    await voidLinks(context, row.id);
  }
  await insertLink(context, row.id, args.link);
  const because = args.resetPassword ? ['sign-in-link', 'reset-password'] : ['sign-in-link'];
  context.audit(identityEvent(args.actor, { type: 'user', id: row.id, name: row.name }, because));
}

export async function insertLink(context: CommandContext, principalId: string, link: NewLink): Promise<void> {
  await context.db
    .insertInto('sign_in_links')
    .values({
      id: link.id,
      principal_id: principalId,
      hmac: link.hmac,
      term_id: link.termId,
      created_at: context.now,
      expires_at: link.expiresAt,
      used_at: null,
    })
    .execute();
}

/** @throws StrongroomError `not_found` */
async function revokeUserSessions(
  context: CommandContext,
  args: { readonly actor: Actor; readonly userId: string },
): Promise<void> {
  const row = await requirePrincipal(context, 'user', args.userId);
  await endSessions(context, row.id);
  await voidLinks(context, row.id);
  context.audit({
    ...args.actor,
    action: 'session.revoke',
    outcome: 'allowed',
    object: { type: 'user', id: row.id, name: row.name },
    because: ['all'],
  });
}

export const userCommands = {
  'identities.createUser': createUser,
  'identities.changePrincipal': changePrincipal,
  'identities.deletePrincipal': deletePrincipal,
  'identities.createSignInLink': createSignInLink,
  'identities.revokeUserSessions': revokeUserSessions,
};
