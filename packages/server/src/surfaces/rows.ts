import { canonical } from './compare.ts';
import { hotStatement, type Store } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';

export type ConfigurationRow = Tables['configurations'];
export type UseRow = Tables['uses'];

const configurationByName = hotStatement<ConfigurationRow>('surfaces.configurationByName', (db) =>
  db
    .selectFrom('configurations')
    .selectAll()
    .where('scope_id', '=', '')
    .where('surface', '=', 'spark-job')
    .where('name', '=', '')
    .where('deleted_at', 'is', null)
    .compile(),
);

const configurationById = hotStatement<ConfigurationRow>('surfaces.configurationById', (db) =>
  db.selectFrom('configurations').selectAll().where('id', '=', '').compile(),
);

/** A configuration that is not deleted. */
export async function findConfiguration(
  store: Store,
  scopeId: string,
  surface: ConfigurationRow['surface'],
  name: string,
): Promise<ConfigurationRow | undefined> {
  return store.first(configurationByName, [scopeId, surface, name]);
}

/** A configuration by id, deleted or not. */
export async function configurationOf(store: Store, id: string): Promise<ConfigurationRow | undefined> {
  return store.first(configurationById, [id]);
}

/** The references that a configuration holds, with who put them there. */
export async function usesOfConfiguration(store: Store, configurationId: string): Promise<UseRow[]> {
  return store.db
    .selectFrom('uses')
    .selectAll()
    .where('configuration_id', '=', configurationId)
    .orderBy('pointer')
    .orderBy('reference')
    .execute();
}

/** Whether a row says the same of its configuration, whoever wrote it and when. */
export function isSameRow(before: ConfigurationRow, after: ConfigurationRow): boolean {
  const partsOf = (row: ConfigurationRow) => [JSON.parse(row.document), row.bundle_id, row.managed_by];
  return canonical(partsOf(before)) === canonical(partsOf(after));
}
