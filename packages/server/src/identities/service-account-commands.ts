import { type PlatformRole, StrongroomError } from '@strongroom/contract/core';
import type { CommandContext } from '../store/store.ts';
import { type Actor, identityEvent } from './actor.ts';
import { insertPrincipal, type PrincipalRecord, principalRecord, requirePrincipal } from './principals.ts';
import { rolesInDomain } from './user-commands.ts';

/** Usable tokens of one service account at a time. */
export const maxLiveTokens = 50;

export interface CreateServiceAccountArgs {
  readonly actor: Actor;
  readonly id: string;
  readonly name: string;
  readonly displayName: string;
  readonly roles: readonly PlatformRole[];
  /** The domain it shall belong to, by name (platform routes) or as the scope of the path. */
  readonly domain?: string;
  readonly scope?: { readonly id: string; readonly name: string };
}

/** @throws StrongroomError `already_exists`; `not_found` for the domain; `state_conflict` for roles in a domain */
async function createServiceAccount(context: CommandContext, args: CreateServiceAccountArgs): Promise<PrincipalRecord> {
  const scope = await findDomain(context, args);
  if (scope !== null && args.roles.length > 0) throw rolesInDomain();
  await insertPrincipal(context, {
    id: args.id,
    kind: 'service-account',
    name: args.name,
    displayName: args.displayName,
    roles: args.roles,
    scopeId: scope?.id ?? null,
    createdBy: args.actor.principal,
  });
  const object = { type: 'service-account', id: args.id, name: args.name };
  const because = ['create', ...args.roles.map((role) => `role:${role}`)];
  context.audit(identityEvent(args.actor, object, because, scope ?? undefined));
  return principalRecord(await requirePrincipal(context, 'service-account', args.id));
}

/** Read in the command: the domain may have been deleted since the route was decided. */
async function findDomain(
  context: CommandContext,
  args: CreateServiceAccountArgs,
): Promise<{ readonly id: string; readonly name: string } | null> {
  if (args.scope === undefined && args.domain === undefined) return null;
  let query = context.db
    .selectFrom('scopes')
    .select(['id', 'name'])
    .where('kind', '=', 'domain')
    .where('deleted_at', 'is', null);
  if (args.scope !== undefined) query = query.where('id', '=', args.scope.id);
  if (args.domain !== undefined) query = query.where('name', '=', args.domain);
  const scope = await query.executeTakeFirst();
  if (scope === undefined) throw new StrongroomError('not_found');
  return scope;
}

export interface NewTokenRow {
  readonly id: string;
  readonly hmac: Uint8Array;
  readonly termId: string;
  readonly lastFour: string;
  readonly description: string;
  /** Milliseconds, or null: never. */
  readonly expiresAt: number | null;
}

/** A token as lists show it. */
export interface TokenRecord {
  readonly id: string;
  readonly lastFour: string;
  readonly description: string;
  readonly createdAt: number;
  readonly expiresAt: number | null;
  readonly lastUsedAt: number | null;
  readonly revokedAt: number | null;
}

export interface IssueTokenArgs {
  readonly actor: Actor;
  readonly serviceAccountId: string;
  readonly scope?: { readonly id: string; readonly name: string };
  readonly token: NewTokenRow;
}

/** @throws StrongroomError `not_found`; `state_conflict` for a disabled account; `limit_exceeded` */
async function issueToken(context: CommandContext, args: IssueTokenArgs): Promise<TokenRecord> {
  const account = await requirePrincipal(context, 'service-account', args.serviceAccountId, args.scope?.id);
  if (account.disabled_at !== null) {
    throw new StrongroomError('state_conflict', { detail: 'The service account is disabled.' });
  }
  const { count } = await context.db
    .selectFrom('tokens')
    .select((column) => column.fn.countAll<number>().as('count'))
    .where('principal_id', '=', account.id)
    .where('revoked_at', 'is', null)
    .where((where) => where.or([where('expires_at', 'is', null), where('expires_at', '>', context.now)]))
    .executeTakeFirstOrThrow();
  if (count >= maxLiveTokens) {
    throw new StrongroomError('limit_exceeded', {
      detail: `A service account has at most ${maxLiveTokens} usable tokens.`,
      hint: 'Revoke tokens that are not used any more.',
    });
  }
  await insertToken(context, account.id, args.token, args.actor.principal);
  context.audit({
    ...args.actor,
    action: 'token.issue',
    outcome: 'allowed',
    object: { type: 'service-account', id: account.id, name: account.name },
    ...(account.scope_id === null ? {} : { scope: { id: account.scope_id, name: account.domain ?? '' } }),
    detail: { token: args.token.id, expires: expiryText(args.token.expiresAt) },
  });
  return {
    id: args.token.id,
    lastFour: args.token.lastFour,
    description: args.token.description,
    createdAt: context.now,
    expiresAt: args.token.expiresAt,
    lastUsedAt: null,
    revokedAt: null,
  };
}

export function expiryText(expiresAt: number | null): string {
  return expiresAt === null ? 'never' : new Date(expiresAt).toISOString();
}

export async function insertToken(
  context: CommandContext,
  principalId: string,
  token: NewTokenRow,
  createdBy: string,
): Promise<void> {
  await context.db
    .insertInto('tokens')
    .values({
      id: token.id,
      principal_id: principalId,
      hmac: token.hmac,
      term_id: token.termId,
      last_four: token.lastFour,
      description: token.description,
      expires_at: token.expiresAt,
      revoked_at: null,
      last_used_at: null,
      created_at: context.now,
      created_by: createdBy,
    })
    .execute();
}

export interface RevokeTokenArgs {
  readonly actor: Actor;
  readonly serviceAccountId: string;
  readonly scope?: { readonly id: string; readonly name: string };
  readonly tokenId: string;
}

/** Revoking twice is fine. @throws StrongroomError `not_found` */
async function revokeToken(context: CommandContext, args: RevokeTokenArgs): Promise<void> {
  const account = await requirePrincipal(context, 'service-account', args.serviceAccountId, args.scope?.id);
  const token = await context.db
    .selectFrom('tokens')
    .select(['id', 'revoked_at'])
    .where('id', '=', args.tokenId)
    .where('principal_id', '=', account.id)
    .executeTakeFirst();
  if (token === undefined) throw new StrongroomError('not_found');
  if (token.revoked_at !== null) return;
  await context.db.updateTable('tokens').set({ revoked_at: context.now }).where('id', '=', token.id).execute();
  // What processes know of tokens holds while the revision stands.
  await context.bumpAuthorisation();
  context.audit({
    ...args.actor,
    action: 'token.revoke',
    outcome: 'allowed',
    object: { type: 'service-account', id: account.id, name: account.name },
    ...(account.scope_id === null ? {} : { scope: { id: account.scope_id, name: account.domain ?? '' } }),
    detail: { token: token.id },
  });
}

export const serviceAccountCommands = {
  'identities.createServiceAccount': createServiceAccount,
  'identities.issueToken': issueToken,
  'identities.revokeToken': revokeToken,
};
