import { StrongroomError } from '@strongroom/contract';
import pg from 'pg';
import { primaryUrl } from '../../store/postgres-hosts.ts';
import { type LegacyRow, type LegacyTable, type LegacyTablePlace, noSuchTable, quoted, tableFailed } from './table.ts';

const connectMilliseconds = 5_000;
const statementMilliseconds = 60_000;
/** https://www.postgresql.org/docs/current/errcodes-appendix.html: undefined table, undefined column, unknown schema. */
const absent: ReadonlySet<string> = new Set(['42P01', '42703', '3F000']);

/** A table in PostgreSQL. @param isTrial nothing can be written through it */
export async function openPostgresTable(place: LegacyTablePlace, url: string, isTrial: boolean): Promise<LegacyTable> {
  const sql = quoted(place);
  const client = new pg.Client({
    connectionString: await primaryUrl(url),
    connectionTimeoutMillis: connectMilliseconds,
    statement_timeout: statementMilliseconds,
    application_name: 'strongroom legacy table',
  });
  // A connection that breaks while nothing is asked is found by the next question.
  client.on('error', () => undefined);
  const guarded = async <Result>(work: () => Promise<Result>): Promise<Result> => {
    try {
      return await work();
    } catch (error) {
      if (error instanceof StrongroomError) throw error;
      const isAbsent = error instanceof pg.DatabaseError && absent.has(error.code ?? '');
      throw isAbsent ? noSuchTable(place) : tableFailed(error);
    }
  };
  await guarded(() => client.connect());
  if (isTrial) await guarded(() => client.query('SET default_transaction_read_only = on'));
  /** Text as its bytes; bytea as it is. */
  const value = `CASE WHEN pg_typeof(${sql.value})::text = 'bytea' THEN ${sql.value}::text::bytea ELSE convert_to(${sql.value}::text, 'UTF8') END`;
  return {
    count: () =>
      guarded(async () => {
        // The columns are named, so that a table without them is none here either.
        const { rows } = await client.query<{ n: string }>(
          `SELECT count(*) AS n FROM (SELECT ${sql.key}, ${sql.value} FROM ${sql.table}) AS found`,
        );
        return Number(rows[0]?.n);
      }),
    read: () =>
      guarded(async () => {
        const { rows } = await client.query<{ k: string | null; v: Buffer | null }>(
          `SELECT ${sql.key}::text AS k, ${value} AS v FROM ${sql.table} ORDER BY ${sql.key}::text COLLATE "C"`,
        );
        return rows.map(({ k, v }): LegacyRow => ({ key: k, value: v }));
      }),
    erase: (key, bytes) =>
      guarded(async () => {
        const { rowCount } = await client.query(
          `DELETE FROM ${sql.table} WHERE ${sql.key}::text = $1 AND ${value} = $2`,
          [key, Buffer.from(bytes)],
        );
        return (rowCount ?? 0) > 0;
      }),
    async finish() {
      const left = 'The write-ahead log, replicas and backups of that database still hold what was in the table.';
      try {
        await client.query(`VACUUM FULL ${sql.table}`);
        return left;
      } catch (error) {
        if (!(error instanceof pg.DatabaseError)) throw tableFailed(error);
        return `VACUUM FULL ${place.table} was refused (${error.code ?? ''}): let its owner run it. ${left}`;
      }
    },
    close: () => client.end(),
  };
}
