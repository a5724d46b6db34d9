import { sql } from 'kysely';
import type { QueryContext } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';
import { archiveQueries } from './archive-queries.ts';
import type { SignedCheckpoint } from './checkpoint-document.ts';
import type { ChainHead } from './record.ts';
import { latestCheckpoint, movedHeads, type MovedHead } from './statements.ts';

export interface RecordPlace {
  readonly at: number;
  readonly chain: string;
  readonly sequence: number;
}

export interface RecordFilter {
  /** Id or name; a name also of scopes that are deleted. */
  readonly scope?: string;
  /** Id or name, with or without its kind (`user:ann`); a name also of principals that are deleted. */
  readonly principal?: string;
  readonly action?: string;
  readonly outcome?: string;
  /** Milliseconds since 1970, inclusive. */
  readonly from?: number;
  /** Milliseconds since 1970, exclusive. */
  readonly to?: number;
}

export interface RecordPage extends RecordFilter {
  /** Older than this. */
  readonly before?: RecordPlace;
  readonly limit: number;
}

export interface ListedRecord {
  readonly chain_id: string;
  readonly sequence: number;
  readonly at: number;
  readonly record: Uint8Array;
  readonly hash: Uint8Array;
  readonly principal_id: string | null;
  readonly scope_id: string | null;
  readonly action: string;
  readonly outcome: string;
}

/** Newest first. */
async function list(context: QueryContext, args: RecordPage): Promise<ListedRecord[]> {
  let query = context.db
    .selectFrom('audit_records')
    .select(['chain_id', 'sequence', 'at', 'record', 'hash', 'principal_id', 'scope_id', 'action', 'outcome']);
  if (args.scope !== undefined) query = query.where('scope_id', 'in', await scopeIds(context, args.scope));
  if (args.principal !== undefined)
    query = query.where('principal_id', 'in', await principalIds(context, args.principal));
  if (args.action !== undefined) query = query.where('action', '=', args.action);
  if (args.outcome !== undefined) query = query.where('outcome', '=', args.outcome);
  if (args.from !== undefined) query = query.where('at', '>=', args.from);
  if (args.to !== undefined) query = query.where('at', '<', args.to);
  const { before } = args;
  if (before !== undefined)
    query = query.where(sql<boolean>`(at, chain_id, sequence) < (${before.at}, ${before.chain}, ${before.sequence})`);
  return query
    .orderBy('at', 'desc')
    .orderBy('chain_id', 'desc')
    .orderBy('sequence', 'desc')
    .limit(args.limit)
    .execute();
}

async function scopeIds(context: QueryContext, scope: string): Promise<readonly string[]> {
  const rows = await context.db.selectFrom('scopes').select('id').where('name', '=', scope).execute();
  return [scope, ...rows.map((row) => row.id)];
}

const principalKinds = ['user', 'group', 'service-account'] as const;

async function principalIds(context: QueryContext, principal: string): Promise<readonly string[]> {
  const kind = principalKinds.find((prefix) => principal.startsWith(`${prefix}:`));
  const name = kind === undefined ? principal : principal.slice(kind.length + 1);
  const rows = await context.db
    .selectFrom('principals')
    .select('id')
    .where('kind', 'in', kind === undefined ? principalKinds : [kind])
    .where('name', '=', name)
    .execute();
  return [principal, ...rows.map((row) => row.id)];
}

export interface CheckpointState {
  readonly heads: readonly MovedHead[];
  /** The newest checkpoint. */
  readonly previous: Tables['audit_checkpoints'] | null;
  /** All that happened since is that checkpoint's own record. */
  readonly isOnlyCheckpoint: boolean;
}

/** What the next checkpoint would cover. */
export async function checkpointState(context: QueryContext): Promise<CheckpointState> {
  const heads = await movedHeads(context.db);
  const previous = await latestCheckpoint(context.db);
  const [head] = heads;
  let isOnlyCheckpoint = false;
  if (head !== undefined && heads.length === 1 && head.sequence === head.checkpointed + 1) {
    const row = await context.db
      .selectFrom('audit_records')
      .select('action')
      .where('chain_id', '=', head.chain)
      .where('sequence', '=', head.sequence)
      .executeTakeFirst();
    isOnlyCheckpoint = row?.action === 'audit.checkpoint';
  }
  return { heads, previous: previous ?? null, isOnlyCheckpoint };
}

export interface ExportStart {
  readonly chains: readonly (ChainHead & { readonly startedAt: number })[];
  readonly lastCheckpointId: string | null;
  /** Of the last archived segment; 0 when none is. */
  readonly lastSegment: number;
}

/** Where an export ends: every chain's head, the last checkpoint and the last mark at one moment, hence in one statement. */
async function exportStart(context: QueryContext): Promise<ExportStart> {
  const rows = await context.db
    .selectFrom('audit_chains')
    .select((column) => [
      'id',
      'started_at',
      'head_sequence',
      'head_hash',
      column
        .selectFrom('audit_checkpoints')
        .select('audit_checkpoints.id')
        .orderBy('audit_checkpoints.at', 'desc')
        .orderBy('audit_checkpoints.id', 'desc')
        .limit(1)
        .as('checkpoint_id'),
      column
        .selectFrom('audit_segments')
        .select((segment) => segment.fn.max('audit_segments.number').as('number'))
        .as('segment'),
    ])
    .orderBy('audit_chains.id')
    .execute();
  return {
    chains: rows.map((row) => ({
      chain: row.id,
      sequence: row.head_sequence,
      hash: Buffer.from(row.head_hash).toString('hex'),
      startedAt: row.started_at,
    })),
    lastCheckpointId: rows[0]?.checkpoint_id ?? null,
    lastSegment: rows[0]?.segment ?? 0,
  };
}

export interface ExportedRow {
  readonly sequence: number;
  readonly record: Uint8Array;
  readonly hash: Uint8Array;
  readonly mac: Uint8Array;
}

/** Records of one chain after one sequence up to another. */
async function exportRecords(
  context: QueryContext,
  args: { readonly chain: string; readonly after: number; readonly to: number; readonly limit: number },
): Promise<ExportedRow[]> {
  return context.db
    .selectFrom('audit_records')
    .select(['sequence', 'record', 'hash', 'mac'])
    .where('chain_id', '=', args.chain)
    .where('sequence', '>', args.after)
    .where('sequence', '<=', args.to)
    .orderBy('sequence')
    .limit(args.limit)
    .execute();
}

/** Checkpoints by (time, id), after one place. */
async function exportCheckpoints(
  context: QueryContext,
  args: { readonly after: { readonly at: number; readonly id: string } | null; readonly limit: number },
): Promise<SignedCheckpoint[]> {
  let query = context.db.selectFrom('audit_checkpoints').selectAll();
  if (args.after !== null) query = query.where(sql<boolean>`(at, id) > (${args.after.at}, ${args.after.id})`);
  const rows = await query.orderBy('at').orderBy('id').limit(args.limit).execute();
  return rows.map(({ id, at, document, signature, key_id: keyId }) => ({ id, at, document, signature, keyId }));
}

export const auditQueries = {
  ...archiveQueries,
  'audit.list': list,
  'audit.exportStart': exportStart,
  'audit.exportRecords': exportRecords,
  'audit.exportCheckpoints': exportCheckpoints,
};
