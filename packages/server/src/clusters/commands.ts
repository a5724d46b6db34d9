import { StrongroomError } from '@strongroom/contract/core';
import { requireNoRuns } from '../runs/commands.ts';
import type { CommandContext } from '../store/store.ts';
import { requireNoWorkloads } from '../workloads/commands.ts';
import type { Tables } from '../store/tables.ts';

export type ClusterRow = Tables['clusters'];

export interface ClusterDetails {
  readonly description: string;
  /** JSON. */
  readonly access: string;
  readonly sourceId: string | null;
  readonly authorisedBy: string;
  readonly issuer: string;
  readonly audience: string;
  readonly by: string;
}

export interface NewCluster extends ClusterDetails {
  readonly id: string;
  readonly name: string;
  readonly uid: string;
}

/** @throws StrongroomError `already_exists` for the name, the cluster itself or its audience */
async function create(context: CommandContext, args: NewCluster): Promise<{ readonly id: string }> {
  await requireFree(context, args);
  await context.db
    .insertInto('clusters')
    .values({
      id: args.id,
      name: args.name,
      description: args.description,
      access: args.access,
      source_id: args.sourceId,
      authorised_by: args.authorisedBy,
      uid: args.uid,
      issuer: args.issuer,
      audience: args.audience,
      revision: 1,
      created_at: context.now,
      created_by: args.by,
      updated_at: context.now,
      updated_by: args.by,
    })
    .execute();
  return { id: args.id };
}

export interface ClusterChange extends ClusterDetails {
  readonly id: string;
  readonly revision: number;
}

/** @throws StrongroomError `not_found`, `version_conflict`; `already_exists` for the audience */
async function update(context: CommandContext, args: ClusterChange): Promise<void> {
  const row = await requireCluster(context, args.id, args.revision);
  await requireFree(context, { id: row.id, name: row.name, uid: row.uid, audience: args.audience });
  await context.db
    .updateTable('clusters')
    .set({
      description: args.description,
      access: args.access,
      source_id: args.sourceId,
      authorised_by: args.authorisedBy,
      issuer: args.issuer,
      audience: args.audience,
      revision: row.revision + 1,
      updated_at: context.now,
      updated_by: args.by,
    })
    .where('id', '=', row.id)
    .execute();
}

/** @throws StrongroomError `not_found`, `version_conflict`; `in_use` while a namespace of it belongs to a domain, or runs have something there */
async function remove(
  context: CommandContext,
  args: { readonly id: string; readonly revision: number },
): Promise<void> {
  const row = await requireCluster(context, args.id, args.revision);
  const { count } = await context.db
    .selectFrom('cluster_targets')
    .select((column) => column.fn.countAll<number>().as('count'))
    .where('cluster_id', '=', row.id)
    .executeTakeFirstOrThrow();
  if (count > 0)
    throw new StrongroomError('in_use', {
      detail: `${count} namespace${count === 1 ? '' : 's'} of ${row.name} belong${count === 1 ? 's' : ''} to domains.`,
      hint: 'Take the namespaces from their domains first.',
    });
  // Of a domain that was deleted, too: what is left there has to be reached.
  await requireNoRuns(context, { clusterId: row.id });
  await context.db.deleteFrom('clusters').where('id', '=', row.id).execute();
}

export interface TargetArgs {
  readonly clusterId: string;
  readonly namespace: string;
  readonly scopeId: string;
  readonly by: string;
}

/** Giving it to the same domain again is fine. @throws StrongroomError `not_found`; `already_exists` when it is another domain's */
async function putTarget(context: CommandContext, args: TargetArgs): Promise<void> {
  await requireCluster(context, args.clusterId);
  const scope = await context.db
    .selectFrom('scopes')
    .select('id')
    .where('id', '=', args.scopeId)
    .where('deleted_at', 'is', null)
    .executeTakeFirst();
  if (scope === undefined) throw new StrongroomError('not_found');
  const taken = await context.db
    .selectFrom('cluster_targets')
    .select('scope_id')
    .where('cluster_id', '=', args.clusterId)
    .where('namespace', '=', args.namespace)
    .executeTakeFirst();
  if (taken?.scope_id === scope.id) return;
  if (taken !== undefined)
    throw new StrongroomError('already_exists', {
      detail: `The namespace ${args.namespace} belongs to another domain.`,
      hint: 'Take it from that domain first: whoever runs pods in a namespace can read the Secrets there.',
    });
  await context.db
    .insertInto('cluster_targets')
    .values({
      cluster_id: args.clusterId,
      namespace: args.namespace,
      scope_id: scope.id,
      created_at: context.now,
      created_by: args.by,
    })
    .execute();
}

/** @throws StrongroomError `in_use` while pods there act as somebody, or runs have something there */
export async function requireTargetFree(
  reads: Pick<CommandContext, 'db'>,
  { clusterId, namespace }: Pick<TargetArgs, 'clusterId' | 'namespace'>,
): Promise<void> {
  await requireNoWorkloads(reads, { cluster_id: clusterId, namespace });
  await requireNoRuns(reads, { clusterId, namespace });
}

/** @throws StrongroomError `not_found`, `in_use` */
async function deleteTarget(context: CommandContext, args: Pick<TargetArgs, 'clusterId' | 'namespace'>): Promise<void> {
  await requireTargetFree(context, args);
  const removed = await context.db
    .deleteFrom('cluster_targets')
    .where('cluster_id', '=', args.clusterId)
    .where('namespace', '=', args.namespace)
    .executeTakeFirst();
  if (Number(removed.numDeletedRows) !== 1) throw new StrongroomError('not_found');
}

/** With their domain. */
export async function removeTargetsOf(context: CommandContext, scopeId: string): Promise<void> {
  await context.db.deleteFrom('cluster_targets').where('scope_id', '=', scopeId).execute();
}

async function requireCluster(context: CommandContext, id: string, revision?: number): Promise<ClusterRow> {
  const row = await context.db.selectFrom('clusters').selectAll().where('id', '=', id).executeTakeFirst();
  if (row === undefined) throw new StrongroomError('not_found');
  if (revision !== undefined && row.revision !== revision) throw new StrongroomError('version_conflict');
  return row;
}

async function requireFree(
  { db }: CommandContext,
  { id, name, uid, audience }: Pick<NewCluster, 'id' | 'name' | 'uid' | 'audience'>,
): Promise<void> {
  const others = await db
    .selectFrom('clusters')
    .select(['name', 'uid', 'audience'])
    .where('id', '!=', id)
    .where((where) => where.or([where('name', '=', name), where('uid', '=', uid), where('audience', '=', audience)]))
    .execute();
  for (const other of others) {
    const what =
      other.name === name
        ? `There is a cluster named ${name}.`
        : other.uid === uid
          ? `This cluster is registered as ${other.name}.`
          : `The cluster ${other.name} has this audience.`;
    throw new StrongroomError('already_exists', { detail: what });
  }
}

export const clusterCommands = {
  'clusters.create': create,
  'clusters.update': update,
  'clusters.delete': remove,
  'clusters.putTarget': putTarget,
  'clusters.deleteTarget': deleteTarget,
};
