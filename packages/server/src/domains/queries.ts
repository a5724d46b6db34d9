import { sql } from 'kysely';
import { containing, type ListArgs } from '../access/pages.ts';
import type { QueryContext } from '../store/store.ts';
import { domainRecord, type DomainRecord } from './commands.ts';

/** Domains by name: all, or those whose ids are given. `q` is part of the name or display name. */
async function listDomains(
  { db }: QueryContext,
  args: ListArgs & { readonly ids: readonly string[] | null },
): Promise<readonly DomainRecord[]> {
  const { ids, q, after, limit } = args;
  let query = db
    .selectFrom('scopes')
    .innerJoin('sources', 'sources.scope_id', 'scopes.id')
    .selectAll('scopes')
    .select('sources.type as source_type')
    .where('sources.name', '=', 'managed')
    .where('kind', '=', 'domain')
    .where('deleted_at', 'is', null)
    .orderBy('scopes.name')
    .limit(limit);
  if (ids !== null) query = query.where('scopes.id', 'in', ids.length === 0 ? [''] : ids);
  if (q !== null) {
    const pattern = containing(q);
    query = query.where(
      sql<boolean>`(lower(scopes.name) like ${pattern} escape '\\' or lower(display_name) like ${pattern} escape '\\')`,
    );
  }
  const [name] = after ?? [];
  if (name !== undefined) query = query.where('scopes.name', '>', name);
  return (await query.execute()).map(domainRecord);
}

export const domainQueries = {
  'domains.list': listDomains,
};
