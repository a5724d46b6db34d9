import { sql } from 'kysely';
import { containing, type ListArgs, type Position } from '../../access/pages.ts';
import type { QueryContext } from '../../store/store.ts';
import type { Tables } from '../../store/tables.ts';
import type { ProfileRow } from './commands.ts';

export interface NamedBinding {
  readonly kind: Tables['scopes']['kind'];
  readonly name: string;
  readonly prefix: string;
}

export type ListedProfile = ProfileRow & { readonly integrations: number; readonly bindings: readonly NamedBinding[] };

/** Profiles by name; `name` asks for one. */
async function list({ db }: QueryContext, args: ListArgs & { readonly name?: string }): Promise<ListedProfile[]> {
  let query = db
    .selectFrom('profiles')
    .selectAll('profiles')
    .select((column) => [
      column
        .selectFrom('integrations')
        .select((inner) => inner.fn.countAll<number>().as('count'))
        .whereRef('integrations.profile_id', '=', 'profiles.id')
        .$asScalar()
        .$notNull()
        .as('integrations'),
    ]);
  if (args.name !== undefined) query = query.where('profiles.name', '=', args.name);
  if (args.q !== null) query = query.where(sql<boolean>`profiles.name like ${containing(args.q)} escape '\\'`);
  if (args.after !== null) query = query.where('profiles.name', '>', args.after[0] ?? '');
  const rows = await query.orderBy('profiles.name').limit(args.limit).execute();
  if (rows.length === 0) return [];
  const bindings = await db
    .selectFrom('profile_bindings')
    .innerJoin('scopes', 'scopes.id', 'profile_bindings.scope_id')
    .select(['profile_bindings.profile_id', 'profile_bindings.prefix', 'scopes.kind', 'scopes.name'])
    .where(
      'profile_bindings.profile_id',
      'in',
      rows.map(({ id }) => id),
    )
    .where('scopes.deleted_at', 'is', null)
    .orderBy('scopes.name')
    .execute();
  const byProfile = Map.groupBy(bindings, ({ profile_id }) => profile_id);
  return rows.map((row) => ({ ...row, bindings: byProfile.get(row.id) ?? [] }));
}

/** Profiles that a scope is bound to. */
async function boundTo(
  { db }: QueryContext,
  args: { readonly scopeId: string; readonly after: Position | null; readonly limit: number },
): Promise<(ProfileRow & { readonly prefix: string })[]> {
  const query = db
    .selectFrom('profile_bindings')
    .innerJoin('profiles', 'profiles.id', 'profile_bindings.profile_id')
    .selectAll('profiles')
    .select('profile_bindings.prefix')
    .where('profile_bindings.scope_id', '=', args.scopeId)
    .orderBy('profiles.name')
    .limit(args.limit);
  return (args.after === null ? query : query.where('profiles.name', '>', args.after[0] ?? '')).execute();
}

export const profileQueries = { 'profile.list': list, 'profile.boundTo': boundTo };
