import type { SurfaceName } from '@strongroom/contract';
import { type SelectQueryBuilder, sql } from 'kysely';
import { labelColumn } from '../identities/label-column.ts';
import type { QueryContext } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';
import { outdatedLaunches } from './outdated.ts';
import { findOver } from './retention.ts';
import { findSilent } from './silent.ts';

export interface DriftFilter {
  /** The domain whose workloads are looked at; absent: all domains. */
  readonly scopeId?: string;
  /** Only secrets of sources of this scope; absent: all. */
  readonly targetScopeId?: string;
  readonly secretId?: string;
  /** Also launches that have ended. */
  readonly includesEnded: boolean;
  readonly before?: { readonly createdAt: number; readonly launchId: string; readonly pointer: string };
  readonly limit: number;
}

/** A delivered value that is not the current one. */
export interface DriftRow {
  readonly launch_id: string;
  readonly kind: 'run' | 'workload';
  readonly scope_id: string;
  readonly domain_name: string;
  readonly created_at: number;
  readonly heartbeat_until: number | null;
  readonly ended_at: number | null;
  readonly subject: string | null;
  readonly configuration_name: string | null;
  readonly surface: SurfaceName | null;
  readonly bundle_id: string | null;
  readonly name: string;
  readonly pointer: string;
  readonly reference: string;
  readonly source_name: string | null;
  readonly version: string;
  readonly current_version: string | null;
  /** When the backend of an integration last said so; null of managed secrets, whose version is known. */
  readonly observed_at: number | null;
  readonly delivered_at: number;
}

/**
 * The version that a launch would get now: `epoch.n` of a managed secret, null of a deleted or purged one; what the backend
 * of an integration said last, null of a key that is gone there.
 */
const current = sql<string | null>`case
  when receipts.secret_id is null then source_versions.version
  when secrets.id is null or secrets.deleted_at is not null then null
  else cast(secrets.current_epoch as text) || '.' || cast(secrets.current_version as text) end`;
/** What a backend was not asked for yet, or has no version of, is not known to be outdated. */
const isOutdated = sql<boolean>`case
  when receipts.secret_id is null then source_versions.is_absent = 1
    or (source_versions.version is not null and source_versions.version <> receipts.version)
  else ${current} is null or ${current} <> receipts.version end`;

/**
 * Receipts whose version is not the current one, newest launch first. Where few are, they are found by what changed; where many
 * are, the next page is soon found by looking at one launch after the other.
 */
async function drift(context: QueryContext, args: DriftFilter): Promise<DriftRow[]> {
  const few = args.includesEnded ? null : await outdatedLaunches(context, args);
  if (few?.length === 0) return [];
  let query = context.db
    .selectFrom('launches')
    .innerJoin('receipts', 'receipts.launch_id', 'launches.id')
    .innerJoin('scopes', 'scopes.id', 'launches.scope_id')
    .leftJoin('secrets', 'secrets.id', 'receipts.secret_id')
    .leftJoin('sources', 'sources.id', 'receipts.source_id')
    .leftJoin('source_versions', (join) =>
      join
        .onRef('source_versions.source_id', '=', 'receipts.source_id')
        .onRef('source_versions.key', '=', 'receipts.target_key'),
    )
    .leftJoin('principals', 'principals.id', 'launches.subject_id')
    .leftJoin('configurations', 'configurations.id', 'launches.configuration_id')
    .select([
      'launches.id as launch_id',
      'launches.kind',
      'launches.scope_id',
      'scopes.name as domain_name',
      'launches.created_at',
      'launches.heartbeat_until',
      'launches.ended_at',
      labelColumn.as('subject'),
      'configurations.name as configuration_name',
      'configurations.surface',
      'configurations.bundle_id',
      'receipts.name',
      'receipts.pointer',
      'receipts.reference',
      'sources.name as source_name',
      sql<string>`receipts.version`.as('version'),
      current.as('current_version'),
      'source_versions.observed_at',
      sql<number>`receipts.delivered_at`.as('delivered_at'),
    ])
    .where('receipts.delivered_at', 'is not', null)
    .where('receipts.version', 'is not', null)
    .where(isOutdated);
  if (args.targetScopeId !== undefined) query = query.where('sources.scope_id', '=', args.targetScopeId);
  if (args.secretId !== undefined) query = query.where('receipts.secret_id', '=', args.secretId);
  query = few === null ? inScope(query, args) : query.where('launches.id', 'in', few);
  const { before } = args;
  if (before !== undefined)
    query = query.where(
      sql<boolean>`(launches.created_at, launches.id, receipts.pointer) < (${before.createdAt}, ${before.launchId}, ${before.pointer})`,
    );
  return query
    .orderBy('launches.created_at', 'desc')
    .orderBy('launches.id', 'desc')
    .orderBy('receipts.pointer', 'desc')
    .limit(args.limit)
    .execute();
}

/** Not said beside the ids of a few launches: SQLite would take it for the better way to find them. */
function inScope<Row>(
  query: SelectQueryBuilder<Tables, 'launches', Row>,
  { scopeId, includesEnded }: Pick<DriftFilter, 'scopeId' | 'includesEnded'>,
): typeof query {
  const scoped = scopeId === undefined ? query : query.where('launches.scope_id', '=', scopeId);
  return includesEnded ? scoped : scoped.where('launches.ended_at', 'is', null);
}

/** A launch that is not over and holds a version that is not the current one. */
export interface DriftedLaunch {
  readonly id: string;
  readonly kind: 'run' | 'workload';
  readonly created_at: number;
  readonly configuration_id: string | null;
}

/** Launches of one domain, all runs before any workload, each oldest first. */
async function drifted(
  context: QueryContext,
  args: { readonly scopeId: string; readonly limit: number },
): Promise<DriftedLaunch[]> {
  const few = await outdatedLaunches(context, args);
  if (few?.length === 0) return [];
  let query = context.db
    .selectFrom('launches')
    .innerJoin('receipts', 'receipts.launch_id', 'launches.id')
    .leftJoin('secrets', 'secrets.id', 'receipts.secret_id')
    .leftJoin('source_versions', (join) =>
      join
        .onRef('source_versions.source_id', '=', 'receipts.source_id')
        .onRef('source_versions.key', '=', 'receipts.target_key'),
    )
    .select(['launches.id', 'launches.kind', 'launches.created_at', 'launches.configuration_id'])
    .distinct()
    .where('receipts.delivered_at', 'is not', null)
    .where('receipts.version', 'is not', null)
    .where(isOutdated);
  query = few === null ? inScope(query, { ...args, includesEnded: false }) : query.where('launches.id', 'in', few);
  return query
    .orderBy('launches.kind')
    .orderBy('launches.created_at')
    .orderBy('launches.id')
    .limit(args.limit)
    .execute();
}

/** A key of an integration that something running got. */
export interface HeldKey {
  readonly source_id: string;
  readonly source_name: string;
  readonly scope_id: string;
  readonly scope_name: string;
  readonly key: string;
}

/** Keys of live receipts whose backend was not asked since `before`, the longest not asked first. */
async function heldKeys(
  { db }: QueryContext,
  args: { readonly now: number; readonly before: number; readonly limit: number },
): Promise<HeldKey[]> {
  return db
    .selectFrom('launches')
    .innerJoin('receipts', 'receipts.launch_id', 'launches.id')
    .innerJoin('integrations', 'integrations.id', 'receipts.source_id')
    .innerJoin('scopes', 'scopes.id', 'integrations.scope_id')
    .leftJoin('source_versions', (join) =>
      join
        .onRef('source_versions.source_id', '=', 'receipts.source_id')
        .onRef('source_versions.key', '=', 'receipts.target_key'),
    )
    .select([
      'receipts.source_id',
      'integrations.name as source_name',
      'integrations.scope_id',
      'scopes.name as scope_name',
      'receipts.target_key as key',
      sql<number>`coalesce(source_versions.asked_at, 0)`.as('asked_at'),
    ])
    .distinct()
    .where('receipts.held', '=', 1)
    .where('receipts.secret_id', 'is', null)
    .where((column) =>
      column.or([column('launches.kind', '=', 'run'), column('launches.heartbeat_until', '>', args.now)]),
    )
    .where(sql<boolean>`coalesce(source_versions.asked_at, 0) <= ${args.before}`)
    .orderBy('asked_at')
    .orderBy('receipts.source_id')
    .orderBy('receipts.target_key')
    .limit(args.limit)
    .execute();
}

/** An integration of whose keys, held by something running, the backend has not said the version when it was last asked. */
export interface UncheckedSource {
  readonly source_name: string;
  readonly keys: number;
  /** An error's code; null: it was not asked yet. */
  readonly failure: string | null;
  /** When the oldest of them was last known; null: one never was. */
  readonly observed_at: number | null;
}

async function unchecked(
  { db }: QueryContext,
  args: { readonly scopeId?: string; readonly targetScopeId?: string },
): Promise<UncheckedSource[]> {
  let held = db
    .selectFrom('integrations')
    .innerJoin('receipts', 'receipts.source_id', 'integrations.id')
    .select(['integrations.name as source_name', 'receipts.source_id', 'receipts.target_key'])
    .distinct()
    .where('receipts.held', '=', 1)
    .where('receipts.secret_id', 'is', null);
  if (args.scopeId !== undefined) held = held.where('receipts.scope_id', '=', args.scopeId);
  if (args.targetScopeId !== undefined) held = held.where('integrations.scope_id', '=', args.targetScopeId);
  return db
    .selectFrom(held.as('held'))
    .leftJoin('source_versions', (join) =>
      join
        .onRef('source_versions.source_id', '=', 'held.source_id')
        .onRef('source_versions.key', '=', 'held.target_key'),
    )
    .select([
      'held.source_name',
      'source_versions.failure',
      sql<number>`count(*)`.as('keys'),
      sql<
        number | null
      >`case when count(*) = count(source_versions.observed_at) then min(source_versions.observed_at) end`.as(
        'observed_at',
      ),
    ])
    .where((column) =>
      column.or([column('source_versions.asked_at', 'is', null), column('source_versions.failure', 'is not', null)]),
    )
    .groupBy(['held.source_name', 'source_versions.failure'])
    .orderBy('held.source_name')
    .orderBy('source_versions.failure')
    .execute();
}

export const launchQueries = {
  'launches.unchecked': unchecked,
  'launches.heldKeys': heldKeys,
  'launches.drifted': drifted,
  'launches.drift': drift,
  'launches.silent': findSilent,
  'launches.over': findOver,
};
