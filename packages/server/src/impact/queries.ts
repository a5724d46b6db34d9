import type { SurfaceName } from '@strongroom/contract';
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

/** Fields that refer to it, by configuration and pointer. */
async function usesOf(
  context: QueryContext,
  args: { readonly target: ImpactTarget; readonly limit: number },
): Promise<HitUseRow[]> {
  const { target } = args;
  const query = hitUses(context).limit(args.limit);
  return 'secretId' in target
    ? query.where('uses.secret_id', '=', target.secretId).execute()
    : query
        .where('uses.target_scope_id', '=', target.scopeId)
        .where('uses.target_source_id', '=', target.sourceId)
        .execute();
}

/** Fields of a domain's configurations that stand on the USE of one of these principals. */
async function usesAuthorisedBy(
  context: QueryContext,
  args: { readonly scopeId: string; readonly principalIds: readonly string[]; readonly limit: number },
): Promise<HitUseRow[]> {
  return hitUses(context)
    .where('uses.scope_id', '=', args.scopeId)
    .where('uses.authorised_by', 'in', [...args.principalIds])
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

/** Configurations of a domain that use another one by the CONSUME of one of these principals. */
async function consumptionsAuthorisedBy(
  context: QueryContext,
  args: { readonly scopeId: string; readonly principalIds: readonly string[]; readonly limit: number },
): Promise<ConsumptionRow[]> {
  return consumptions(context)
    .where('consumptions.scope_id', '=', args.scopeId)
    .where('consumptions.authorised_by', 'in', [...args.principalIds])
    .limit(args.limit)
    .execute();
}

/** Who started a configuration. */
export interface StarterRow extends HitConfigurationRow {
  readonly subject_id: string;
}

/** Configurations of a domain that one of these principals started since. */
async function startedBy(
  context: QueryContext,
  args: {
    readonly scopeId: string;
    readonly principalIds: readonly string[];
    readonly since: number;
    readonly limit: number;
  },
): Promise<StarterRow[]> {
  return hitConfigurations(context)
    .innerJoin('launches', 'launches.configuration_id', 'configurations.id')
    .select('launches.subject_id')
    .distinct()
    .where('launches.scope_id', '=', args.scopeId)
    .where('launches.subject_id', 'in', [...args.principalIds])
    .where('launches.created_at', '>=', args.since)
    .orderBy('configurations.id')
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
  readonly subject_kind: string | null;
  readonly subject_name: string | null;
  readonly name: string;
}

/** What running launches got of it; or all that launches of these configurations got. Newest launch first. */
async function heldBy(
  { db }: QueryContext,
  args: {
    readonly target: ImpactTarget | { readonly configurationIds: readonly string[] };
    readonly limit: number;
  },
): Promise<HeldRow[]> {
  const { target } = args;
  const query = db
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
      'principals.kind as subject_kind',
      'principals.name as subject_name',
      'receipts.name',
    ])
    .where('launches.ended_at', 'is', null)
    .where('receipts.delivered_at', 'is not', null)
    .orderBy('launches.created_at', 'desc')
    .orderBy('launches.id', 'desc')
    .orderBy('receipts.pointer')
    .limit(args.limit);
  if ('secretId' in target) return query.where('receipts.secret_id', '=', target.secretId).execute();
  if ('sourceId' in target) return query.where('receipts.source_id', '=', target.sourceId).execute();
  return query.where('launches.configuration_id', 'in', [...target.configurationIds]).execute();
}

/** The members of a group, with the group itself; anybody else is alone. */
async function actorsOf(
  { db }: QueryContext,
  args: { readonly principalId: string; readonly limit: number },
): Promise<string[]> {
  const rows = await db
    .selectFrom('group_members')
    .innerJoin('principals', 'principals.id', 'group_members.principal_id')
    .select('principals.id')
    .where('group_members.group_id', '=', args.principalId)
    .where('principals.deleted_at', 'is', null)
    .orderBy('principals.id')
    .limit(args.limit)
    .execute();
  return [args.principalId, ...rows.map(({ id }) => id)];
}

export const impactQueries = {
  'impact.usesOf': usesOf,
  'impact.usesAuthorisedBy': usesAuthorisedBy,
  'impact.consumersOf': consumersOf,
  'impact.consumptionsAuthorisedBy': consumptionsAuthorisedBy,
  'impact.startedBy': startedBy,
  'impact.heldBy': heldBy,
  'impact.actorsOf': actorsOf,
};
