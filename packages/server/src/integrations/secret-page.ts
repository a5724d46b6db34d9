import { heldFields, type Holder, type SeenHolders } from '../impact/holders.ts';
import { inKeyOrder, type KeyPlace, type KeyPosition, startsAt } from '../secrets/key-order.ts';
import { type ListedSecret, listSecrets, type SecretFilter } from '../secrets/queries.ts';
import type { QueryContext } from '../store/store.ts';
import { type IndexOrigin, indexedKeys, type KeyFilter } from './choice-queries.ts';

/** One row of a scope's list: a secret of its managed store, or a key of an integration. */
export type ListedRow = KeyPosition &
  (
    | { readonly secret: ListedSecret }
    | { readonly secret: null; readonly fieldNames: readonly string[] | null; readonly uses: number }
  );

export interface SecretPageFilter {
  /** The managed store's; null: only keys of integrations. */
  readonly managed: (Omit<SecretFilter, 'limit' | 'q'> & { readonly scope: string }) | null;
  /** Integrations that the caller may use. */
  readonly origins: readonly IndexOrigin[];
  /** Fields of configurations count that are in these scopes; null: everywhere. */
  readonly usesIn: readonly string[] | null;
  /** Which kinds of what is no configuration count as well. */
  readonly holderKinds: readonly Holder['kind'][];
  /** Folded; empty: all. */
  readonly q: string;
  /** From here on, the position itself included. */
  readonly from: KeyPosition | null;
  readonly limit: number;
}

/** A page of secrets and keys of integrations: a bounded read of each, merged. */
async function page(context: QueryContext, args: SecretPageFilter): Promise<ListedRow[]> {
  const found: ListedRow[] = args.managed === null ? [] : await secrets(context, args.managed, args);
  for (const origin of args.origins)
    for (const { fieldNames, foldedKey, scope, sourceId, key } of await indexedKeys(context, origin, args))
      found.push({ foldedKey, scope, sourceId, key, secret: null, fieldNames, uses: 0 });
  return withUses(context, inKeyOrder(found, args.limit), { usesIn: args.usesIn, kinds: args.holderKinds });
}

async function secrets(
  context: QueryContext,
  { scope, ...filter }: NonNullable<SecretPageFilter['managed']>,
  { q, from, limit }: KeyFilter,
): Promise<ListedRow[]> {
  const source = await context.db
    .selectFrom('sources')
    .select('id')
    .where('scope_id', '=', filter.scopeId)
    .where('name', '=', 'managed')
    .executeTakeFirst();
  if (source === undefined) return [];
  const place: KeyPlace = { scope, sourceId: source.id };
  const rows = await listSecrets(context, { ...filter, q, limit }, from === null ? undefined : startsAt(place, from));
  return rows.map((secret) => ({ ...place, foldedKey: secret.folded_key, key: secret.key, secret }));
}

/** Keys of integrations with how many fields refer to them, of live configurations and of what else holds references. */
async function withUses(context: QueryContext, rows: readonly ListedRow[], seen: SeenHolders): Promise<ListedRow[]> {
  const { usesIn } = seen;
  const counts = new Map<string, number>();
  const bySource = Map.groupBy(
    rows.filter(({ secret }) => secret === null),
    ({ sourceId }) => sourceId,
  );
  const held = await heldFields(context, [...bySource.keys()], seen);
  for (const [sourceId, keys] of bySource) {
    let query = context.db
      .selectFrom('integrations')
      .innerJoin('uses', (join) =>
        join
          .onRef('uses.target_scope_id', '=', 'integrations.scope_id')
          .onRef('uses.target_source_id', '=', 'integrations.id'),
      )
      .innerJoin('configurations', 'configurations.id', 'uses.configuration_id')
      .select((column) => ['uses.target_key', column.fn.countAll<number>().as('count')])
      .where('integrations.id', '=', sourceId)
      .where(
        'uses.target_key',
        'in',
        keys.map(({ key }) => key),
      )
      .where('configurations.deleted_at', 'is', null)
      .groupBy('uses.target_key');
    if (usesIn !== null) query = query.where('uses.scope_id', 'in', usesIn.length === 0 ? [''] : usesIn);
    const ofSource = held.get(sourceId);
    for (const [key, count] of ofSource ?? []) counts.set(`${sourceId} ${key}`, count);
    for (const { target_key: key, count } of await query.execute())
      counts.set(`${sourceId} ${key}`, count + (ofSource?.get(key) ?? 0));
  }
  return rows.map((row) =>
    row.secret === null ? { ...row, uses: counts.get(`${row.sourceId} ${row.key}`) ?? 0 } : row,
  );
}

export const secretPageQueries = { 'secret.page': page };
