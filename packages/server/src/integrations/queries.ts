import { sql } from 'kysely';
import { containing, type ListArgs } from '../access/pages.ts';
import { everyHolder, heldFields } from '../impact/holders.ts';
import { useRows, type UseRow } from '../secrets/use-rows.ts';
import type { QueryContext } from '../store/store.ts';
import { choiceQueries } from './choice-queries.ts';
import { secretPageQueries } from './secret-page.ts';
import { profileQueries } from './profiles/queries.ts';
import type { IntegrationRow } from './required-rows.ts';

/** With what is shown beside the row. */
export type ListedIntegration = IntegrationRow & {
  readonly bundle_name: string | null;
  readonly profile_name: string | null;
  readonly uses: number;
};

/**
 * Integrations of a scope by (folded name, id); `id` asks for one, `bundleIds` for those of some bundles (null: a scope
 * without bundles).
 */
async function list(
  { db }: QueryContext,
  args: ListArgs & {
    readonly scopeId: string;
    readonly bundleIds: readonly string[] | null;
    readonly id?: string;
  },
): Promise<readonly ListedIntegration[]> {
  if (args.bundleIds?.length === 0) return [];
  let query = db
    .selectFrom('integrations')
    .leftJoin('bundles', 'bundles.id', 'integrations.bundle_id')
    .leftJoin('profiles', 'profiles.id', 'integrations.profile_id')
    .selectAll('integrations')
    .select((column) => [
      'bundles.name as bundle_name',
      'profiles.name as profile_name',
      column
        .selectFrom('uses')
        .innerJoin('configurations', 'configurations.id', 'uses.configuration_id')
        .select((use) => use.fn.countAll<number>().as('count'))
        .whereRef('uses.target_scope_id', '=', 'integrations.scope_id')
        .whereRef('uses.target_source_id', '=', 'integrations.id')
        .where('configurations.deleted_at', 'is', null)
        .$asScalar()
        .$notNull()
        .as('uses'),
    ])
    .where('integrations.scope_id', '=', args.scopeId);
  if (args.bundleIds !== null) query = query.where('integrations.bundle_id', 'in', args.bundleIds);
  if (args.id !== undefined) query = query.where('integrations.id', '=', args.id);
  if (args.q !== null)
    query = query.where(sql<boolean>`integrations.folded_name like ${containing(args.q)} escape '\\'`);
  if (args.after !== null)
    query = query.where(
      sql<boolean>`(integrations.folded_name, integrations.id) > (${args.after[0] ?? ''}, ${args.after[1] ?? ''})`,
    );
  const rows = await query.orderBy('integrations.folded_name').orderBy('integrations.id').limit(args.limit).execute();
  const held = await heldFields(
    { db },
    rows.map(({ id }) => id),
    everyHolder,
  );
  return rows.map((row) => ({ ...row, uses: row.uses + sum(held.get(row.id)?.values() ?? []) }));
}

function sum(numbers: Iterable<number>): number {
  let total = 0;
  for (const each of numbers) total += each;
  return total;
}

/** Fields of configurations that refer to keys of an integration. */
async function usesOf(
  context: QueryContext,
  args: { readonly scopeId: string; readonly sourceId: string; readonly limit: number },
): Promise<UseRow[]> {
  return usesIn(context, args).orderBy('uses.configuration_id').orderBy('uses.pointer').limit(args.limit).execute();
}

async function countUses(
  context: QueryContext,
  args: { readonly scopeId: string; readonly sourceId: string },
): Promise<number> {
  const { count } = await context.db
    .selectFrom(usesIn(context, args).as('found'))
    .select((column) => column.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  return count;
}

function usesIn(context: QueryContext, args: { readonly scopeId: string; readonly sourceId: string }) {
  return useRows(context)
    .where('uses.target_scope_id', '=', args.scopeId)
    .where('uses.target_source_id', '=', args.sourceId);
}

/** Integrations of a scope and all of Global's, each with whether it is assigned to the scope. */
async function usedIn(
  { db }: QueryContext,
  args: { readonly scopeId: string; readonly globalScopeId: string },
): Promise<(IntegrationRow & { readonly mine: number })[]> {
  return db
    .selectFrom('integrations')
    .selectAll('integrations')
    .select((column) => [
      column
        .selectFrom('integration_assignments')
        .select((inner) => inner.fn.countAll<number>().as('count'))
        .whereRef('integration_assignments.source_id', '=', 'integrations.id')
        .where('integration_assignments.scope_id', '=', args.scopeId)
        .$asScalar()
        .$notNull()
        .as('mine'),
    ])
    .where('integrations.scope_id', 'in', [args.scopeId, args.globalScopeId])
    .orderBy('integrations.folded_name')
    .orderBy('integrations.id')
    .execute();
}

export const integrationQueries = {
  'integration.list': list,
  'integration.uses': usesOf,
  'integration.countUses': countUses,
  'integration.usedIn': usedIn,
  ...choiceQueries,
  ...secretPageQueries,
  ...profileQueries,
};
