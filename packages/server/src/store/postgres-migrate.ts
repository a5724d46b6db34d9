import type { Kysely } from 'kysely';
import pg from 'pg';
import { migrate, readSchemaVersion } from './migrate.ts';
import { type Migration, migrations } from './migrations/index.ts';
import { connectionFailure, kyselyOverClient, rowTypes } from './postgres-connection.ts';
import { primaryUrl } from './postgres-hosts.ts';

/** Names Strongroom's migrations among the advisory locks of a database. */
const migrationLock = 7_364_551_202;
const lockTimeoutMilliseconds = 60_000;
const connectTimeoutMilliseconds = 5_000;

/**
 * Migrates the schema, one process at a time: others wait, then find it done.
 *
 * @throws StrongroomError `state_conflict` for a newer schema; `storage_unavailable`; the old schema stays
 */
export async function migratePostgres(url: string, known: readonly Migration[] = migrations): Promise<void> {
  const client = new pg.Client({
    connectionString: await primaryUrl(url),
    application_name: 'strongroom migration',
    types: rowTypes,
    connectionTimeoutMillis: connectTimeoutMilliseconds,
    lock_timeout: lockTimeoutMilliseconds,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (error) {
    throw connectionFailure(error);
  }
  try {
    const db = kyselyOverClient((query) => client.query(query)) as unknown as Kysely<unknown>;
    if ((await readSchemaVersion(db, known)) === known.length) return;
    await client.query('begin');
    await client.query('select pg_advisory_xact_lock($1::int8)', [migrationLock]);
    const clock = await client.query<{ now: number }>('select (extract(epoch from now()) * 1000)::int8 as now');
    await migrate(db, 'postgres', clock.rows[0]?.now ?? 0, known);
    await client.query('commit');
  } finally {
    // Ending the connection rolls back a transaction that is still open.
    await client.end();
  }
}
