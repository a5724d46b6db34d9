import type { SelectQueryBuilder } from 'kysely';
import { forEachInTurn, type MaybePromise } from '../store/maybe-promise.ts';
import { type CommandContext, hotStatement, type SqlValue } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';
import type { ReceiptDraft } from './resolve.ts';

/**
 * A receipt as a command takes it: the columns from `name` to `unmasked`, in their order, the fingerprint in hex. Plain
 * positions cross threads cheaply, and so does text; each array of bytes would be two objects of its own.
 */
export type ReceiptRow = readonly (string | number | null)[];

export const receiptLength = 11;
const versionAt = 6;
const fingerprintAt = 7;

export function receiptRow(draft: ReceiptDraft): ReceiptRow {
  return [
    draft.name,
    draft.pointer,
    draft.reference,
    draft.secretId,
    draft.sourceId,
    draft.targetKey,
    draft.version,
    draft.fingerprint === null ? null : hexOf(draft.fingerprint),
    draft.outcome,
    draft.milliseconds,
    draft.unmasked,
  ];
}

const insertReceipt = hotStatement<unknown>('launches.insertReceipt', (db) =>
  db
    .insertInto('receipts')
    .values({
      launch_id: '',
      scope_id: '',
      name: '',
      pointer: '',
      reference: '',
      secret_id: '',
      source_id: '',
      target_key: '',
      version: '',
      fingerprint: new Uint8Array(0),
      outcome: '',
      milliseconds: 0,
      unmasked: '',
      delivered_at: 0,
      held: 0,
    })
    .onConflict((conflict) =>
      conflict
        .columns(['launch_id', 'pointer', 'reference'])
        .doUpdateSet((column) => ({
          version: column.ref('excluded.version'),
          fingerprint: column.ref('excluded.fingerprint'),
          outcome: column.ref('excluded.outcome'),
          milliseconds: column.ref('excluded.milliseconds'),
          delivered_at: column.ref('excluded.delivered_at'),
          held: column.ref('excluded.held'),
        }))
        // The same value for the same key once more: its receipt stands, with the time of the first delivery.
        .where((column) =>
          column.or([
            column('receipts.delivered_at', 'is', null),
            column('receipts.version', 'is distinct from', column.ref('excluded.version')),
            column('receipts.fingerprint', 'is distinct from', column.ref('excluded.fingerprint')),
            column('receipts.outcome', '!=', column.ref('excluded.outcome')),
            column('receipts.held', '!=', column.ref('excluded.held')),
          ]),
        ),
    )
    .compile(),
);

/** Receipts of a launch. `isDelivered`: its values leave with this commit. */
export function writeReceipts(
  context: CommandContext,
  launch: { readonly id: string; readonly scopeId: string },
  receipts: readonly ReceiptRow[],
  isDelivered: boolean,
): MaybePromise<void> {
  const deliveredAt = isDelivered ? context.now : null;
  return forEachInTurn(receipts, (receipt) => {
    const isHeld = isDelivered && receipt[versionAt] !== null;
    const row: SqlValue[] = [launch.id, launch.scopeId, ...receipt, deliveredAt, isHeld ? 1 : 0];
    const fingerprint = receipt[fingerprintAt];
    if (typeof fingerprint === 'string') row[fingerprintAt + 2] = Buffer.from(fingerprint, 'hex');
    return context.run(insertReceipt, row);
  });
}

/** The launch is over: what it has is nobody's concern any more. */
export async function endLaunch({ db, now }: CommandContext, id: string): Promise<void> {
  await db.updateTable('launches').set({ ended_at: now }).where('id', '=', id).where('ended_at', 'is', null).execute();
  await db.updateTable('receipts').set({ held: 0 }).where('launch_id', '=', id).where('held', '!=', 0).execute();
}

/** Secrets that go for good: what workloads still have of them is outdated whatever comes. */
export async function orphanReceipts(
  { db }: CommandContext,
  secretIds: readonly string[] | SelectQueryBuilder<Tables, 'secrets', { id: string }>,
): Promise<void> {
  await db.updateTable('receipts').set({ held: 2 }).where('secret_id', 'in', secretIds).where('held', '=', 1).execute();
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}
