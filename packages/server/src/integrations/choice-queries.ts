import { inKeyOrder, type KeyPlace, type KeyPosition, startsAt } from '../secrets/key-order.ts';
import { assignedTo } from '../secrets/queries.ts';
import { searchCondition, secretSearches } from '../secrets/search.ts';
import type { QueryContext } from '../store/store.ts';
import { keySearches } from './key-search.ts';

/** A scope's managed store; `scope` is part of the order. */
export interface ManagedOrigin extends KeyPlace {
  readonly kind: 'managed';
  readonly scopeId: string;
  /** Only Global secrets assigned to all domains or to this one; null: all. */
  readonly assignedTo: string | null;
}

/** The index of an integration's keys. */
export interface IndexOrigin extends KeyPlace {
  readonly kind: 'index';
  /** Keys of this generation and older ones were listed with other settings. */
  readonly from: number;
}

export type ChoiceOrigin = ManagedOrigin | IndexOrigin;

export interface FoundChoice extends KeyPosition {
  /** Of a managed secret. */
  readonly secretId: string | null;
  readonly fieldNames: readonly string[] | null;
}

/** What to read of each origin. */
export interface KeyFilter {
  /** Folded; empty: all. */
  readonly q: string;
  /** From here on, the position itself included. */
  readonly from: KeyPosition | null;
  readonly limit: number;
}

export interface ChoiceFilter extends KeyFilter {
  readonly origins: readonly ChoiceOrigin[];
}

/** A page over all origins: a bounded read of each, merged. */
async function page(context: QueryContext, args: ChoiceFilter): Promise<FoundChoice[]> {
  const found: FoundChoice[] = [];
  for (const origin of args.origins)
    found.push(
      ...(origin.kind === 'managed' ? await secrets(context, origin, args) : await indexedKeys(context, origin, args)),
    );
  return inKeyOrder(found, args.limit);
}

async function secrets(context: QueryContext, origin: ManagedOrigin, args: KeyFilter): Promise<FoundChoice[]> {
  let query = context.db
    .selectFrom('secrets')
    .where('secrets.scope_id', '=', origin.scopeId)
    .where('secrets.source_id', '=', origin.sourceId)
    .where('secrets.deleted_at', 'is', null)
    // What belongs to a configuration is for nobody else.
    .where('secrets.owned_by', 'is', null);
  if (origin.assignedTo !== null) query = assignedTo(query, [origin.assignedTo]);
  if (args.from !== null) query = query.where(startsAt(origin, args.from));
  if (args.q !== '') {
    const matching = await searchCondition(context, secretSearches, args.q, origin.scopeId);
    if (matching === null) return [];
    query = query.where(matching);
  }
  const rows = await query
    .select(['secrets.id', 'secrets.key', 'secrets.folded_key', 'secrets.field_names'])
    .orderBy('secrets.folded_key')
    .limit(args.limit)
    .execute();
  return rows.map((row) => ({
    foldedKey: row.folded_key,
    scope: origin.scope,
    sourceId: origin.sourceId,
    key: row.key,
    secretId: row.id,
    fieldNames: row.field_names === null ? null : (JSON.parse(row.field_names) as string[]),
  }));
}

/** Keys of one index in the order of keys, without a look at its source. */
export async function indexedKeys(context: QueryContext, origin: IndexOrigin, args: KeyFilter): Promise<FoundChoice[]> {
  let query = context.db
    .selectFrom('integration_keys')
    .where('source_id', '=', origin.sourceId)
    .where('generation', '>', origin.from);
  if (args.from !== null) query = query.where(startsAt(origin, args.from));
  if (args.q !== '') {
    const matching = await searchCondition(context, keySearches, args.q, origin.sourceId);
    if (matching === null) return [];
    query = query.where(matching);
  }
  const rows = await query
    .select(['key', 'folded_key', 'field_names'])
    .orderBy('folded_key')
    .orderBy('key')
    .limit(args.limit)
    .execute();
  return rows.map((row) => ({
    foldedKey: row.folded_key,
    scope: origin.scope,
    sourceId: origin.sourceId,
    key: row.key,
    secretId: null,
    fieldNames: row.field_names === null ? null : (JSON.parse(row.field_names) as string[]),
  }));
}

export const choiceQueries = { 'choice.page': page };
