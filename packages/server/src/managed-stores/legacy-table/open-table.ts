import type { LoadedConfiguration } from '../../config/load.ts';
import type { FollowParts } from './follow-table.ts';
import type { LegacyTable, LegacyTablePlace } from './table.ts';

/** The table that the settings name; null when they name none, or no database that could have it. */
export function configuredTable({ settings, secrets }: LoadedConfiguration): LegacyTablePlace | null {
  const { legacyTable } = settings.managed;
  if (legacyTable === null) return null;
  const { database, ...names } = legacyTable;
  if (database.kind === 'sqlite') return { database, ...names };
  const url = { own: secrets.databaseUrl, named: secrets.legacyDatabaseUrl, unnamed: undefined }[database.kind];
  return url === undefined ? null : { database: { kind: 'postgres', url }, ...names };
}

/** How the configured table is opened to be read again and again; null when there is none to open. */
export function followedTable(configuration: LoadedConfiguration): Pick<FollowParts, 'open' | 'mayBeAbsent'> | null {
  const place = configuredTable(configuration);
  if (place === null) return null;
  const mayBeAbsent = configuration.settings.managed.legacyTable?.database.kind === 'own';
  return { open: () => openTable(place, true), mayBeAbsent };
}

/**
 * @param isTrial nothing can be written through it
 * @throws StrongroomError `not_found` for an SQLite file; `storage_unavailable`
 */
export async function openTable(place: LegacyTablePlace, isTrial: boolean): Promise<LegacyTable> {
  const { database } = place;
  if (database.kind === 'sqlite') {
    const { openSqliteTable } = await import('./sqlite-table.ts');
    return openSqliteTable(place, database.file, isTrial);
  }
  const { openPostgresTable } = await import('./postgres-table.ts');
  return openPostgresTable(place, database.url, isTrial);
}
