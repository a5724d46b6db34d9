import { DatabaseSync } from 'node:sqlite';
import pg from 'pg';
import type { LoadedConfiguration } from '../config/load.ts';
import { dataFiles } from './data-directory.ts';
import { primaryUrl } from './postgres-hosts.ts';

export type Row = Readonly<Record<string, unknown>>;

/**
 * What statements without parameters find in the database, all in one snapshot. Writes nothing, and works while a server runs.
 *
 * @param who says to PostgreSQL who asks
 * @returns the rows of each statement. @throws the database's error, also where there is none
 */
export async function readBeside(
  { settings, secrets }: Pick<LoadedConfiguration, 'settings' | 'secrets'>,
  who: string,
  statements: readonly string[],
): Promise<readonly (readonly Row[])[]> {
  return secrets.databaseUrl === undefined
    ? readSqlite(dataFiles(settings.dataDir).database, statements)
    : readPostgres(secrets.databaseUrl, who, statements);
}

function readSqlite(path: string, statements: readonly string[]): readonly (readonly Row[])[] {
  const database = new DatabaseSync(path, { readOnly: true, timeout: 10_000 });
  try {
    database.exec('begin');
    return statements.map((statement) => database.prepare(statement).all());
  } finally {
    database.close();
  }
}

async function readPostgres(url: string, who: string, statements: readonly string[]) {
  const client = new pg.Client({ connectionString: await primaryUrl(url), application_name: `strongroom ${who}` });
  // What breaks fails the query that is under way; without a listener it would end the process.
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.query('begin isolation level repeatable read read only');
    const found: (readonly Row[])[] = [];
    for (const statement of statements) found.push((await client.query<Row>(statement)).rows);
    return found;
  } finally {
    await client.end();
  }
}
