import { parseReference } from '@strongroom/contract/core';
import { sql } from 'kysely';
import { type HeldTarget, type Holder, holdersOf } from '../impact/holders.ts';
import type { QueryContext } from '../store/store.ts';
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

export interface UsedByArgs {
  readonly target: UsedTarget;
  /** Where it is, and which kinds of what is no configuration are looked at. */
  readonly held: HeldTarget & { readonly kinds: readonly Holder['kind'][] };
  /** Only uses in these scopes; null: everywhere. */
  readonly usesIn: readonly string[] | null;
  readonly after?: UsePosition | undefined;
  readonly limit: number;
}

/** Fields that refer to it, of live configurations and of what else holds references, by who has it, field and reference. */
export async function usedBy(context: QueryContext, args: UsedByArgs): Promise<UseRow[]> {
  const { target, held, usesIn, after } = args;
  let query = useRows(context);
  if ('secretId' in target) query = query.where('uses.secret_id', '=', target.secretId);
  else {
    query = query
      .where('uses.target_scope_id', '=', target.scopeId)
      .where('uses.target_source_id', '=', target.sourceId)
      .where('uses.target_key', '=', target.key);
    if (target.field !== undefined) query = query.where('uses.target_field', '=', target.field);
  }
  if (usesIn !== null) query = query.where('uses.scope_id', 'in', usesIn.length === 0 ? [''] : usesIn);
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
  if (held.kinds.length === 0) return rows;
  const field = 'secretId' in target ? undefined : target.field;
  const others = (await holdersOf(context, held))
    .filter(({ kind, scopeId }) => held.kinds.includes(kind) && (usesIn?.includes(scopeId) ?? true))
    .filter(({ reference }) => field === undefined || parseReference(reference).field === field)
    .map(holderRow)
    .filter((row) => after === undefined || isBehind(positionOf(row), after));
  return others.length === 0 ? rows : [...rows, ...others].sort(byPlace).slice(0, args.limit);
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
