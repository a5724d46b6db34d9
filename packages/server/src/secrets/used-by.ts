import { sql } from 'kysely';
import { type HeldTarget, type Holder, holdersOf } from '../impact/holders.ts';
import type { QueryContext } from '../store/store.ts';
import { type UseRow, useRows } from './use-rows.ts';

export interface UsedByArgs {
  readonly secretId: string;
  /** Where it is, and which kinds of what is no configuration are looked at. */
  readonly held: HeldTarget & { readonly kinds: readonly Holder['kind'][] };
  /** Only uses in these scopes; null: everywhere. */
  readonly usesIn: readonly string[] | null;
  readonly after?: { readonly configurationId: string; readonly pointer: string };
  readonly limit: number;
}

/** Fields that refer to a secret, of live configurations and of what else holds references, by who has it and field. */
export async function usedBy(context: QueryContext, args: UsedByArgs): Promise<UseRow[]> {
  const { held, usesIn, after } = args;
  let query = useRows(context).where('uses.secret_id', '=', args.secretId);
  if (usesIn !== null) query = query.where('uses.scope_id', 'in', usesIn.length === 0 ? [''] : usesIn);
  if (after !== undefined)
    query = query.where(
      sql<boolean>`(uses.configuration_id, uses.pointer) > (${after.configurationId}, ${after.pointer})`,
    );
  const rows = await query.orderBy('uses.configuration_id').orderBy('uses.pointer').limit(args.limit).execute();
  if (held.kinds.length === 0) return rows;
  const others = (await holdersOf(context, held))
    .filter(({ kind, scopeId }) => held.kinds.includes(kind) && (usesIn?.includes(scopeId) ?? true))
    .map(holderRow)
    .filter(
      (row) =>
        after === undefined ||
        isBehind(row, { ...row, configuration_id: after.configurationId, pointer: after.pointer }),
    );
  return others.length === 0 ? rows : [...rows, ...others].sort(byPlace).slice(0, args.limit);
}

function holderRow({ kind, id, name, scopeId, scopeName, pointer, field, reference, authorisedBy }: Holder): UseRow {
  return {
    configuration_id: id,
    surface: kind,
    configuration: name,
    domain: scopeName,
    scope_id: scopeId,
    pointer,
    name: field,
    reference,
    kind: 'reference',
    authorised_by: authorisedBy,
  };
}

/** As the databases order ids and pointers: by code point. */
function byPlace(one: UseRow, other: UseRow): number {
  return isBehind(one, other) ? 1 : -1;
}

function isBehind(one: UseRow, other: UseRow): boolean {
  return one.configuration_id === other.configuration_id
    ? one.pointer > other.pointer
    : one.configuration_id > other.configuration_id;
}
