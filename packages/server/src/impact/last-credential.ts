import { StrongroomError } from '@strongroom/contract';
import type { Store } from '../store/store.ts';

/**
 * Whether an account has no other way to sign in than this one.
 *
 * @param id of a token, or of a workload that acts as the account
 * @throws StrongroomError `not_found`
 */
export async function isLastCredential(store: Store, accountId: string, id: string): Promise<boolean> {
  const now = Date.now();
  const tokens = await store.db
    .selectFrom('tokens')
    .select(['id', 'revoked_at', 'expires_at'])
    .where('principal_id', '=', accountId)
    .where((column) =>
      column.or([
        column('id', '=', id),
        column.and([
          column('revoked_at', 'is', null),
          column.or([column('expires_at', 'is', null), column('expires_at', '>', now)]),
        ]),
      ]),
    )
    .execute();
  const workloads = await store.db.selectFrom('workloads').select('id').where('principal_id', '=', accountId).execute();
  if (![...tokens, ...workloads].some((each) => each.id === id)) throw new StrongroomError('not_found');
  const isLive = (each: (typeof tokens)[number]): boolean =>
    each.revoked_at === null && (each.expires_at === null || each.expires_at > now);
  const works = [...tokens.filter(isLive), ...workloads].map((each) => each.id);
  return works.length === 1 && works[0] === id;
}
