import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { StrongroomError } from '@strongroom/contract';
import { type LegacyRow, type LegacyTable, type LegacyTablePlace, noSuchTable, quoted, tableFailed } from './table.ts';

const busyMilliseconds = 5_000;

/** A table in an SQLite file. @param isTrial nothing can be written through it */
export function openSqliteTable(place: LegacyTablePlace, file: string, isTrial: boolean): LegacyTable {
  const sql = quoted(place);
  // Otherwise the file would be made.
  if (!existsSync(file)) throw new StrongroomError('not_found', { detail: `There is no file ${file}.` });
  const database = guarded(() => new DatabaseSync(file, { readOnly: isTrial, timeout: busyMilliseconds }));
  const [encoding] = guarded(() => database.prepare('PRAGMA encoding').all());
  if (encoding?.['encoding'] !== 'UTF-8') {
    database.close();
    throw new StrongroomError('not_supported', {
      detail: 'The SQLite file has its texts in another encoding than UTF-8.',
    });
  }
  if (!isTrial) guarded(() => database.exec('PRAGMA secure_delete = ON; PRAGMA synchronous = FULL'));
  const requireTable = (): void => {
    const [name = '', schema = 'main'] = place.table.split('.').toReversed();
    const names = database.prepare('SELECT name FROM pragma_table_info(?, ?)').all(name, schema);
    const columns = new Set(names.map((column) => String(column['name'])));
    if (!columns.has(place.keyColumn) || !columns.has(place.valueColumn)) throw noSuchTable(place);
  };
  return {
    async count() {
      return guarded(() => {
        requireTable();
        return Number(database.prepare(`SELECT count(*) AS n FROM ${sql.table}`).get()?.['n']);
      });
    },
    async read() {
      return guarded(() => {
        requireTable();
        // As bytes: what isn't UTF-8 in a text column is neither altered nor hidden.
        const rows = database
          .prepare(`SELECT CAST(${sql.key} AS TEXT) AS k, CAST(${sql.value} AS BLOB) AS v FROM ${sql.table} ORDER BY k`)
          .all();
        return rows.map((row): LegacyRow => ({ key: textOf(row['k']), value: bytesOf(row['v']) }));
      });
    },
    async erase(key, value) {
      const statement = `DELETE FROM ${sql.table} WHERE CAST(${sql.key} AS TEXT) = ? AND CAST(${sql.value} AS BLOB) = ?`;
      return guarded(() => Number(database.prepare(statement).run(key, value).changes) > 0);
    },
    async finish() {
      const left = 'Copies and backups of the file still hold what was in it.';
      try {
        database.exec('VACUUM');
        const [checkpoint] = database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').all();
        if (checkpoint?.['busy'] !== 1) return left;
      } catch (error) {
        if (!(error instanceof Error)) throw error;
      }
      return `Another program has the file open, so that it could not be rewritten: end it, then run VACUUM. ${left}`;
    },
    async close() {
      database.close();
    },
  };
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

function bytesOf(value: unknown): Uint8Array | null {
  return value instanceof Uint8Array ? value : null;
}

function guarded<Result>(work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    throw error instanceof StrongroomError ? error : tableFailed(error);
  }
}
