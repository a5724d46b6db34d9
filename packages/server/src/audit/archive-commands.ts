import { StrongroomError } from '@strongroom/contract/core';
import { sql } from 'kysely';
import { type LeaseToken, requireLease } from '../store/leases.ts';
import type { CommandContext } from '../store/store.ts';
import {
  type SegmentChain,
  segmentDigest,
  type SegmentDocument,
  segmentName,
  type SignedSegment,
} from './segment-document.ts';
import { latestCheckpoint } from './statements.ts';

export interface RemoveSegmentArgs {
  readonly segment: SignedSegment;
  /** What `segment` says. */
  readonly document: SegmentDocument;
  readonly lease: LeaseToken;
  readonly principalName: string;
}

/**
 * Removes what a segment holds and leaves its mark; both, and the record that tells of it, or nothing.
 *
 * @throws StrongroomError `version_conflict` when the archive has gone on, or a restore came, meanwhile; `state_conflict` when the
 * database does not hold exactly what the segment says
 */
async function removeSegment(context: CommandContext, args: RemoveSegmentArgs): Promise<void> {
  const { segment, document, lease, principalName } = args;
  const { db } = context;
  await requireLease(context, lease);
  const last = await db
    .selectFrom('audit_segments')
    .select('number')
    .orderBy('number', 'desc')
    .limit(1)
    .executeTakeFirst();
  if ((last?.number ?? 0) !== document.number - 1 || document.epoch !== context.epoch)
    throw new StrongroomError('version_conflict', { detail: 'The archive went on meanwhile.' });
  for (const chain of document.chains) await removeRecords(context, chain);
  await removeCheckpoints(context, document);
  await db
    .insertInto('audit_segments')
    .values({
      number: document.number,
      first_at: document.from,
      last_at: document.to,
      document: segment.document,
      signature: segment.signature,
      key_id: segment.keyId,
    })
    .execute();
  const name = segmentName(document);
  context.audit({
    principal: 'system',
    principalName,
    action: 'audit.archive',
    outcome: 'allowed',
    object: { type: 'audit-segment', id: name, name },
    detail: {
      number: document.number,
      digest: segmentDigest(segment),
      file: document.file.sha256,
      records: document.records,
      checkpoints: document.checkpoints,
    },
  });
}

async function removeRecords({ db }: CommandContext, { chain, first, last, hash }: SegmentChain): Promise<void> {
  const head = await db
    .selectFrom('audit_records')
    .select('hash')
    .where('chain_id', '=', chain)
    .where('sequence', '=', last)
    .executeTakeFirst();
  if (head === undefined || Buffer.from(head.hash).toString('hex') !== hash) throw differs(chain);
  const { numDeletedRows } = await db
    .deleteFrom('audit_records')
    .where('chain_id', '=', chain)
    .where('sequence', '<=', last)
    .executeTakeFirstOrThrow();
  if (Number(numDeletedRows) !== last - first + 1) throw differs(chain);
}

async function removeCheckpoints(context: CommandContext, document: SegmentDocument): Promise<void> {
  const { id, at } = document.lastCheckpoint;
  // The next checkpoint and the next chain link to the newest one.
  if ((await latestCheckpoint(context.db))?.id === id) throw differs(id);
  const { numDeletedRows } = await context.db
    .deleteFrom('audit_checkpoints')
    .where(sql<boolean>`(at, id) <= (${at}, ${id})`)
    .executeTakeFirstOrThrow();
  if (Number(numDeletedRows) !== document.checkpoints) throw differs(id);
}

function differs(what: string): StrongroomError {
  return new StrongroomError('state_conflict', {
    detail: `The database does not hold what the segment says of ${what}; nothing was removed.`,
    hint: 'Run strongroom audit verify, and keep the data and the archive as they are.',
  });
}

export const archiveCommands = { 'audit.removeSegment': removeSegment };
