import type { Kysely } from 'kysely';
import type { BackupFacts } from './backup.ts';
import { readSchemaVersion } from './migrate.ts';
import { SqliteConnection, sqliteStorageFailure } from './sqlite-connection.ts';
import { answerCalls } from './thread.ts';

answerCalls({
  copy: async (paths: { readonly database: string; readonly copy: string }): Promise<BackupFacts> => {
    try {
      copyDatabase(paths);
      return await readFacts(paths.copy);
    } catch (error) {
      throw sqliteStorageFailure(error) ?? error;
    }
  },
});

/** One read transaction long, so the copy is of one moment; compacted, so it has nothing that was deleted before. */
function copyDatabase({ database, copy }: { readonly database: string; readonly copy: string }): void {
  const connection = new SqliteConnection(database, 'read');
  try {
    connection.database.prepare('vacuum into ?').run(copy);
  } finally {
    connection.close();
  }
}

async function readFacts(copy: string): Promise<BackupFacts> {
  const connection = new SqliteConnection(copy, 'read');
  try {
    const check = connection.database.prepare('pragma quick_check').get();
    if (check?.['quick_check'] !== 'ok') throw new TypeError('The copy of the database is not sound');
    const installation = await connection.db
      .selectFrom('installation')
      .select(['id', 'epoch', 'kek_id'])
      .executeTakeFirstOrThrow();
    const chains = await connection.db.selectFrom('audit_chains').selectAll().orderBy('id').execute();
    return {
      installationId: installation.id,
      epoch: installation.epoch,
      kekId: installation.kek_id,
      schemaVersion: await readSchemaVersion(connection.db as unknown as Kysely<unknown>),
      auditHeads: chains.map((chain) => ({
        chain: chain.id,
        sequence: chain.head_sequence,
        hash: Buffer.from(chain.head_hash).toString('hex'),
      })),
    };
  } finally {
    connection.close();
  }
}
