import type { SurfaceName } from '@strongroom/contract';
import { labelColumn } from '../identities/label-column.ts';
import type { QueryContext } from '../store/store.ts';

/** What is looked for: a managed secret, or every key of an integration. */
export type ImpactTarget = { readonly secretId: string } | { readonly scopeId: string; readonly sourceId: string };

/** A live configuration, with what it takes to decide who may see it. */
export interface HitConfigurationRow {
  readonly configuration_id: string;
  readonly surface: SurfaceName;
  readonly configuration: string;
  readonly bundle_id: string;
  readonly is_suspended: number;
  readonly scope_id: string;
  readonly domain: string;
}

/** One field of it. */
export interface HitUseRow extends HitConfigurationRow {
  readonly pointer: string;
  readonly name: string;
  readonly reference: string;
  readonly kind: 'reference' | 'placeholder';
  readonly authorised_by: string;
}

function hitConfigurations({ db }: Pick<QueryContext, 'db'>) {
  return db
    .selectFrom('configurations')
    .innerJoin('scopes', 'scopes.id', 'configurations.scope_id')
    .select([
      'configurations.id as configuration_id',
      'configurations.surface',
      'configurations.name as configuration',
      'configurations.bundle_id',
      'configurations.is_suspended',
      'configurations.scope_id',
      'scopes.name as domain',
    ])
    .where('configurations.deleted_at', 'is', null)
    .where('scopes.deleted_at', 'is', null);
}

function hitUses(context: Pick<QueryContext, 'db'>) {
  return hitConfigurations(context)
    .innerJoin('uses', 'uses.configuration_id', 'configurations.id')
    .select(['uses.pointer', 'uses.name', 'uses.reference', 'uses.kind', 'uses.authorised_by'])
    .orderBy('uses.configuration_id')
    .orderBy('uses.pointer')
    .orderBy('uses.reference');
}

/** In which scopes something is looked for: these, or all but these. */
export type Within = { readonly in: readonly string[] } | { readonly notIn: readonly string[] };

/** Fields that refer to it, by configuration and pointer. */
async function usesOf(
  context: QueryContext,
  args: { readonly target: ImpactTarget; readonly within?: Within; readonly limit: number },
): Promise<HitUseRow[]> {
  const { target, within } = args;
  let query = hitUses(context).limit(args.limit);
  if (within !== undefined)
    query =
      'in' in within
        ? query.where('uses.scope_id', 'in', someOf(within.in))
        : query.where('uses.scope_id', 'not in', someOf(within.notIn));
  return 'secretId' in target
    ? query.where('uses.secret_id', '=', target.secretId).execute()
    : query
        .where('uses.target_scope_id', '=', target.scopeId)
        .where('uses.target_source_id', '=', target.sourceId)
        .execute();
}

/** Whose doing is looked at, and where; `null`: everybody's, everywhere. */
export interface DoneBy {
  readonly scopeId: string | null;
  readonly principalIds: readonly string[] | null;
  readonly limit: number;
}

/** Fields of configurations that stand on the USE of one of these principals. */
async function usesAuthorisedBy(context: QueryContext, args: DoneBy): Promise<HitUseRow[]> {
  let query = hitUses(context);
  if (args.scopeId !== null) query = query.where('uses.scope_id', '=', args.scopeId);
  if (args.principalIds !== null) query = query.where('uses.authorised_by', 'in', someOf(args.principalIds));
  return query.limit(args.limit).execute();
}

function someOf(ids: readonly string[]): readonly string[] {
  return ids.length === 0 ? [''] : ids;
}

/** Live configurations of a scope. */
async function configurationsOf(
  context: QueryContext,
  args: { readonly scopeId: string; readonly limit: number },
): Promise<HitConfigurationRow[]> {
  return hitConfigurations(context)
    .where('configurations.scope_id', '=', args.scopeId)
    .orderBy('configurations.id')
    .limit(args.limit)
    .execute();
}

/** Those of them that can be launched, with what they are. */
async function launchedIn(
  context: QueryContext,
  args: { readonly scopeId: string; readonly surfaces: readonly SurfaceName[]; readonly limit: number },
): Promise<(HitConfigurationRow & { readonly document: string })[]> {
  return hitConfigurations(context)
    .select('configurations.document')
    .where('configurations.scope_id', '=', args.scopeId)
    .where('configurations.surface', 'in', [...args.surfaces])
    .orderBy('configurations.id')
    .limit(args.limit)
    .execute();
}

/** A configuration that uses another one. */
export interface ConsumptionRow extends HitConfigurationRow {
  readonly consumed_id: string;
  readonly authorised_by: string;
}

function consumptions(context: Pick<QueryContext, 'db'>) {
  return hitConfigurations(context)
    .innerJoin('consumptions', 'consumptions.configuration_id', 'configurations.id')
    .select(['consumptions.consumed_id', 'consumptions.authorised_by'])
    .orderBy('consumptions.configuration_id')
    .orderBy('consumptions.consumed_id');
}

/** Configurations that use one of these. */
async function consumersOf(
  context: QueryContext,
  args: { readonly consumedIds: readonly string[]; readonly limit: number },
): Promise<ConsumptionRow[]> {
  return consumptions(context)
    .where('consumptions.consumed_id', 'in', [...args.consumedIds])
    .limit(args.limit)
    .execute();
}

/** Configurations that use another one by the CONSUME of one of these principals. */
async function consumptionsAuthorisedBy(context: QueryContext, args: DoneBy): Promise<ConsumptionRow[]> {
  let query = consumptions(context);
  if (args.scopeId !== null) query = query.where('consumptions.scope_id', '=', args.scopeId);
  if (args.principalIds !== null) query = query.where('consumptions.authorised_by', 'in', someOf(args.principalIds));
  return query.limit(args.limit).execute();
}

/** Who started a configuration. */
export interface StarterRow extends HitConfigurationRow {
  readonly subject_id: string;
}

/** Configurations that one of these principals started since. */
async function startedBy(context: QueryContext, args: DoneBy & { readonly since: number }): Promise<StarterRow[]> {
  let query = hitConfigurations(context)
    .innerJoin('launches', 'launches.configuration_id', 'configurations.id')
    .select('launches.subject_id')
    .distinct()
    .where('launches.created_at', '>=', args.since);
  if (args.scopeId !== null) query = query.where('launches.scope_id', '=', args.scopeId);
  if (args.principalIds !== null) query = query.where('launches.subject_id', 'in', someOf(args.principalIds));
  return query.orderBy('configurations.id').limit(args.limit).execute();
}

/** Who got values in a domain without a configuration, and how often. */
export interface LauncherRow {
  readonly subject_id: string;
  readonly scope_id: string;
  readonly domain: string;
  readonly launches: number;
  readonly last_at: number;
}

/** Which of these principals asked for values themselves since, and where. */
async function launchedBy({ db }: QueryContext, args: DoneBy & { readonly since: number }): Promise<LauncherRow[]> {
  let query = db
    .selectFrom('launches')
    .innerJoin('scopes', 'scopes.id', 'launches.scope_id')
    .select((column) => [
      'launches.subject_id',
      'launches.scope_id',
      'scopes.name as domain',
      column.fn.countAll<number>().as('launches'),
      column.fn.max('launches.created_at').as('last_at'),
    ])
    .where('launches.kind', '=', 'workload')
    .where('launches.configuration_id', 'is', null)
    .where('launches.created_at', '>=', args.since)
    .where('scopes.deleted_at', 'is', null);
  if (args.scopeId !== null) query = query.where('launches.scope_id', '=', args.scopeId);
  if (args.principalIds !== null) query = query.where('launches.subject_id', 'in', someOf(args.principalIds));
  return query
    .groupBy(['launches.subject_id', 'launches.scope_id', 'scopes.name'])
    .orderBy('scopes.name')
    .orderBy('launches.subject_id')
    .limit(args.limit)
    .execute();
}

/** A variable of a launch that has not ended. */
export interface HeldRow {
  readonly launch_id: string;
  readonly kind: 'run' | 'workload';
  readonly created_at: number;
  readonly heartbeat_until: number | null;
  readonly configuration_id: string | null;
  readonly surface: SurfaceName | null;
  readonly configuration: string | null;
  readonly bundle_id: string | null;
  readonly scope_id: string;
  readonly domain: string;
  readonly subject: string | null;
  readonly name: string;
}

/** Everything that these launches got: of configurations, of a scope, or those that somebody makes for itself. */
export type HeldOf =
  | { readonly configurationIds: readonly string[] }
  | { readonly heldIn: string }
  | { readonly workloadsOf: string };

/** What running launches got of it; or all that some of them got. Newest launch first. */
async function heldBy(
  { db }: QueryContext,
  args: {
    readonly target: ImpactTarget | HeldOf;
    readonly within?: Within;
    readonly limit: number;
  },
): Promise<HeldRow[]> {
  const { target, within } = args;
  let query = db
    .selectFrom('receipts')
    .innerJoin('launches', 'launches.id', 'receipts.launch_id')
    .innerJoin('scopes', 'scopes.id', 'launches.scope_id')
    .leftJoin('configurations', 'configurations.id', 'launches.configuration_id')
    .leftJoin('principals', 'principals.id', 'launches.subject_id')
    .select([
      'launches.id as launch_id',
      'launches.kind',
      'launches.created_at',
      'launches.heartbeat_until',
      'launches.configuration_id',
      'configurations.surface',
      'configurations.name as configuration',
      'configurations.bundle_id',
      'launches.scope_id',
      'scopes.name as domain',
      labelColumn.as('subject'),
      'receipts.name',
    ])
    .where('launches.ended_at', 'is', null)
    .where('receipts.delivered_at', 'is not', null)
    .orderBy('launches.created_at', 'desc')
    .orderBy('launches.id', 'desc')
    .orderBy('receipts.pointer')
    .limit(args.limit);
  if (within !== undefined)
    query =
      'in' in within
        ? query.where('launches.scope_id', 'in', someOf(within.in))
        : query.where('launches.scope_id', 'not in', someOf(within.notIn));
  if ('secretId' in target) return query.where('receipts.secret_id', '=', target.secretId).execute();
  if ('sourceId' in target) return query.where('receipts.source_id', '=', target.sourceId).execute();
  if ('heldIn' in target) return query.where('launches.scope_id', '=', target.heldIn).execute();
  if ('workloadsOf' in target)
    return query
      .where('launches.subject_id', '=', target.workloadsOf)
      .where('launches.kind', '=', 'workload')
      .execute();
  return query.where('launches.configuration_id', 'in', [...target.configurationIds]).execute();
}

/** The members of a group; of anybody else none. */
async function membersOf(
  { db }: QueryContext,
  args: { readonly groupId: string; readonly limit: number },
): Promise<string[]> {
  const rows = await db
    .selectFrom('group_members')
    .innerJoin('principals', 'principals.id', 'group_members.principal_id')
    .select('principals.id')
    .where('group_members.group_id', '=', args.groupId)
    .where('principals.deleted_at', 'is', null)
    .orderBy('principals.id')
    .limit(args.limit)
    .execute();
  return rows.map(({ id }) => id);
}

export const impactQueries = {
  'impact.usesOf': usesOf,
  'impact.usesAuthorisedBy': usesAuthorisedBy,
  'impact.consumersOf': consumersOf,
  'impact.consumptionsAuthorisedBy': consumptionsAuthorisedBy,
  'impact.configurationsOf': configurationsOf,
  'impact.launchedIn': launchedIn,
  'impact.startedBy': startedBy,
  'impact.launchedBy': launchedBy,
  'impact.heldBy': heldBy,
  'impact.membersOf': membersOf,
};
