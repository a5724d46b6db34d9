import type { Kysely } from 'kysely';
import type { Tables } from '../store/tables.ts';

export interface ReferenceHolder {
  readonly surface: string;
  readonly name: string;
  /** The domain's name, or `admin`. */
  readonly scope: string;
}

/** Live configurations that hold references, which need the feature: how many, and the first of them by scope, kind and name. */
export async function holdersOfReferences(
  db: Kysely<Tables>,
  limit: number,
): Promise<{ readonly count: number; readonly configurations: readonly ReferenceHolder[] }> {
  const holders = db
    .selectFrom('configurations')
    .innerJoin('scopes', 'scopes.id', 'configurations.scope_id')
    .where('configurations.deleted_at', 'is', null)
    .where('scopes.deleted_at', 'is', null)
    .where((column) =>
      column.exists(
        column
          .selectFrom('uses')
          .select('uses.pointer')
          .whereRef('uses.configuration_id', '=', 'configurations.id')
          .where('uses.kind', '=', 'reference'),
      ),
    );
  const { count } = await holders
    .select((column) => column.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  const configurations = await holders
    .select(['configurations.surface', 'configurations.name', 'scopes.name as scope'])
    .orderBy('scopes.name')
    .orderBy('configurations.surface')
    .orderBy('configurations.name')
    .limit(limit)
    .execute();
  return { count, configurations };
}
