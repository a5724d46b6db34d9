import { type RawBuilder, sql } from 'kysely';
import { assignedTo } from '../secrets/queries.ts';
import { searchCondition, secretSearches } from '../secrets/search.ts';
import type { QueryContext } from '../store/store.ts';
import { keySearches } from './key-search.ts';

/** Where choices come from; `scope` is part of their order. */
export type ChoiceOrigin =
  | {
      readonly kind: 'managed';
      readonly scope: string;
      readonly scopeId: string;
      readonly sourceId: string;
      /** Only Global secrets assigned to all domains or to this one; null: all. */
      readonly assignedTo: string | null;
    }
  | {
      readonly kind: 'index';
      readonly scope: string;
      readonly sourceId: string;
      /** Keys of this generation and older ones were listed with other settings. */
      readonly from: number;
    };

/** The order of choices: all of them together. */
export interface ChoicePosition {
  readonly foldedKey: string;
  readonly scope: string;
  readonly sourceId: string;
  readonly key: string;
}

export interface FoundChoice extends ChoicePosition {
  /** Of a managed secret. */
  readonly secretId: string | null;
  readonly fieldNames: readonly string[] | null;
}

export interface ChoiceFilter {
  readonly origins: readonly ChoiceOrigin[];
  /** Folded; empty: all. */
  readonly q: string;
  /** From here on, the position itself included. */
  readonly from: ChoicePosition | null;
  readonly limit: number;
}

/** A page over all origins: a bounded read of each, merged. */
async function page(context: QueryContext, args: ChoiceFilter): Promise<FoundChoice[]> {
  const found: FoundChoice[] = [];
  for (const origin of args.origins)
    found.push(
      ...(origin.kind === 'managed' ? await secrets(context, origin, args) : await keys(context, origin, args)),
    );
  return found.sort(comparePositions).slice(0, args.limit);
}

async function secrets(
  context: QueryContext,
  origin: Extract<ChoiceOrigin, { kind: 'managed' }>,
  args: ChoiceFilter,
): Promise<FoundChoice[]> {
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

async function keys(
  context: QueryContext,
  origin: Extract<ChoiceOrigin, { kind: 'index' }>,
  args: ChoiceFilter,
): Promise<FoundChoice[]> {
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

/** Where a page begins in one origin: at the position when it is this origin's own, else before or behind all of its key. */
function startsAt(origin: ChoiceOrigin, { foldedKey, key, ...place }: ChoicePosition): RawBuilder<boolean> {
  const order = comparePlaces(origin, place);
  if (order === 0) return sql<boolean>`(folded_key, key) >= (${foldedKey}, ${key})`;
  return order > 0 ? sql<boolean>`folded_key >= ${foldedKey}` : sql<boolean>`folded_key > ${foldedKey}`;
}

function comparePositions(a: ChoicePosition, b: ChoicePosition): number {
  return compare(a.foldedKey, b.foldedKey) || comparePlaces(a, b) || compare(a.key, b.key);
}

function comparePlaces(
  a: { readonly scope: string; readonly sourceId: string },
  b: { readonly scope: string; readonly sourceId: string },
): number {
  return compare(a.scope, b.scope) || compare(a.sourceId, b.sourceId);
}

/** As both databases order text: by code point. JavaScript's order of surrogates is another one. */
function compare(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at += 1) {
    const [x, y] = [a.charCodeAt(at), b.charCodeAt(at)];
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

/** UTF-16 code units in the order of the code points that they begin. */
function rank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

export const choiceQueries = { 'choice.page': page };
