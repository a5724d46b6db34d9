import { StrongroomError } from '@strongroom/contract';
import type { Settings } from '../config/settings.ts';
import type { LegacyTable } from '../managed-stores/legacy-table/table.ts';
import { globalScopeId } from '../store/ids.ts';
import type { Store } from '../store/store.ts';
import { amber, type Finding, ok, red } from './finding.ts';

export interface LegacyTableParts {
  readonly settings: { readonly managed: Pick<Settings['managed'], 'legacyTable'> };
  readonly store: Pick<Store, 'db'> | null;
  /** For reading; null: the settings name no database that could have it. */
  readonly openLegacyTable: (() => Promise<LegacyTable>) | null;
}

/** Whether the entries of a legacy install appear, and whether they are in plain text still. Counts rows, and reads none. */
export async function checkLegacyTable({ settings, store, openLegacyTable }: LegacyTableParts): Promise<Finding> {
  const { table = '', database } = settings.managed.legacyTable ?? {};
  if (openLegacyTable === null)
    return amber(
      'secretStore.type is database, and the database of the legacy install is not named: nothing of it appears.',
      'Set secretStore.databaseSettings.url, urlFile or sqliteFile. For a new install take secretStore away.',
    );
  try {
    const rows = await countRows(openLegacyTable);
    if (rows === 0) return ok(`${table} is empty: all of it was adopted. secretStore can be taken away`);
    const elsewhere = store === null ? undefined : await otherStore(store);
    if (elsewhere !== undefined)
      return amber(
        `Global's values are in ${elsewhere}, so that the rows of ${table} (${rows}) do not appear.`,
        'Give Global the store database while it holds no secrets, or take secretStore away.',
      );
    return amber(
      `${table} holds ${rows === 1 ? 'a secret' : `${rows} secrets`} in plain text.`,
      'Once nothing else writes there: strongroom store adopt --global encrypts and erases them.',
    );
  } catch (error) {
    if (!(error instanceof StrongroomError)) throw error;
    if (error.code === 'not_found' && database?.kind === 'own')
      return ok(`The server's own database has no table ${table}`);
    return red(error.detail ?? error.message, error.code === 'not_found' ? places : error.hint);
  }
}

const places = 'Check secretStore.databaseSettings: sqliteFile, table, keyColumn, valueColumn.';

async function countRows(open: () => Promise<LegacyTable>): Promise<number> {
  const table = await open();
  try {
    return await table.count();
  } finally {
    await table.close();
  }
}

async function otherStore({ db }: Pick<Store, 'db'>): Promise<string | undefined> {
  const source = await db
    .selectFrom('sources')
    .select('type')
    .where('scope_id', '=', globalScopeId)
    .where('name', '=', 'managed')
    .where('type', '!=', 'DATABASE')
    .executeTakeFirst();
  return source?.type;
}
