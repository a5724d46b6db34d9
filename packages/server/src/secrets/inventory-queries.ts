import type { InventoryFinding } from '@strongroom/contract';
import { sql } from 'kysely';
import { adminScopeId, globalScopeId } from '../store/ids.ts';
import type { QueryContext } from '../store/store.ts';
import { type ListedSecret, listSecrets, type SecretFilter, sharedAfterMilliseconds } from './queries.ts';
import { type UseRow, useRows } from './use-rows.ts';

/** Findings about a secret that is there. */
export type SecretFinding = Exclude<InventoryFinding, 'used-but-missing'>;

export type MissingCause = 'deleted' | 'absent' | 'not-assigned' | 'source-gone' | 'not-listed';

export type FoundInInventory =
  | { readonly finding: SecretFinding; readonly secret: ListedSecret; readonly sharedWith: readonly string[] }
  | {
      readonly finding: 'used-but-missing';
      readonly use: UseRow;
      readonly key: string;
      readonly targetScopeId: string;
      readonly cause: MissingCause;
      /** Milliseconds since 1970. */
      readonly deletedAt: number | null;
    };

/** Where a page begins: behind this one. */
export type InventoryPosition =
  | { readonly finding: SecretFinding; readonly foldedKey: string; readonly id: string }
  | {
      readonly finding: 'used-but-missing';
      readonly configurationId: string;
      readonly pointer: string;
      readonly reference: string;
    };

export interface InventoryArgs extends Pick<
  SecretFilter,
  'scopeId' | 'assignedTo' | 'usesIn' | 'holderKinds' | 'withinDays' | 'unusedForDays' | 'now' | 'limit'
> {
  /** In order. */
  readonly findings: readonly InventoryFinding[];
  readonly after: InventoryPosition | null;
}

/** Keys named in one finding. */
const namedKeys = 20;
/** An older listing says nothing about what is missing from it. */
const freshMilliseconds = 60 * 60_000;

/** One finding after another, each in the order of its own index. */
async function inventory(context: QueryContext, args: InventoryArgs): Promise<FoundInInventory[]> {
  const { after, findings } = args;
  const found: FoundInInventory[] = [];
  for (const finding of after === null ? findings : findings.slice(findings.indexOf(after.finding))) {
    const rest = { ...args, limit: args.limit - found.length };
    if (rest.limit <= 0) break;
    const from = after?.finding === finding ? after : null;
    found.push(
      ...(finding === 'used-but-missing'
        ? await missing(context, rest, from)
        : await secretsIn(context, finding, rest, from)),
    );
  }
  return found;
}

async function secretsIn(
  context: QueryContext,
  state: SecretFinding,
  { findings: _all, after: _after, ...filter }: InventoryArgs,
  from: InventoryPosition | null,
): Promise<FoundInInventory[]> {
  const start =
    from === null || from.finding === 'used-but-missing'
      ? undefined
      : sql<boolean>`(secrets.folded_key, secrets.id) > (${from.foldedKey}, ${from.id})`;
  const rows = await listSecrets(context, { ...filter, state }, start);
  const found: FoundInInventory[] = [];
  for (const secret of rows) {
    const sharedWith = state === 'shared-value' ? await sharersOf(context, secret, filter.now) : [];
    found.push({ finding: state, secret, sharedWith });
  }
  return found;
}

/** Keys of the same scope whose current value is that of the secret. */
async function sharersOf(context: QueryContext, secret: ListedSecret, now: number): Promise<string[]> {
  const mine = context.db
    .selectFrom('secret_versions')
    .where('secret_id', '=', secret.id)
    .where('epoch', '=', secret.current_epoch)
    .where('version', '=', secret.current_version);
  const rows = await context.db
    .selectFrom('secret_versions')
    .innerJoin('secrets', (join) =>
      join
        .onRef('secrets.id', '=', 'secret_versions.secret_id')
        .onRef('secrets.current_epoch', '=', 'secret_versions.epoch')
        .onRef('secrets.current_version', '=', 'secret_versions.version'),
    )
    .select('secrets.key')
    .where('secret_versions.fingerprint_term_id', '=', mine.select('fingerprint_term_id'))
    .where('secret_versions.fingerprint', '=', mine.select('fingerprint'))
    .where('secret_versions.is_comparable', '=', 1)
    .where('secret_versions.created_at', '<', now - sharedAfterMilliseconds)
    .where('secrets.scope_id', '=', secret.scope_id)
    .where('secrets.deleted_at', 'is', null)
    .where('secrets.id', '!=', secret.id)
    .orderBy('secrets.folded_key')
    .limit(namedKeys)
    .execute();
  return rows.map(({ key }) => key);
}

/**
 * Uses by the scope's configurations, and of its secrets, where nothing is: a secret that is deleted or was never there, an
 * integration that is gone, a key that its integration has not as it was last listed or asked.
 */
async function missing(
  context: QueryContext,
  { scopeId, usesIn, now, limit }: InventoryArgs,
  from: InventoryPosition | null,
): Promise<FoundInInventory[]> {
  // Both databases fold ASCII alone, and so is only such a key looked for in an index by its folded form.
  const isUnlisted = sql<boolean>`(
    integrations.index_is_cut = 0 and integrations.indexed_at > ${now - freshMilliseconds}
    and octet_length(uses.target_key) = length(uses.target_key)
    and not exists (
      select 1 from integration_keys k where k.source_id = uses.target_source_id
        and k.folded_key = lower(uses.target_key) and k.key = uses.target_key and k.generation > integrations.index_from))`;
  const isAbsentThere = sql<boolean>`exists (
    select 1 from source_versions v
    where v.source_id = uses.target_source_id and v.key = uses.target_key and v.is_absent = 1)`;
  // The platform's own uses take no assignment.
  const isUnassigned = sql<boolean>`(
    secrets.id is not null and uses.target_scope_id = ${globalScopeId} and uses.scope_id <> ${adminScopeId}
    and exists (select 1 from secret_assignments a where a.secret_id = secrets.id)
    and not exists (select 1 from secret_assignments a where a.secret_id = secrets.id and a.scope_id = uses.scope_id))`;
  let query = useRows(context)
    .leftJoin('secrets', 'secrets.id', 'uses.secret_id')
    .leftJoin('sources', 'sources.id', 'uses.target_source_id')
    .leftJoin('integrations', 'integrations.id', 'uses.target_source_id')
    .select([
      'uses.target_key',
      'uses.target_scope_id',
      'secrets.id as secret_id',
      'secrets.deleted_at',
      'sources.name as source',
      sql<number>`case when ${isUnassigned} then 1 else 0 end`.as('is_unassigned'),
    ])
    .where((column) => column.or([column('uses.target_scope_id', '=', scopeId), column('uses.scope_id', '=', scopeId)]))
    .where((column) =>
      column.or([
        column('sources.id', 'is', null),
        column.and([
          column('sources.name', '=', 'managed'),
          column.or([column('secrets.id', 'is', null), column('secrets.deleted_at', 'is not', null), isUnassigned]),
        ]),
        column.and([column('integrations.id', 'is not', null), column.or([isUnlisted, isAbsentThere])]),
      ]),
    );
  if (usesIn !== null) query = query.where('uses.scope_id', 'in', usesIn.length === 0 ? [''] : usesIn);
  if (from?.finding === 'used-but-missing')
    query = query.where(
      sql<boolean>`(uses.configuration_id, uses.pointer, uses.reference)
        > (${from.configurationId}, ${from.pointer}, ${from.reference})`,
    );
  const rows = await query
    .orderBy('uses.configuration_id')
    .orderBy('uses.pointer')
    .orderBy('uses.reference')
    .limit(limit)
    .execute();
  return rows.map(({ target_key, target_scope_id, secret_id, deleted_at, source, is_unassigned, ...use }) => ({
    finding: 'used-but-missing',
    use,
    key: target_key,
    targetScopeId: target_scope_id,
    cause: is_unassigned === 1 ? 'not-assigned' : causeOf({ secret_id, source }),
    deletedAt: deleted_at,
  }));
}

function causeOf(row: { readonly secret_id: string | null; readonly source: string | null }): MissingCause {
  if (row.source === null) return 'source-gone';
  if (row.source !== 'managed') return 'not-listed';
  return row.secret_id === null ? 'absent' : 'deleted';
}

export const inventoryQueries = { 'secret.inventory': inventory };
