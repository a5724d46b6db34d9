import { StrongroomError } from '@strongroom/contract';

/**
 * An answer to a request that is repeated is about what the first one made, and never about what somebody else has made under the
 * same name since.
 * @param madeId what the first request made or changed; `undefined` where the kept answer doesn't say
 * @throws StrongroomError `not_found`
 */
export function requireSameAsMade(madeId: string | undefined, found: { readonly id: string }): void {
  if (madeId === undefined || madeId === found.id) return;
  throw new StrongroomError('not_found', {
    detail: 'What the first request with this Idempotency-Key was about has been deleted since; another has its name.',
    hint: 'Use a fresh Idempotency-Key for a new request.',
  });
}
