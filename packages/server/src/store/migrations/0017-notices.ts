import type { Kysely } from 'kysely';
import type { ColumnTypes } from './column-types.ts';
import type { Migration } from './index.ts';
import { createTable, oneOf, type TableSpec } from './table-spec.ts';

const tables: readonly TableSpec[] = [
  {
    name: 'notice_settings',
    columns: {
      scope_id: 'text',
      recipients: 'text',
      webhook_url: 'text?',
      signing_reference: 'text?',
      signing_source_id: 'text?',
      signing_key: 'text?',
      authorised_by: 'text',
      expiry_lead_days: 'integer',
      revision: 'integer',
      updated_at: 'integer',
      updated_by: 'text',
    },
    primaryKey: ['scope_id'],
    references: { scope_id: 'scopes' },
    indexes: { signing: { columns: ['signing_source_id', 'signing_key'], where: 'signing_source_id is not null' } },
  },
  {
    name: 'notices',
    columns: {
      id: 'text',
      scope_id: 'text',
      secret_id: 'text',
      key: 'text',
      kind: 'text',
      due_at: 'integer',
      created_at: 'integer',
    },
    primaryKey: ['id'],
    references: { scope_id: 'scopes' },
    indexes: {
      // Once for each due date.
      due: { columns: ['secret_id', 'kind', 'due_at'], isUnique: true },
      scope: { columns: ['scope_id', 'id'] },
    },
    checks: { kind: oneOf('kind', 'expiry', 'rotation') },
  },
  {
    name: 'notice_deliveries',
    columns: {
      notice_id: 'text',
      channel: 'text',
      recipient: 'text',
      state: 'text',
      attempts: 'integer',
      next_at: 'integer',
      attempted_at: 'integer?',
      delivered_at: 'integer?',
      problem: 'text?',
    },
    primaryKey: ['notice_id', 'channel', 'recipient'],
    isKeyed: true,
    references: { notice_id: 'notices' },
    indexes: { pending: { columns: ['next_at', 'notice_id'], where: "state = 'pending'" } },
    checks: {
      channel: oneOf('channel', 'mail', 'webhook'),
      state: oneOf('state', 'pending', 'delivered', 'failed', 'obsolete'),
    },
  },
];

/** Notices of expiries and due rotations: who gets them, which there were, and what became of them. */
export const notices: Migration = {
  name: 'notices',
  async up(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
    for (const table of tables) await createTable(db, types, table);
  },
};
