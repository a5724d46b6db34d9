import { StrongroomError } from '@strongroom/contract';

/**
 * An answer to a request that is repeated is about what the first one made, and never about what somebody else has made under the
 * same name since: what was deleted is not there, whether its name was taken or not.
 * @param madeId what the first request made or changed; `undefined` where the kept answer doesn't say
 * @throws StrongroomError `not_found`
 */
export function requireSameAsMade(madeId: string | undefined, found: { readonly id: string }): void {
  if (madeId === undefined || madeId === found.id) return;
  throw new StrongroomError('not_found');
}
