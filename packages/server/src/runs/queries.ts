import { sql } from 'kysely';
import { labelColumn } from '../identities/label-column.ts';
import type { QueryContext } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';
import type { RunRow } from './commands.ts';

export type ListedRun = RunRow & { readonly subject: string | null };

export interface RunFilter {
  readonly scopeId: string;
  readonly configurationId?: string;
  /** Only runs of configurations of these kinds in these bundles; absent: decided already. */
  readonly visible?: readonly { readonly surface: RunRow['surface']; readonly bundleIds: readonly string[] }[];
  readonly state?: RunRow['state'];
  readonly before?: { readonly createdAt: number; readonly id: string };
  readonly limit: number;
}

/** One page, newest first; the caller asks for one more than it shows. */
async function list({ db }: QueryContext, args: RunFilter): Promise<ListedRun[]> {
  let query = db
    .selectFrom('runs')
    .leftJoin('principals', 'principals.id', 'runs.subject_id')
    .selectAll('runs')
    .select(labelColumn.as('subject'))
    .where('runs.scope_id', '=', args.scopeId);
  if (args.configurationId !== undefined) query = query.where('runs.configuration_id', '=', args.configurationId);
  const { before } = args;
  const visible = args.visible?.filter(({ bundleIds }) => bundleIds.length > 0);
  if (visible !== undefined) {
    if (visible.length === 0) return [];
    query = query.where('runs.configuration_id', 'in', (column) =>
      column
        .selectFrom('configurations')
        .select('id')
        .where('scope_id', '=', args.scopeId)
        .where((each) =>
          each.or(
            visible.map(({ surface, bundleIds }) =>
              each.and([each('surface', '=', surface), each('bundle_id', 'in', bundleIds)]),
            ),
          ),
        ),
    );
  }
  if (args.state !== undefined) query = query.where('runs.state', '=', args.state);
  if (before !== undefined)
    query = query.where(sql<boolean>`(runs.created_at, runs.id) < (${before.createdAt}, ${before.id})`);
  return query.orderBy('runs.created_at', 'desc').orderBy('runs.id', 'desc').limit(args.limit).execute();
}

/** Unfinished runs with the lease of who has them; by an index of those alone, so cheap enough for the main thread. */
export async function unfinishedRuns({
  db,
}: QueryContext): Promise<(RunRow & { readonly lease_expires_at: number | null })[]> {
  return db
    .selectFrom('runs')
    .leftJoin('leases', (join) => join.on(sql`leases.name`, '=', sql`'runner:' || runs.holder`))
    .selectAll('runs')
    .select('leases.expires_at as lease_expires_at')
    .where('runs.state', 'in', ['queued', 'running'])
    .orderBy('runs.created_at')
    .execute();
}

/** Finished runs with a log, oldest first; by an index of finished runs, so bearable on the main thread every ten minutes. */
export async function runsWithLogs(
  { db }: QueryContext,
  args: { readonly limit: number },
): Promise<{ readonly id: string; readonly ended_at: number; readonly log_bytes: number }[]> {
  const rows = await db
    .selectFrom('runs')
    .select(['id', 'ended_at', 'log_bytes'])
    .where('ended_at', 'is not', null)
    .where('log_bytes', '>', 0)
    .orderBy('ended_at')
    .limit(args.limit)
    .execute();
  return rows.map((row) => ({ ...row, ended_at: row.ended_at ?? 0 }));
}

/** Bytes of all logs of finished runs. */
async function logBytes({ db }: QueryContext): Promise<number> {
  const { bytes } = await db
    .selectFrom('runs')
    .select((column) => column.fn.sum<number | null>('log_bytes').as('bytes'))
    .where('ended_at', 'is not', null)
    .executeTakeFirstOrThrow();
  return bytes ?? 0;
}

/** What runs that have ended may have left in clusters, of all of them or of one. */
export async function leftWorkloads(
  { db }: Pick<QueryContext, 'db'>,
  runId?: string,
): Promise<(Tables['run_workloads'] & { readonly ended_at: number })[]> {
  let query = db
    .selectFrom('run_workloads')
    .innerJoin('runs', 'runs.id', 'run_workloads.run_id')
    .selectAll('run_workloads')
    .select('runs.ended_at')
    .where('run_workloads.removed_at', 'is', null)
    .where('runs.ended_at', 'is not', null);
  if (runId !== undefined) query = query.where('run_workloads.run_id', '=', runId);
  const rows = await query.orderBy('runs.ended_at').limit(500).execute();
  return rows.map((row) => ({ ...row, ended_at: row.ended_at ?? 0 }));
}

/** The unfinished run of a configuration, with the revision it was launched at; the newest where there are several. */
export async function unfinishedRunOf(
  { db }: Pick<QueryContext, 'db'>,
  configurationId: string,
): Promise<{ readonly id: string; readonly state: RunRow['state']; readonly revision: number | null } | undefined> {
  return db
    .selectFrom('runs')
    .innerJoin('launches', 'launches.id', 'runs.id')
    .select(['runs.id', 'runs.state', 'launches.configuration_revision as revision'])
    .where('runs.configuration_id', '=', configurationId)
    .where('runs.state', 'in', ['queued', 'running'])
    .orderBy('runs.created_at', 'desc')
    .orderBy('runs.id', 'desc')
    .executeTakeFirst();
}

/** Runs that a new one takes the place of, and since when another one may have done so. */
export interface Replaced {
  readonly configurationId: string;
  /** Milliseconds since 1970: when the newest of those that have drifted was made. */
  readonly since: number;
  /** When it was asked for: a run made since then counts even if it has ended. */
  readonly askedAt: number;
  /** All of the configuration that have drifted. */
  readonly driftedIds: readonly string[];
}

/**
 * A run that was made after what drifted and has not drifted: it has, or gets, what is current. Unfinished, or made since it was
 * asked for.
 */
export async function newerRunOf(
  { db }: Pick<QueryContext, 'db'>,
  { configurationId, since, askedAt, driftedIds }: Replaced,
): Promise<string | undefined> {
  const row = await db
    .selectFrom('runs')
    .select('id')
    .where('configuration_id', '=', configurationId)
    .where((run) => run.or([run('state', 'in', ['queued', 'running']), run('created_at', '>=', askedAt)]))
    .where('created_at', '>=', since)
    .where('id', 'not in', ['', ...driftedIds])
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .executeTakeFirst();
  return row?.id;
}

export const runQueries = {
  'runs.list': list,
  'runs.logBytes': logBytes,
};
