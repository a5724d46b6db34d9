import { parseReference } from '@strongroom/contract/core';
import { type Expression, expressionBuilder, type SqlBool, sql } from 'kysely';
import { type HeldTarget, type Holder, holdersOf, isSeenHolder } from '../impact/holders.ts';
import type { QueryContext } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';
import { type UseRow, useRows } from './use-rows.ts';

/** A managed secret, or what a reference points to: a key of an integration has no row of its own. */
export type UsedTarget =
  | { readonly secretId: string }
  | { readonly scopeId: string; readonly sourceId: string; readonly key: string; readonly field?: string };

/** Where a page begins: behind this one. */
export interface UsePosition {
  readonly configurationId: string;
  readonly pointer: string;
  readonly reference: string;
}

export interface UsesFilter {
  readonly target: UsedTarget;
  /** Where it is, and which kinds of what is no configuration are looked at. */
  readonly held: HeldTarget & { readonly kinds: readonly Holder['kind'][] };
  /** Only uses in these scopes; null: everywhere. */
  readonly usesIn: readonly string[] | null;
  /** None of the uses in these. */
  readonly usesNotIn?: readonly string[];
}

export interface UsedByArgs extends UsesFilter {
  readonly after?: UsePosition | undefined;
  readonly limit: number;
}

/** Fields that refer to it, of live configurations and of what else holds references, by who has it, field and reference. */
export async function usedBy(context: QueryContext, args: UsedByArgs): Promise<UseRow[]> {
  const { after } = args;
  let query = useRows(context).where((is) => is.and(conditionsOf(args)));
  if (after !== undefined)
    query = query.where(
      sql<boolean>`(uses.configuration_id, uses.pointer, uses.reference) > (${after.configurationId}, ${after.pointer}, ${after.reference})`,
    );
  const rows = await query
    .orderBy('uses.configuration_id')
    .orderBy('uses.pointer')
    .orderBy('uses.reference')
    .limit(args.limit)
    .execute();
  const others = (await otherHolders(context, args))
    .map(holderRow)
    .filter((row) => after === undefined || isBehind(positionOf(row), after));
  return others.length === 0 ? rows : [...rows, ...others].sort(byPlace).slice(0, args.limit);
}

/** How many fields that are. */
export async function countUsedBy(context: QueryContext, filter: UsesFilter): Promise<number> {
  const { count } = await context.db
    .selectFrom(
      useRows(context)
        .where((is) => is.and(conditionsOf(filter)))
        .as('found'),
    )
    .select((column) => column.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  return count + (await otherHolders(context, filter)).length;
}

function conditionsOf({ target, usesIn, usesNotIn = [] }: UsesFilter): Expression<SqlBool>[] {
  const is = expressionBuilder<Tables, 'uses'>();
  const conditions =
    'secretId' in target
      ? [is('uses.secret_id', '=', target.secretId)]
      : [
          is('uses.target_scope_id', '=', target.scopeId),
          is('uses.target_source_id', '=', target.sourceId),
          is('uses.target_key', '=', target.key),
          ...(target.field === undefined ? [] : [is('uses.target_field', '=', target.field)]),
        ];
  if (usesIn !== null) conditions.push(is('uses.scope_id', 'in', usesIn.length === 0 ? [''] : usesIn));
  if (usesNotIn.length > 0) conditions.push(is('uses.scope_id', 'not in', usesNotIn));
  return conditions;
}

/** What holds a reference and is no configuration. */
async function otherHolders(context: QueryContext, filter: UsesFilter): Promise<readonly Holder[]> {
  const { target, held, usesIn, usesNotIn = [] } = filter;
  if (held.kinds.length === 0) return [];
  const field = 'secretId' in target ? undefined : target.field;
  return (await holdersOf(context, held))
    .filter((holder) => isSeenHolder(holder, { kinds: held.kinds, usesIn }))
    .filter(({ scopeId }) => !usesNotIn.includes(scopeId))
    .filter(({ reference }) => field === undefined || parseReference(reference).field === field);
}

function holderRow({ kind, id, name, scopeId, scopeName, pointer, field, reference, authorisedBy }: Holder): UseRow {
  return {
    configuration_id: id,
    surface: kind,
    configuration: name,
    bundle_id: null,
    is_suspended: 0,
    domain: scopeName,
    scope_id: scopeId,
    pointer,
    name: field,
    reference,
    kind: 'reference',
    authorised_by: authorisedBy,
  };
}

export function positionOf({ configuration_id, pointer, reference }: UseRow): UsePosition {
  return { configurationId: configuration_id, pointer, reference };
}

/** As the databases order ids, pointers and references: by code point. */
function byPlace(one: UseRow, other: UseRow): number {
  return isBehind(positionOf(one), positionOf(other)) ? 1 : -1;
}

function isBehind(one: UsePosition, other: UsePosition): boolean {
  if (one.configurationId !== other.configurationId) return one.configurationId > other.configurationId;
  return one.pointer === other.pointer ? one.reference > other.reference : one.pointer > other.pointer;
}
