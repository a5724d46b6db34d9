import { forEachInTurn, type MaybePromise } from '../store/maybe-promise.ts';
import { type CommandContext, hotStatement, type SqlValue } from '../store/store.ts';
import type { ReceiptDraft } from './resolve.ts';

/**
 * A receipt as a command takes it: the columns from `name` to `unmasked`, in their order, the fingerprint in hex. Plain
 * positions cross threads cheaply, and so does text; each array of bytes would be two objects of its own.
 */
export type ReceiptRow = readonly (string | number | null)[];

export const receiptLength = 11;
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
    })
    .onConflict((conflict) =>
      conflict.columns(['launch_id', 'pointer', 'reference']).doUpdateSet((column) => ({
        version: column.ref('excluded.version'),
        fingerprint: column.ref('excluded.fingerprint'),
        outcome: column.ref('excluded.outcome'),
        milliseconds: column.ref('excluded.milliseconds'),
        delivered_at: column.ref('excluded.delivered_at'),
      })),
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
    const row: SqlValue[] = [launch.id, launch.scopeId, ...receipt, deliveredAt];
    const fingerprint = receipt[fingerprintAt];
    if (typeof fingerprint === 'string') row[fingerprintAt + 2] = Buffer.from(fingerprint, 'hex');
    return context.run(insertReceipt, row);
  });
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}
