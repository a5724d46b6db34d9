import { StrongroomError } from '@strongroom/contract';
import { mayActAs } from '../access/authority.ts';
import type { AccessService } from '../access/service.ts';
import type { Caller, ScopeRef } from '../access/types.ts';
import type { ExecuteOptions, IdempotencyKey } from '../store/store.ts';

/** What managing identities uses of access. */
export type ManagingAccess = Pick<AccessService, 'decided' | 'refuse' | 'require' | 'snapshot'>;

/**
 * Runs a write that only those may do who manage identities (or, with a scope, access in that domain). It is decided again
 * at the revision that the write is bound to: whoever lost the right a moment ago gives nobody a role any more.
 *
 * @param decideMore what else must hold at that revision; throws when it doesn't
 * @throws StrongroomError `permission_missing`, `not_found`, and what the write throws
 */
export function writeAsManager<Result>(
  access: ManagingAccess,
  caller: Caller,
  scope: ScopeRef | undefined,
  write: (options: ExecuteOptions) => Promise<Result>,
  idempotency?: IdempotencyKey,
  decideMore: (current: Caller) => Promise<void> = async () => undefined,
): Promise<Result> {
  return access.decided(caller, async (current) => {
    await (scope === undefined
      ? access.require(current, 'identity.manage', { kind: 'platform' })
      : access.require(current, 'access.manage', { kind: 'scope', scope }));
    await decideMore(current);
    const options = { expectAuthorisationRevision: current.snapshot.revision };
    return write(idempotency === undefined ? options : { ...options, idempotency });
  });
}

/**
 * That whoever manages access in a domain may act as a service account of it: the account has nothing there that the caller
 * has not. Else a bare MANAGE_ACCESS would be worth whatever any account of the domain has.
 * @throws StrongroomError `permission_missing`; audited
 */
export async function requireMayActAs(
  access: ManagingAccess,
  caller: Caller,
  scope: ScopeRef,
  accountId: string,
): Promise<void> {
  // Read after the caller's own: a change in between moves the revision, and the write is decided again.
  const account = await access.snapshot(accountId);
  if (account === null) throw new StrongroomError('not_found');
  const decision = mayActAs(caller.snapshot, scope, account);
  if (!decision.allow) await access.refuse(caller, 'access.manage', { kind: 'scope', scope }, decision);
}
