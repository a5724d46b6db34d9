import pg from 'pg';
import { primaryUrl } from '../store/postgres-hosts.ts';
import type { AuditSource } from './source.ts';
import { checkpointOf, hexOf, recordOf, segmentOf, segmentsSql } from './source-sqlite.ts';

type Row = Readonly<Record<string, unknown>>;

const recordColumns = 'chain_id, sequence, at, record, hash, mac, scope_id, principal_id, action, outcome';
const fetchRows = 2_000;

/**
 * The log in a PostgreSQL database, in one read-only snapshot (REPEATABLE READ). Works while servers write.
 *
 * @throws the driver's error when the database cannot be reached or read
 */
export async function openPostgresSource(url: string): Promise<AuditSource> {
  const client = new pg.Client({
    connectionString: await primaryUrl(url),
    application_name: 'strongroom audit verify',
  });
  // What breaks fails the query that is under way; without a listener it would end the process.
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.query('begin isolation level repeatable read read only');
    // The snapshot is taken by the first read.
    await client.query('select 1 from audit_chains limit 1');
  } catch (error) {
    await client.end();
    throw error;
  }
  let cursors = 0;
  async function* rows(sql: string): AsyncGenerator<Row> {
    cursors += 1;
    const name = `audit_rows_${cursors}`;
    await client.query(`declare ${name} no scroll cursor for ${sql}`);
    for (;;) {
      const { rows: batch } = await client.query<Row>(`fetch ${fetchRows} from ${name}`);
      yield* batch;
      if (batch.length < fetchRows) break;
    }
    await client.query(`close ${name}`);
  }
  return {
    async *chains() {
      for await (const row of rows('select id, head_sequence, head_hash from audit_chains order by id')) {
        yield { chain: row['id'] as string, sequence: Number(row['head_sequence']), hash: hexOf(row['head_hash']) };
      }
    },
    async *segments() {
      // A database that this release has not migrated yet has no archive.
      const { rows: found } = await client.query<Row>("select to_regclass('audit_segments') as name");
      if (found[0]?.['name'] !== null) for await (const row of rows(segmentsSql)) yield segmentOf(row);
    },
    async *checkpoints() {
      for await (const row of rows(
        'select id, at, document, signature, key_id from audit_checkpoints order by at, id',
      )) {
        yield checkpointOf(row);
      }
    },
    async *firstRecords() {
      for await (const row of rows(
        `select distinct on (chain_id) ${recordColumns} from audit_records order by chain_id, sequence`,
      )) {
        yield recordOf(row);
      }
    },
    async *records() {
      for await (const row of rows(`select ${recordColumns} from audit_records order by chain_id, sequence`)) {
        yield recordOf(row);
      }
    },
    damage: () => [],
    close: () => client.end(),
  };
}
