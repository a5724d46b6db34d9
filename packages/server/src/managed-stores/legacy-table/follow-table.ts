import { StrongroomError } from '@strongroom/contract';
import { asStrongroomError } from '../../store/errors.ts';
import {
  follow,
  type GlobalStore,
  globalStore,
  type HeldParts,
  type HeldSecret,
  heldSecrets,
  holds,
  note,
  takeUp,
} from './held.ts';
import { sortRows, type TakenRow } from './rows.ts';
import type { LegacyTable } from './table.ts';

export interface FollowParts extends HeldParts {
  /** Opens the table for reading. @throws StrongroomError `not_found` for its file; `storage_unavailable` */
  readonly open: () => Promise<LegacyTable>;
  /** Without the table there is nothing to follow, as in a database of ours that never was a legacy install's. */
  readonly mayBeAbsent: boolean;
}

const rowsAtOnce = 200;

/**
 * Keeps in Global what a plaintext table holds, while another program still writes it: each row as an encrypted copy that is
 * listed and resolved under its exact name and only read, an edited row as a version of its own, a row that has gone as
 * missing. The table stays as it is. What was adopted is followed no more. It may stop anywhere, and any number of servers may
 * do it at once.
 *
 * @throws StrongroomError `not_found` for the table; `storage_unavailable`; of the first row that could not be followed, such as
 * `limit_exceeded`: the others were
 */
export async function followTable(parts: FollowParts, signal: AbortSignal): Promise<void> {
  const global = await globalStore(parts.store);
  if (global === null) return;
  // Before the table is read: a row that comes meanwhile is not taken for one that has gone.
  const copies = await parts.store.query('legacyTable.followed', { sourceId: global.sourceId });
  const gone = new Map(copies.map((copy) => [copy.key, copy]));
  const rows = await readRows(parts);
  if (rows === null) return;
  let failure: StrongroomError | undefined;
  try {
    const taken = sortRows(rows, parts.limits.valueBytes).filter((row): row is TakenRow => 'value' in row);
    for (let start = 0; start < taken.length && !signal.aborted; start += rowsAtOnce) {
      const some = taken.slice(start, start + rowsAtOnce);
      const held = await heldSecrets(
        parts.store,
        global,
        some.map(({ key }) => key),
      );
      for (const row of some) {
        gone.delete(row.key);
        try {
          await followRow(parts, global, row, held.get(row.key));
        } catch (error) {
          failure ??= asStrongroomError(error);
        }
      }
    }
    if (signal.aborted) return;
    // What was adopted meanwhile is no copy any more, and is passed over.
    for (const copy of gone.values()) if (copy.store_state !== 'missing') await note(parts, copy, 'missing');
    if (failure !== undefined) throw failure;
  } finally {
    for (const { value } of rows) value?.fill(0);
  }
}

async function followRow(
  parts: FollowParts,
  global: GlobalStore,
  row: TakenRow,
  secret: HeldSecret | undefined,
): Promise<void> {
  if (secret === undefined) await takeUp(parts, global, row, { actor: undefined, isUnmarked: true });
  else if (!secret.isUnmarked || secret.envelope === null) return;
  else if (!(await holds(parts, secret, row.value))) await follow(parts, global, secret, row.value);
  else if (secret.isMissing) await note(parts, secret, 'as-left');
}

async function readRows({ open, mayBeAbsent }: FollowParts) {
  try {
    const table = await open();
    try {
      return await table.read();
    } finally {
      await table.close();
    }
  } catch (error) {
    if (mayBeAbsent && error instanceof StrongroomError && error.code === 'not_found') return null;
    throw error;
  }
}
