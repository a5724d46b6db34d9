import { DatabaseSync } from 'node:sqlite';
import type { AuditSource, StoredRecord } from './source.ts';
import type { SignedCheckpoint } from './checkpoint-document.ts';
import type { SignedSegment } from './segment-document.ts';

type Row = Readonly<Record<string, unknown>>;

const recordColumns = 'chain_id, sequence, at, record, hash, mac, scope_id, principal_id, action, outcome';

export const segmentsSql = 'select number, document, signature, key_id from audit_segments order by number';

/**
 * The log in an SQLite file, in one read transaction. Writes nothing and works while a server has the file open; it keeps
 * the write-ahead log from shrinking until closed.
 *
 * @throws the database's error when the file is not one or cannot be read
 */
export async function openSqliteSource(path: string): Promise<AuditSource> {
  const database = new DatabaseSync(path, { readOnly: true, timeout: 10_000 });
  try {
    database.exec('begin');
    // A transaction begins with its first read.
    database.prepare('select count(*) from (select 1 from audit_chains limit 1)').get();
  } catch (error) {
    database.close();
    throw error;
  }
  const rows = (sql: string): Iterable<Row> => database.prepare(sql).iterate() as Iterable<Row>;
  return {
    async *chains() {
      for (const row of rows('select id, head_sequence, head_hash from audit_chains order by id')) {
        yield { chain: row['id'] as string, sequence: Number(row['head_sequence']), hash: hexOf(row['head_hash']) };
      }
    },
    async *segments() {
      // A database that this release has not migrated yet has no archive.
      const [table] = rows("select 1 from sqlite_schema where name = 'audit_segments'");
      if (table !== undefined) for (const row of rows(segmentsSql)) yield segmentOf(row);
    },
    async *checkpoints() {
      for (const row of rows('select id, at, document, signature, key_id from audit_checkpoints order by at, id')) {
        yield checkpointOf(row);
      }
    },
    async *firstRecords() {
      for (const row of rows(
        `select ${recordColumns} from audit_records where (chain_id, sequence) in (select chain_id, min(sequence) from audit_records group by chain_id) order by chain_id`,
      )) {
        yield recordOf(row);
      }
    },
    async *records() {
      for (const row of rows(`select ${recordColumns} from audit_records order by chain_id, sequence`)) {
        yield recordOf(row);
      }
    },
    damage: () => [],
    async close() {
      database.close();
    },
  };
}

/** A row of audit_records, of either database. */
export function recordOf(row: Row): StoredRecord {
  return {
    chain: row['chain_id'] as string,
    sequence: Number(row['sequence']),
    record: row['record'] as Uint8Array,
    hash: row['hash'] as Uint8Array,
    mac: row['mac'] as Uint8Array,
    columns: {
      at: Number(row['at']),
      scopeId: row['scope_id'] as string | null,
      principalId: row['principal_id'] as string | null,
      action: row['action'] as string,
      outcome: row['outcome'] as string,
    },
  };
}

/** A row of audit_checkpoints, of either database. */
export function checkpointOf(row: Row): SignedCheckpoint {
  return {
    id: row['id'] as string,
    at: Number(row['at']),
    document: row['document'] as Uint8Array,
    signature: row['signature'] as Uint8Array,
    keyId: row['key_id'] as string,
  };
}

/** A row of audit_segments, of either database. */
export function segmentOf(row: Row): SignedSegment {
  return {
    number: Number(row['number']),
    document: row['document'] as Uint8Array,
    signature: row['signature'] as Uint8Array,
    keyId: row['key_id'] as string,
  };
}

export function hexOf(bytes: unknown): string {
  return Buffer.from(bytes as Uint8Array).toString('hex');
}
