import { StrongroomError } from '@strongroom/contract/core';
import { requireLivingSecrets } from '../launches/commands.ts';
import { endLaunch, type ReceiptRow, writeReceipts } from '../launches/receipts.ts';
import type { CommandContext } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';
import { newerRunOf, type Replaced, unfinishedRunOf } from './queries.ts';
import type { NewWorkload } from './runner.ts';

export type RunRow = Tables['runs'];

export interface NewRun {
  /** The run's and its launch's id. */
  readonly id: string;
  readonly scopeId: string;
  readonly configurationId: string;
  readonly configurationName: string;
  readonly configurationRevision: number;
  readonly surface: RunRow['surface'];
  readonly subjectId: string;
  readonly runner: string;
  /** The server process that will start it. */
  readonly holder: string;
  readonly bootId: string | null;
  readonly maxUnfinished: number;
  /** Refused while another run of the configuration is unfinished. */
  readonly isOnly: boolean;
  /** Refused when another run has taken the place of these. */
  readonly replaced?: Replaced | undefined;
}

/**
 * @throws StrongroomError `limit_exceeded` when the domain has too many unfinished runs; `state_conflict` for a second one;
 * `already_exists` when what it was to replace has been replaced
 */
async function create(context: CommandContext, args: NewRun): Promise<{ readonly id: string }> {
  if (args.isOnly || args.replaced !== undefined) await lockConfiguration(context, args.configurationId);
  if (args.replaced !== undefined && (await newerRunOf(context, args.replaced)) !== undefined)
    throw new StrongroomError('already_exists', { detail: `${args.configurationName} has been started anew already.` });
  const { count } = await context.db
    .selectFrom('runs')
    .select((column) => column.fn.countAll<number>().as('count'))
    .where('state', 'in', ['queued', 'running'])
    .where('scope_id', '=', args.scopeId)
    .executeTakeFirstOrThrow();
  if (count >= args.maxUnfinished)
    throw new StrongroomError('limit_exceeded', {
      detail: `The domain has ${args.maxUnfinished} unfinished runs, which is the limit.`,
    });
  if (args.isOnly) {
    const up = await unfinishedRunOf(context, args.configurationId);
    if (up !== undefined)
      throw new StrongroomError('state_conflict', {
        detail: `${args.configurationName} is up already, as run ${up.id}.`,
        hint: 'Stop that run first.',
      });
  }
  await context.db
    .insertInto('launches')
    .values({
      id: args.id,
      scope_id: args.scopeId,
      kind: 'run',
      configuration_id: args.configurationId,
      configuration_revision: args.configurationRevision,
      subject_id: args.subjectId,
      requested: '[]',
      created_at: context.now,
      expires_at: context.now,
      jwk_thumbprint: null,
      bound_at: null,
      heartbeat_until: null,
      ended_at: null,
    })
    .execute();
  await context.db
    .insertInto('runs')
    .values({
      id: args.id,
      scope_id: args.scopeId,
      configuration_id: args.configurationId,
      configuration_name: args.configurationName,
      surface: args.surface,
      state: 'queued',
      subject_id: args.subjectId,
      runner: args.runner,
      holder: args.holder,
      boot_id: args.bootId,
      pid: null,
      pid_started: null,
      exit_code: null,
      signal: null,
      failure_code: null,
      failure_detail: null,
      created_at: context.now,
      started_at: null,
      ended_at: null,
      log_bytes: 0,
      log_cut: 0,
      revision: 1,
    })
    .execute();
  return { id: args.id };
}

/** Two replicas that look whether there is a run, and make one, do so one after the other. */
async function lockConfiguration({ db }: CommandContext, id: string): Promise<void> {
  await db
    .updateTable('configurations')
    .set((column) => ({ revision: column.ref('revision') }))
    .where('id', '=', id)
    .execute();
}

export interface Held {
  readonly id: string;
  readonly holder: string;
}

export interface RunRelease extends Held {
  readonly scopeId: string;
  readonly configurationRevision: number;
  readonly receipts: readonly ReceiptRow[];
  readonly secretIds: readonly string[];
  /** What it is going to be in a cluster. */
  readonly workload: NewWorkload | null;
}

/**
 * Step 4 of a run's launch: receipts and `running`, before the process exists.
 * @throws StrongroomError `version_conflict` when a secret was deleted meanwhile; `state_conflict` when it isn't queued;
 * `runner_unavailable` when the namespace isn't the domain's any more
 */
async function release(context: CommandContext, args: RunRelease): Promise<void> {
  await requireLivingSecrets(context, args.secretIds);
  await step(context, args, ['queued'], { state: 'running', started_at: context.now });
  if (args.workload !== null) await putWorkload(context, args.id, args.scopeId, args.workload);
  await context.db
    .updateTable('launches')
    .set({ configuration_revision: args.configurationRevision })
    .where('id', '=', args.id)
    .execute();
  await writeReceipts(context, args, args.receipts, true);
}

/** The process that has it: by this an orphan is known. */
async function started(
  context: CommandContext,
  args: Held & { readonly bootId: string | null; readonly pid: number; readonly pidStarted: string | null },
): Promise<void> {
  await step(context, args, ['running'], { boot_id: args.bootId, pid: args.pid, pid_started: args.pidStarted });
}

export interface RunEnd extends Held {
  readonly scopeId: string;
  readonly state: 'succeeded' | 'failed' | 'stopped';
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly failureCode: string | null;
  readonly failureDetail: string | null;
  readonly logBytes: number;
  readonly isLogCut: boolean;
  /** Of a launch that was refused. */
  readonly receipts: readonly ReceiptRow[];
}

/** @throws StrongroomError `state_conflict` when it has ended already */
async function end(context: CommandContext, args: RunEnd): Promise<void> {
  await step(context, args, ['queued', 'running'], {
    state: args.state,
    ended_at: context.now,
    exit_code: args.exitCode,
    signal: args.signal,
    failure_code: args.failureCode,
    failure_detail: args.failureDetail,
    log_bytes: args.logBytes,
    log_cut: args.isLogCut ? 1 : 0,
  });
  await endLaunch(context, args.id);
  if (args.receipts.length > 0) await writeReceipts(context, args, args.receipts, false);
}

/** The server stops and the run goes on: whoever is there may take it over, without waiting for the lease. */
async function letGo(context: CommandContext, args: Held): Promise<void> {
  await step(context, args, ['running'], { holder: null });
}

async function step(
  context: CommandContext,
  args: Held,
  from: readonly RunRow['state'][],
  change: Partial<RunRow>,
): Promise<void> {
  const updated = await context.db
    .updateTable('runs')
    .set((column) => ({ ...change, revision: column('revision', '+', 1) }))
    .where('id', '=', args.id)
    .where('holder', '=', args.holder)
    .where('state', 'in', [...from])
    .returning('id')
    .executeTakeFirst();
  if (updated === undefined)
    throw new StrongroomError('state_conflict', { detail: 'The run is in another state, or another server has it.' });
}

/**
 * Another server takes over an unfinished run whose holder is gone. `false`: somebody else was quicker. Holder and boot go
 * together: by an earlier boot a third server would take this one for gone. A process of an earlier boot means nothing now.
 */
async function takeOver(
  context: CommandContext,
  args: {
    readonly id: string;
    readonly from: string | null;
    readonly holder: string;
    readonly bootId: string | null;
  },
): Promise<{ readonly isTaken: boolean }> {
  const updated = await context.db
    .updateTable('runs')
    .set((column) => ({
      holder: args.holder,
      boot_id: args.bootId,
      pid: column.case().when('boot_id', '=', args.bootId).then(column.ref('pid')).end(),
      revision: column('revision', '+', 1),
    }))
    .where('id', '=', args.id)
    .where('state', 'in', ['queued', 'running'])
    .where('holder', args.from === null ? 'is' : '=', args.from)
    .returning('id')
    .executeTakeFirst();
  return { isTaken: updated !== undefined };
}

/** Says that this server process lives; past it others may take its runs over. */
async function renewHolder(
  context: CommandContext,
  args: { readonly holder: string; readonly leaseMilliseconds: number },
): Promise<void> {
  const name = holderLease(args.holder);
  const expiresAt = context.now + args.leaseMilliseconds;
  await context.db
    .insertInto('leases')
    .values({ name, holder: args.holder, epoch: 1, expires_at: expiresAt })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ expires_at: expiresAt }))
    .execute();
  await context.db
    .deleteFrom('leases')
    .where('name', '>', holderLease(''))
    .where('name', '<', holderLease('~'))
    .where('expires_at', '<', context.now - 86_400_000)
    .execute();
}

/** Name of the lease of a server process that holds runs. */
function holderLease(holder: string): string {
  return `runner:${holder}`;
}

/** Of the settings that say which user id a domain's jobs have. */
export const jobUserPrefix = 'runner.process.uid.';

/**
 * The uid of a domain's jobs, chosen once and never given to another domain, deleted ones included.
 * @throws StrongroomError `runner_unavailable` when the range is used up
 */
async function jobUser(
  context: CommandContext,
  args: { readonly scopeId: string; readonly firstUid: number; readonly count: number },
): Promise<{ readonly uid: number }> {
  const key = `${jobUserPrefix}${args.scopeId}`;
  const rows = await context.db
    .selectFrom('settings')
    .select(['key', 'value'])
    .where('key', '>=', jobUserPrefix)
    .where('key', '<', `${jobUserPrefix}~`)
    .execute();
  const inRange = (uid: number): boolean => uid >= args.firstUid && uid < args.firstUid + args.count;
  const own = rows.find((row) => row.key === key);
  if (own !== undefined && inRange(Number(own.value))) return { uid: Number(own.value) };
  const taken = new Set(rows.map((row) => Number(row.value)));
  for (let uid = args.firstUid; uid < args.firstUid + args.count; uid += 1) {
    if (taken.has(uid)) continue;
    const row = { key, value: String(uid), revision: 1, updated_at: context.now, updated_by: 'system' };
    await context.db
      .insertInto('settings')
      .values(row)
      .onConflict((conflict) => conflict.column('key').doUpdateSet({ value: row.value, updated_at: row.updated_at }))
      .execute();
    return { uid };
  }
  throw new StrongroomError('runner_unavailable', {
    detail: `All ${args.count} users for jobs are given to other domains.`,
    hint: 'Widen the range of job users in the server’s settings; two domains never share one.',
  });
}

/** A finished run whose log was deleted for age or quota. */
async function logDeleted(context: CommandContext, args: { readonly ids: readonly string[] }): Promise<void> {
  if (args.ids.length === 0) return;
  await context.db.updateTable('runs').set({ log_bytes: 0, log_cut: 1 }).where('id', 'in', args.ids).execute();
}

/** @throws StrongroomError `runner_unavailable` */
async function putWorkload(
  context: CommandContext,
  runId: string,
  scopeId: string,
  { clusterId, namespace, form, name }: NewWorkload,
): Promise<void> {
  const target = await context.db
    .selectFrom('cluster_targets')
    .select('namespace')
    .where('cluster_id', '=', clusterId)
    .where('namespace', '=', namespace)
    .where('scope_id', '=', scopeId)
    .executeTakeFirst();
  if (target === undefined)
    throw new StrongroomError('runner_unavailable', {
      detail: 'The namespace does not belong to the domain any more.',
    });
  await context.db
    .insertInto('run_workloads')
    .values({ run_id: runId, cluster_id: clusterId, namespace, form, name, filled_at: null, removed_at: null })
    .execute();
}

/** It has been given its values. */
async function workloadFilled(context: CommandContext, args: { readonly id: string }): Promise<void> {
  await context.db.updateTable('run_workloads').set({ filled_at: context.now }).where('run_id', '=', args.id).execute();
}

/** Nothing of it is in the cluster, and nothing comes any more. */
async function workloadRemoved(context: CommandContext, args: { readonly id: string }): Promise<void> {
  await context.db
    .updateTable('run_workloads')
    .set({ removed_at: context.now })
    .where('run_id', '=', args.id)
    .where('removed_at', 'is', null)
    .execute();
}

/** @throws StrongroomError `in_use` while something of a run is in the cluster, or in one namespace of it */
export async function requireNoRuns(
  { db }: Pick<CommandContext, 'db'>,
  { clusterId, namespace }: { readonly clusterId: string; readonly namespace?: string },
): Promise<void> {
  let query = db
    .selectFrom('run_workloads')
    .select((column) => column.fn.countAll<number>().as('count'))
    .where('cluster_id', '=', clusterId)
    .where('removed_at', 'is', null);
  if (namespace !== undefined) query = query.where('namespace', '=', namespace);
  const { count } = await query.executeTakeFirstOrThrow();
  const where = namespace === undefined ? 'the cluster' : `the namespace ${namespace}`;
  if (count > 0)
    throw new StrongroomError('in_use', {
      detail: `${count} run${count === 1 ? ' has' : 's have'} something in ${where}.`,
      hint: 'Stop the runs; what a run leaves goes within two minutes of its end.',
    });
}

export const runCommands = {
  'runs.create': create,
  'runs.release': release,
  'runs.started': started,
  'runs.end': end,
  'runs.letGo': letGo,
  'runs.takeOver': takeOver,
  'runs.renewHolder': renewHolder,
  'runs.jobUser': jobUser,
  'runs.logDeleted': logDeleted,
  'runs.workloadFilled': workloadFilled,
  'runs.workloadRemoved': workloadRemoved,
};
