import type { Access, AccessSnapshot } from '../access/types.ts';
import type { Store } from '../store/store.ts';
import { scopeOf } from './gather.ts';

/** Scopes whose notices go to a mail address, of those whose settings somebody may see; by name. */
export async function recipientsOf(
  { db }: Pick<Store, 'db'>,
  access: Pick<Access, 'decide'>,
  snapshot: AccessSnapshot,
  address: string,
): Promise<{ readonly scope: string; readonly address: string }[]> {
  const rows = await db
    .selectFrom('notice_settings')
    .innerJoin('scopes', 'scopes.id', 'notice_settings.scope_id')
    .select(['scopes.id as scope_id', 'scopes.name as domain', 'notice_settings.recipients'])
    .where('scopes.deleted_at', 'is', null)
    .orderBy('scopes.name')
    .execute();
  const folded = address.toLowerCase();
  return rows.flatMap((row) => {
    const recipients = JSON.parse(row.recipients) as readonly string[];
    const scope = scopeOf(row);
    const isSeen = access.decide(snapshot, 'secret.manage', { kind: 'scope', scope }).allow;
    const isTold = recipients.some((each) => each.toLowerCase() === folded);
    return isSeen && isTold ? [{ scope: row.domain, address }] : [];
  });
}
