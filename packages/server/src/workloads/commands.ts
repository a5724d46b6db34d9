import { StrongroomError } from '@strongroom/contract/core';
import { type Actor, identityEvent } from '../identities/actor.ts';
import { requirePrincipal } from '../identities/principals.ts';
import type { CommandContext } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';

/** Of one service account. */
const maxWorkloads = 100;

export interface Owner {
  readonly actor: Actor;
  readonly scope: { readonly id: string; readonly name: string };
  readonly serviceAccountId: string;
}

export interface BindArgs extends Owner {
  readonly id: string;
  /** By name. */
  readonly cluster: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly uid: string;
}

/**
 * @throws StrongroomError `not_found` for the account, `validation_failed` for a namespace that is not the domain's,
 * `already_exists` when those pods act as somebody already, `limit_exceeded`
 */
async function bind(context: CommandContext, args: BindArgs): Promise<{ readonly id: string }> {
  const { db, now } = context;
  const account = await requirePrincipal(context, 'service-account', args.serviceAccountId, args.scope.id);
  const target = await db
    .selectFrom('cluster_targets')
    .innerJoin('clusters', 'clusters.id', 'cluster_targets.cluster_id')
    .select('clusters.id')
    .where('clusters.name', '=', args.cluster)
    .where('cluster_targets.namespace', '=', args.namespace)
    .where('cluster_targets.scope_id', '=', args.scope.id)
    .executeTakeFirst();
  // Whether there is such a cluster, or whose the namespace is, is nothing that a domain is told.
  if (target === undefined)
    throw new StrongroomError('validation_failed', {
      errors: [{ pointer: '/namespace', message: 'There is no such namespace in a cluster that this domain may use.' }],
    });
  const { count } = await db
    .selectFrom('workloads')
    .select((column) => column.fn.countAll<number>().as('count'))
    .where('principal_id', '=', account.id)
    .executeTakeFirstOrThrow();
  if (count >= maxWorkloads)
    throw new StrongroomError('limit_exceeded', { detail: `A service account has at most ${maxWorkloads} workloads.` });
  const inserted = await db
    .insertInto('workloads')
    .values({
      id: args.id,
      principal_id: account.id,
      cluster_id: target.id,
      namespace: args.namespace,
      service_account: args.serviceAccount,
      uid: args.uid,
      created_at: now,
      created_by: args.actor.principalName,
    })
    .onConflict((conflict) => conflict.columns(['cluster_id', 'namespace', 'service_account', 'uid']).doNothing())
    .executeTakeFirst();
  if (Number(inserted.numInsertedOrUpdatedRows ?? 0) !== 1)
    throw new StrongroomError('already_exists', {
      detail: 'Pods of this ServiceAccount act as a service account of the domain already.',
    });
  context.audit(workloadEvent(args, account, 'bind', args));
  return { id: args.id };
}

/** @throws StrongroomError `not_found` */
async function unbind(context: CommandContext, args: Owner & { readonly id: string }): Promise<void> {
  // Launches that are being delivered are decided again.
  await context.bumpAuthorisation();
  const account = await requirePrincipal(context, 'service-account', args.serviceAccountId, args.scope.id);
  const row = await context.db
    .selectFrom('workloads')
    .innerJoin('clusters', 'clusters.id', 'workloads.cluster_id')
    .selectAll('workloads')
    .select('clusters.name as cluster')
    .where('workloads.id', '=', args.id)
    .where('workloads.principal_id', '=', account.id)
    .executeTakeFirst();
  if (row === undefined) throw new StrongroomError('not_found');
  await context.db.deleteFrom('workloads').where('id', '=', row.id).execute();
  const { cluster, namespace, service_account: serviceAccount, uid } = row;
  context.audit(workloadEvent(args, account, 'unbind', { id: row.id, cluster, namespace, serviceAccount, uid }));
}

/** With the service account itself. */
export async function removeWorkloadsOf(context: CommandContext, principalId: string): Promise<void> {
  await context.db.deleteFrom('workloads').where('principal_id', '=', principalId).execute();
}

/** With its domain's service accounts. */
export async function removeWorkloadsIn(context: CommandContext, scopeId: string): Promise<void> {
  const own = context.db.selectFrom('principals').select('id').where('scope_id', '=', scopeId);
  await context.db.deleteFrom('workloads').where('principal_id', 'in', own).execute();
}

/** @throws StrongroomError `in_use` while pods of the namespace act as somebody */
export async function requireNoWorkloads(
  context: Pick<CommandContext, 'db'>,
  { cluster_id: clusterId, namespace }: Pick<Tables['cluster_targets'], 'cluster_id' | 'namespace'>,
): Promise<void> {
  const { count } = await context.db
    .selectFrom('workloads')
    .select((column) => column.fn.countAll<number>().as('count'))
    .where('cluster_id', '=', clusterId)
    .where('namespace', '=', namespace)
    .executeTakeFirstOrThrow();
  if (count > 0)
    throw new StrongroomError('in_use', {
      detail: `${count} workload${count === 1 ? '' : 's'} of this namespace act${count === 1 ? 's' : ''} as service accounts.`,
      hint: 'Unbind them first.',
    });
}

function workloadEvent(
  { actor, scope }: Owner,
  account: { readonly id: string; readonly name: string },
  what: 'bind' | 'unbind',
  { id, cluster, namespace, serviceAccount, uid }: Omit<BindArgs, keyof Owner>,
) {
  const object = { type: 'service-account', id: account.id, name: account.name };
  return {
    ...identityEvent(actor, object, [`workload.${what}`], scope),
    detail: { workload: id, cluster, namespace, serviceAccount, uid },
  };
}

export const workloadCommands = { 'workloads.bind': bind, 'workloads.unbind': unbind };
