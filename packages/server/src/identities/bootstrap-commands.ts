import { StrongroomError } from '@strongroom/contract/core';
import type { CommandContext } from '../store/store.ts';
import { identityEvent, operatorActor, systemActor } from './actor.ts';
import { insertPrincipal } from './principals.ts';
import { expiryText, insertToken, type NewTokenRow } from './service-account-commands.ts';
import { insertLink, type NewLink } from './user-commands.ts';

export interface BootstrapArgs {
  /** Either the first user, or the service account `bootstrap` with its token. */
  readonly first:
    | { readonly kind: 'user'; readonly id: string; readonly name: string }
    | { readonly kind: 'service-account'; readonly id: string; readonly name: string; readonly token: NewTokenRow };
}

/** Makes the first administrator; `false` when there is or was any principal. */
async function bootstrap(context: CommandContext, { first }: BootstrapArgs): Promise<boolean> {
  // The lock: of two processes that start at once, the second finds what the first has made.
  await context.bumpAuthorisation();
  const existing = await context.db.selectFrom('principals').select('id').limit(1).executeTakeFirst();
  if (existing !== undefined) return false;
  await insertPrincipal(context, {
    id: first.id,
    kind: first.kind,
    name: first.name,
    displayName: first.kind === 'user' ? 'Administrator' : 'Bootstrap',
    roles: ['PLATFORM_ADMIN'],
    createdBy: systemActor.principal,
  });
  const object = { type: first.kind, id: first.id, name: first.name };
  context.audit(identityEvent(systemActor, object, ['create', 'role:PLATFORM_ADMIN', 'first-start']));
  if (first.kind === 'service-account') {
    await insertToken(context, first.id, first.token, systemActor.principal);
    context.audit({
      ...systemActor,
      action: 'token.issue',
      outcome: 'allowed',
      object,
      detail: { token: first.token.id, expires: expiryText(first.token.expiresAt) },
    });
  }
  return true;
}

export interface OperatorLinkArgs {
  readonly userName: string;
  readonly link: NewLink;
}

/** A link made on the server's own machine. @throws StrongroomError `not_found`; `state_conflict` for a disabled user */
async function createOperatorLink(
  context: CommandContext,
  args: OperatorLinkArgs,
): Promise<{ readonly userId: string }> {
  const user = await context.db
    .selectFrom('principals')
    .select(['id', 'name', 'disabled_at'])
    .where('kind', '=', 'user')
    .where('name', '=', args.userName)
    .where('deleted_at', 'is', null)
    .executeTakeFirst();
  if (user === undefined) throw new StrongroomError('not_found', { detail: 'There is no user of this name.' });
  if (user.disabled_at !== null) throw new StrongroomError('state_conflict', { detail: 'The user is disabled.' });
  await insertLink(context, user.id, args.link);
  context.audit(identityEvent(operatorActor, { type: 'user', id: user.id, name: user.name }, ['sign-in-link']));
  return { userId: user.id };
}

export const bootstrapCommands = {
  'identities.bootstrap': bootstrap,
  'identities.createOperatorLink': createOperatorLink,
};
