import { StrongroomError } from '@strongroom/contract';
import { operatorActor } from '../../identities/actor.ts';
import { globalScopeId } from '../../store/ids.ts';
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

export interface TableRow {
  readonly key: string;
  /** `erased`: it is in the catalogue, and in the table no more. `would-be-adopted`: of a trial. */
  readonly outcome: 'erased' | 'would-be-adopted' | 'refused';
  readonly reason?: string;
}

/** How far a row has come, for drills that stop there. */
export type TableStep = 'encrypted' | 'verified' | 'erased';

export interface TableAdoptionParts extends HeldParts {
  readonly table: LegacyTable;
  readonly isTrial: boolean;
  readonly reached?: (step: TableStep) => void;
}

/**
 * Takes the rows of a plaintext table into Global's encrypted store, one after the other: encrypted, read back and compared,
 * and only then erased where they were. A copy that followed the table becomes an ordinary secret. Killed anywhere and repeated
 * it goes on: a row whose value is there already is compared and erased; one whose value differs is left and named.
 *
 * @throws StrongroomError `state_conflict` when Global's values are not in the database; what either database says
 */
export async function adoptRows(parts: TableAdoptionParts): Promise<readonly TableRow[]> {
  const global = await globalStore(parts.store);
  if (global === null)
    throw new StrongroomError('state_conflict', {
      detail: 'Global’s values are not in the database, and the rows of a table go into the encrypted database.',
      hint: 'Choose database for Global (stores.global, or secretStore.type).',
    });
  const rows = await parts.table.read();
  try {
    const items: TableRow[] = [];
    for (const row of sortRows(rows, parts.limits.valueBytes))
      items.push('value' in row ? await adoptRow(parts, global, row) : { ...row, outcome: 'refused' });
    return items;
  } finally {
    for (const { value } of rows) value?.fill(0);
  }
}

async function adoptRow(parts: TableAdoptionParts, global: GlobalStore, row: TakenRow): Promise<TableRow> {
  const { table, store, isTrial, reached } = parts;
  const { key, value } = row;
  const refused = (reason: string): TableRow => ({ key, outcome: 'refused', reason });
  const held = await heldSecret(parts, global, key);
  if (held?.envelope === null) return refused('belongs to a deleted secret of Global');
  const isSame = held !== undefined && (await holds(parts, held, value));
  if (held !== undefined && !isSame && !held.isUnmarked)
    return refused('has another value in Global; nothing of it was erased');
  if (isTrial) return { key, outcome: 'would-be-adopted' };
  if (held === undefined) await takeUp(parts, global, row, { actor: operatorActor, isUnmarked: false });
  else if (held.isUnmarked) await own(parts, global, held, isSame ? null : value);
  if (!isSame) reached?.('encrypted');
  const kept = await heldSecret(parts, global, key);
  if (kept === undefined || kept.isUnmarked || !(await holds(parts, kept, value)))
    return refused('was not read back as it is; nothing of it was erased');
  reached?.('verified');
  await store.execute('access.record', undefined, { audit: [erasure(key)] });
  if (!(await table.erase(key, value))) return refused('was changed or erased by somebody else meanwhile; repeat it');
  reached?.('erased');
  return { key, outcome: 'erased' };
}

async function heldSecret({ store }: TableAdoptionParts, global: GlobalStore, key: string) {
  return (await heldSecrets(store, global, [key])).get(key);
}

/** Before its row is erased: a copy whose row has gone would be taken for one that somebody took away. */
async function own(
  parts: TableAdoptionParts,
  global: GlobalStore,
  held: HeldSecret,
  edited: Uint8Array | null,
): Promise<void> {
  if (edited !== null) await follow(parts, global, held, edited);
  else if (held.isMissing) await note(parts, held, 'as-left');
  await parts.store.execute('managed.adopt', { ids: [held.id] });
}

function erasure(key: string) {
  return {
    ...operatorActor,
    action: 'secret.manage',
    outcome: 'allowed',
    scope: { id: globalScopeId, name: 'global' },
    object: { type: 'secret', id: '', name: key },
    because: ['legacy-table'],
    detail: { change: 'erase' },
  } as const;
}
