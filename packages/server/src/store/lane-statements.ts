import { StrongroomError } from '@strongroom/contract/core';
import type { AuditRow } from '../audit/chain.ts';
import { hotStatement, type SqlValue } from './store.ts';

/** Statements every lane runs, whatever the command. */

export const installationState = hotStatement(
  'lane.installationState',
  (db) => db.selectFrom('installation').select(['epoch', 'authorisation_revision']).compile(),
  { isRemembered: true },
);

/** PostgreSQL: keeps other lanes from moving the revision until this transaction ends, and waits for one that is moving it. */
export const lockedAuthorisationRevision = hotStatement('lane.lockedAuthorisationRevision', (db) =>
  db.selectFrom('installation').select('authorisation_revision').forShare().compile(),
);

export const nextAuthorisationRevision = hotStatement('lane.nextAuthorisationRevision', (db) =>
  db
    .updateTable('installation')
    .set((row) => ({ authorisation_revision: row('authorisation_revision', '+', row.lit(1)) }))
    .returning('authorisation_revision')
    .compile(),
);

export const insertAuditRow = hotStatement('lane.insertAuditRow', (db) =>
  db
    .insertInto('audit_records')
    .values({
      chain_id: '',
      sequence: 0,
      at: 0,
      record: new Uint8Array(),
      hash: new Uint8Array(),
      mac: new Uint8Array(),
      scope_id: '',
      principal_id: '',
      action: '',
      outcome: '',
    })
    .compile(),
);

export function auditRowParameters(row: AuditRow): readonly SqlValue[] {
  return [
    row.chain_id,
    row.sequence,
    row.at,
    row.record,
    row.hash,
    row.mac,
    row.scope_id,
    row.principal_id,
    row.action,
    row.outcome,
  ];
}

/** Parameters: chain, started at, 0, sequence, hash. */
export const moveChainHead = hotStatement('lane.moveChainHead', (db) =>
  db
    .insertInto('audit_chains')
    .values({ id: '', started_at: 0, checkpointed_sequence: 0, head_sequence: 0, head_hash: new Uint8Array() })
    .onConflict((conflict) =>
      conflict.column('id').doUpdateSet((row) => ({
        head_sequence: row.ref('excluded.head_sequence'),
        head_hash: row.ref('excluded.head_hash'),
      })),
    )
    .compile(),
);

export function chainHeadParameters(head: AuditRow): readonly SqlValue[] {
  return [head.chain_id, head.at, 0, head.sequence, head.hash];
}

/** A statement ended the transaction on its own, and the command did not say so. */
export function endedEarly(): StrongroomError {
  return new StrongroomError('storage_unavailable', { detail: 'The transaction ended before its commit.' });
}
