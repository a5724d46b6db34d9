import { type PlatformRole, StrongroomError } from '@strongroom/contract';
import type { CommandContext } from '../store/store.ts';
import { type Actor, identityEvent } from './actor.ts';
import {
  canonicalRoles,
  endSessions,
  insertPrincipal,
  isAdmin,
  keepingAnAdmin,
  parseRoles,
  type PrincipalRecord,
  principalRecord,
  removePrincipal,
  requirePrincipal,
  requireRevision,
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
  const row = await requirePrincipal(context, args.kind, args.id, args.scope?.id);
  requireRevision(row, args.expectedRevision);
  const roles = JSON.stringify(args.roles === undefined ? parseRoles(row.roles) : canonicalRoles(args.roles));
  const next = {
    display_name: args.displayName ?? row.display_name,
    email: args.email === undefined ? row.email : args.email,
    roles,
    disabled_at:
      args.isDisabled === undefined ? row.disabled_at : args.isDisabled ? (row.disabled_at ?? context.now) : null,
  };
  if (row.scope_id !== null && roles !== '[]') throw rolesInDomain();
  const names = ['display_name', 'email', 'roles', 'disabled_at'] as const;
  const changed = names.filter((name) => next[name] !== row[name]);
  if (changed.length === 0) return principalRecord(row);

  const update = async (): Promise<void> => {
    await context.db
      .updateTable('principals')
      .set({ ...next, revision: row.revision + 1, updated_at: context.now })
      .where('id', '=', row.id)
      .execute();
  };
  const changesRoles = changed.includes('roles');
  const disables = changed.includes('disabled_at') && next.disabled_at !== null;
  if ((changesRoles || disables) && (await isAdmin(context, row))) {
    await keepingAnAdmin(context, update);
  } else {
    if (changesRoles || changed.includes('disabled_at')) await context.bumpAuthorisation();
    await update();
  }
  if (changesRoles || disables)
    await (row.kind === 'group' ? endMemberSessions(context, row.id) : endSessions(context, row.id));
  if (disables) await voidLinks(context, row.id);

  const because = changed.map((name) =>
    name === 'disabled_at' ? (disables ? 'disable' : 'enable') : name.replace('_', '-'),
  );
  if (changesRoles) because.push(...parseRoles(roles).map((role) => `role:${role}`));
  context.audit(identityEvent(args.actor, { type: row.kind, id: row.id, name: row.name }, because, args.scope));
  return principalRecord(await requirePrincipal(context, args.kind, args.id));
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
  const row = await requirePrincipal(context, args.kind, args.id, args.scope?.id);
  requireRevision(row, args.expectedRevision);
  const remove = async (): Promise<void> => {
    if (row.kind === 'group') await endMemberSessions(context, row.id);
    await removePrincipal(context, row.id);
  };
  if (await isAdmin(context, row)) {
    await keepingAnAdmin(context, remove);
  } else {
    await context.bumpAuthorisation();
    await remove();
  }
  context.audit(identityEvent(args.actor, { type: row.kind, id: row.id, name: row.name }, ['delete'], args.scope));
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
    await context.db
      .updateTable('principals')
      .set({ password_hash: null, revision: row.revision + 1, updated_at: context.now })
      .where('id', '=', row.id)
      .execute();
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
