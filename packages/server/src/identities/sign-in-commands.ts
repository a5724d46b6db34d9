import { StrongroomError } from '@strongroom/contract/core';
import type { SessionTransport } from '@strongroom/contract';
import type { CommandContext } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';
import { type Actor, principalLabel } from './actor.ts';
import { endSessions, updatePrincipal, voidLinks } from './principals.ts';
import { settleAttempt, type SucceededAttempt } from './throttle.ts';

/** Live sessions of one principal; the oldest ends when another begins. */
const maxLiveSessions = 50;

/** Where a sign-in comes from; who it is turns out in the command. */
export interface SignInOrigin {
  readonly requestId: string;
  readonly network: string;
}

export interface NewSession {
  readonly id: string;
  readonly hmac: Uint8Array;
  readonly tabHmac: Uint8Array;
  readonly termId: string;
  readonly transport: SessionTransport;
  readonly expiresAt: number;
}

/** Who has signed in. */
export interface SignedInPrincipal {
  readonly id: string;
  readonly name: string;
  readonly displayName: string;
}

export interface PasswordSignInArgs {
  readonly origin: SignInOrigin;
  readonly principalId: string;
  /** The hash that was verified: signing in fails when it was replaced meanwhile. */
  readonly verifiedHash: string;
  /** A hash with today's parameters, when the stored one has others. */
  readonly rehash: string | null;
  readonly session: NewSession;
  readonly attempt: SucceededAttempt;
}

/** @throws StrongroomError `credentials_invalid` when the user was changed since the password was verified */
async function signInWithPassword(context: CommandContext, args: PasswordSignInArgs): Promise<SignedInPrincipal> {
  const user = await findSignInUser(context, args.principalId);
  if (user === undefined || user.password_hash !== args.verifiedHash) throw new StrongroomError('credentials_invalid');
  if (args.rehash !== null) {
    await context.db.updateTable('principals').set({ password_hash: args.rehash }).where('id', '=', user.id).execute();
  }
  await settleAttempt(context, args.attempt);
  return openSession(context, user, args.session, args.origin, 'password');
}

export type DirectorySignInArgs = Omit<PasswordSignInArgs, 'verifiedHash' | 'rehash'>;

/** @throws StrongroomError `credentials_invalid` when the user was disabled, or is no longer the directory's */
async function signInWithDirectory(context: CommandContext, args: DirectorySignInArgs): Promise<SignedInPrincipal> {
  const user = await findSignInUser(context, args.principalId);
  if (user === undefined || user.directory_id === null) throw new StrongroomError('credentials_invalid');
  await settleAttempt(context, args.attempt);
  return openSession(context, user, args.session, args.origin, 'directory');
}

export interface LinkSignInArgs {
  readonly origin: SignInOrigin;
  readonly linkId: string;
  readonly session: NewSession;
}

/**
 * Uses the link up and opens the session, in one.
 * @throws StrongroomError `credentials_invalid`: used, expired, or its user is gone or disabled
 */
async function signInWithLink(context: CommandContext, args: LinkSignInArgs): Promise<SignedInPrincipal> {
  const used = await context.db
    .updateTable('sign_in_links')
    .set({ used_at: context.now })
    .where('id', '=', args.linkId)
    .where('used_at', 'is', null)
    .where('expires_at', '>', context.now)
    .returning('principal_id')
    .executeTakeFirst();
  const user = used === undefined ? undefined : await findSignInUser(context, used.principal_id);
  if (user === undefined) throw new StrongroomError('credentials_invalid');
  return openSession(context, user, args.session, args.origin, 'link');
}

async function findSignInUser(context: CommandContext, id: string): Promise<Tables['principals'] | undefined> {
  return context.db
    .selectFrom('principals')
    .selectAll()
    .where('id', '=', id)
    .where('kind', '=', 'user')
    .where('deleted_at', 'is', null)
    .where('disabled_at', 'is', null)
    .executeTakeFirst();
}

async function openSession(
  context: CommandContext,
  user: Tables['principals'],
  session: NewSession,
  origin: SignInOrigin,
  method: 'password' | 'directory' | 'link' | 'password-change',
): Promise<SignedInPrincipal> {
  await endOldestSessions(context, user.id);
  await context.db
    .insertInto('sessions')
    .values({
      id: session.id,
      principal_id: user.id,
      hmac: session.hmac,
      tab_hmac: session.tabHmac,
      term_id: session.termId,
      transport: session.transport,
      created_at: context.now,
      last_seen_at: context.now,
      expires_at: session.expiresAt,
      revoked_at: null,
    })
    .execute();
  const name = principalLabel({ kind: 'user', name: user.name, domain: null });
  context.audit({
    ...origin,
    principal: user.id,
    principalName: name,
    action: 'sign-in',
    outcome: 'allowed',
    object: { type: 'session', id: session.id, name },
    detail: { method, transport: session.transport },
  });
  return { id: user.id, name: user.name, displayName: user.display_name };
}

async function endOldestSessions(context: CommandContext, principalId: string): Promise<void> {
  const live = await context.db
    .selectFrom('sessions')
    .select('id')
    .where('principal_id', '=', principalId)
    .where('revoked_at', 'is', null)
    .where('expires_at', '>', context.now)
    .orderBy('id', 'desc')
    .execute();
  const surplus = live.slice(maxLiveSessions - 1).map((row) => row.id);
  if (surplus.length === 0) return;
  await context.db.updateTable('sessions').set({ revoked_at: context.now }).where('id', 'in', surplus).execute();
}

export interface DenySignInArgs {
  readonly origin: SignInOrigin;
  readonly user: { readonly id: string; readonly name: string };
}

/** A refused sign-in to an account that exists. It is a record of its own: the throttle bounds how many there can be. */
async function denySignIn(context: CommandContext, args: DenySignInArgs): Promise<void> {
  context.audit({
    ...args.origin,
    principal: 'anonymous',
    principalName: 'anonymous',
    action: 'sign-in',
    outcome: 'denied',
    object: { type: 'user', id: args.user.id, name: args.user.name },
    because: ['credentials'],
  });
}

export interface SetPasswordArgs {
  readonly actor: Actor;
  readonly origin: SignInOrigin;
  readonly userId: string;
  /** The hash that was verified, null when there was none. */
  readonly verifiedHash: string | null;
  readonly passwordHash: string;
  readonly session: NewSession;
  readonly attempt: SucceededAttempt | null;
}

/**
 * Sets a user's own password: all sessions and open links end, and one new session begins in the same transaction.
 * @throws StrongroomError `credentials_invalid` when the password was changed meanwhile; `version_conflict`
 */
async function setPassword(context: CommandContext, args: SetPasswordArgs): Promise<SignedInPrincipal> {
  const user = await findSignInUser(context, args.userId);
  if (user === undefined || user.password_hash !== args.verifiedHash) throw new StrongroomError('credentials_invalid');
  await updatePrincipal(context, user, { password_hash: args.passwordHash });
  await endSessions(context, user.id);
  await voidLinks(context, user.id);
  if (args.attempt !== null) await settleAttempt(context, args.attempt);
  context.audit({
    ...args.actor,
    action: 'identity.manage',
    outcome: 'allowed',
    object: { type: 'user', id: user.id, name: user.name },
    because: ['own-password'],
  });
  return openSession(context, user, args.session, args.origin, 'password-change');
}

export interface EndSessionArgs {
  readonly actor: Actor;
  readonly principalId: string;
  readonly sessionId: string;
  /** `sign-out`: the session of the call itself. */
  readonly verb: 'sign-out' | 'session.revoke';
}

/** @throws StrongroomError `not_found` unless it is a live session of this principal */
async function endSession(context: CommandContext, args: EndSessionArgs): Promise<void> {
  const ended = await context.db
    .updateTable('sessions')
    .set({ revoked_at: context.now })
    .where('id', '=', args.sessionId)
    .where('principal_id', '=', args.principalId)
    .where('revoked_at', 'is', null)
    .returning('id')
    .executeTakeFirst();
  if (ended === undefined) throw new StrongroomError('not_found');
  context.audit({
    ...args.actor,
    action: args.verb,
    outcome: 'allowed',
    object: { type: 'session', id: args.sessionId, name: args.actor.principalName },
  });
}

export const signInCommands = {
  'identities.signInWithPassword': signInWithPassword,
  'identities.signInWithDirectory': signInWithDirectory,
  'identities.signInWithLink': signInWithLink,
  'identities.denySignIn': denySignIn,
  'identities.setPassword': setPassword,
  'identities.endSession': endSession,
};
