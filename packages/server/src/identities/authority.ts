import type { AccessService } from '../access/service.ts';
import type { Caller, ScopeRef } from '../access/types.ts';
import type { ExecuteOptions, IdempotencyKey } from '../store/store.ts';

/** What managing identities uses of access. */
export type ManagingAccess = Pick<AccessService, 'decided' | 'require'>;

/**
 * Runs a write that only those may do who manage identities (or, with a scope, access in that domain). It is decided again
 * at the revision that the write is bound to: whoever lost the right a moment ago gives nobody a role any more.
 * @throws StrongroomError `permission_missing`, `not_found`, and what the write throws
 */
export function writeAsManager<Result>(
  access: ManagingAccess,
  caller: Caller,
  scope: ScopeRef | undefined,
  write: (options: ExecuteOptions) => Promise<Result>,
  idempotency?: IdempotencyKey,
): Promise<Result> {
  return access.decided(caller, async (current) => {
    await (scope === undefined
      ? access.require(current, 'identity.manage', { kind: 'platform' })
      : access.require(current, 'access.manage', { kind: 'scope', scope }));
    const options = { expectAuthorisationRevision: current.snapshot.revision };
    return write(idempotency === undefined ? options : { ...options, idempotency });
  });
}
