import { sql } from 'kysely';
import { containing, type ListArgs } from '../access/pages.ts';
import type { QueryContext } from '../store/store.ts';
import type { ClusterRow } from './commands.ts';

export type ListedCluster = ClusterRow & { readonly targets: number };

/** Clusters by name; `name` asks for one. */
async function list({ db }: QueryContext, args: ListArgs & { readonly name?: string }): Promise<ListedCluster[]> {
  let query = db
    .selectFrom('clusters')
    .selectAll('clusters')
    .select((column) => [
      column
        .selectFrom('cluster_targets')
        .select((inner) => inner.fn.countAll<number>().as('count'))
        .whereRef('cluster_targets.cluster_id', '=', 'clusters.id')
        .$asScalar()
        .$notNull()
        .as('targets'),
    ]);
  if (args.name !== undefined) query = query.where('clusters.name', '=', args.name);
  if (args.q !== null) query = query.where(sql<boolean>`clusters.name like ${containing(args.q)} escape '\\'`);
  if (args.after !== null) query = query.where('clusters.name', '>', args.after[0] ?? '');
  return query.orderBy('clusters.name').limit(args.limit).execute();
}

export interface ListedTarget {
  readonly clusterId: string;
  readonly cluster: string;
  readonly audience: string;
  readonly namespace: string;
  readonly domain: string;
  readonly createdAt: number;
  readonly createdBy: string;
}

/** Namespaces of one cluster, or those of one domain, by namespace and cluster. */
async function targets(
  { db }: QueryContext,
  args: ListArgs & { readonly clusterId?: string; readonly scopeId?: string; readonly namespace?: string },
): Promise<ListedTarget[]> {
  let query = db
    .selectFrom('cluster_targets')
    .innerJoin('clusters', 'clusters.id', 'cluster_targets.cluster_id')
    .innerJoin('scopes', 'scopes.id', 'cluster_targets.scope_id')
    .select([
      'cluster_targets.cluster_id as clusterId',
      'clusters.name as cluster',
      'clusters.audience',
      'cluster_targets.namespace',
      'scopes.name as domain',
      'cluster_targets.created_at as createdAt',
      'cluster_targets.created_by as createdBy',
    ]);
  if (args.clusterId !== undefined) query = query.where('cluster_targets.cluster_id', '=', args.clusterId);
  if (args.scopeId !== undefined) query = query.where('cluster_targets.scope_id', '=', args.scopeId);
  if (args.namespace !== undefined) query = query.where('cluster_targets.namespace', '=', args.namespace);
  if (args.q !== null)
    query = query.where(sql<boolean>`cluster_targets.namespace like ${containing(args.q)} escape '\\'`);
  if (args.after !== null)
    query = query.where(
      sql<boolean>`(cluster_targets.namespace, clusters.name) > (${args.after[0] ?? ''}, ${args.after[1] ?? ''})`,
    );
  return query.orderBy('cluster_targets.namespace').orderBy('clusters.name').limit(args.limit).execute();
}

export const clusterQueries = { 'clusters.list': list, 'clusters.targets': targets };
