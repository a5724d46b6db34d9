import type { Kysely, Selectable } from 'kysely';
import type { Tables } from '../store/tables.ts';
import type { ChainHead } from './record.ts';

/** The newest checkpoint. */
export async function latestCheckpoint(
  db: Kysely<Tables>,
): Promise<Selectable<Tables['audit_checkpoints']> | undefined> {
  return db
    .selectFrom('audit_checkpoints')
    .selectAll()
    .orderBy('at', 'desc')
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst();
}

/** A head and how far a checkpoint covers its chain. */
export interface MovedHead extends ChainHead {
  readonly checkpointed: number;
}

/** Heads of chains that have moved since the last checkpoint, by chain id. */
export async function movedHeads(db: Kysely<Tables>): Promise<readonly MovedHead[]> {
  const rows = await db
    .selectFrom('audit_chains')
    .select(['id', 'head_sequence', 'head_hash', 'checkpointed_sequence'])
    .whereRef('head_sequence', '>', 'checkpointed_sequence')
    .orderBy('id')
    .execute();
  return rows.map((row) => ({
    chain: row.id,
    sequence: row.head_sequence,
    hash: Buffer.from(row.head_hash).toString('hex'),
    checkpointed: row.checkpointed_sequence,
  }));
}
