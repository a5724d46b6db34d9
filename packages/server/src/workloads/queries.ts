import type { QueryContext } from '../store/store.ts';

export interface ListedWorkload {
  readonly id: string;
  readonly cluster: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly uid: string;
  readonly createdAt: number;
  readonly createdBy: string;
}

/** Of one service account, in the order in which they were bound; `id` asks for one. */
async function list(
  { db }: QueryContext,
  args: { readonly principalId: string; readonly id?: string },
): Promise<ListedWorkload[]> {
  let query = db
    .selectFrom('workloads')
    .innerJoin('clusters', 'clusters.id', 'workloads.cluster_id')
    .select([
      'workloads.id',
      'clusters.name as cluster',
      'workloads.namespace',
      'workloads.service_account as serviceAccount',
      'workloads.uid',
      'workloads.created_at as createdAt',
      'workloads.created_by as createdBy',
    ])
    .where('workloads.principal_id', '=', args.principalId);
  if (args.id !== undefined) query = query.where('workloads.id', '=', args.id);
  return query.orderBy('workloads.id').execute();
}

export const workloadQueries = { 'workloads.list': list };
