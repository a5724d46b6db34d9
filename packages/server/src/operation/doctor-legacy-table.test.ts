import { StrongroomError } from '@strongroom/contract';
import { expect, it } from 'vitest';
import type { LegacyTableSettings } from '../config/legacy-store.ts';
import type { LegacyTable } from '../managed-stores/legacy-table/table.ts';
import { checkLegacyTable } from './doctor-legacy-table.ts';

const names = { table: 'secret_store', keyColumn: 'key', valueColumn: 'value' };

async function examine(kind: 'own' | 'named' | 'unnamed', rows: number | StrongroomError) {
  const legacyTable: LegacyTableSettings = { database: { kind }, ...names };
  let closed = 0;
  const table: Pick<LegacyTable, 'count' | 'close'> = {
    count: async () => {
      if (rows instanceof StrongroomError) throw rows;
      return rows;
    },
    close: async () => {
      closed += 1;
    },
  };
  const openLegacyTable = kind === 'unnamed' ? null : async () => table as LegacyTable;
  const found = await checkLegacyTable({ settings: { managed: { legacyTable } }, store: null, openLegacyTable });
  expect(closed).toBe(kind === 'unnamed' ? 0 : 1);
  return [found.status, `${found.finding} ${found.hint ?? ''}`];
}

it('says what is left in plain text, and what is not found', async () => {
  const absent = new StrongroomError('not_found', { detail: 'The database has no table secret_store.' });
  const failing = new StrongroomError('storage_unavailable', { detail: 'The database of the legacy table failed.' });
  expect(await examine('named', 3)).toEqual(['amber', expect.stringContaining('holds 3 secrets in plain text')]);
  expect(await examine('named', 0)).toEqual(['ok', expect.stringContaining('is empty')]);
  expect(await examine('own', absent)).toEqual(['ok', expect.stringContaining('has no table secret_store')]);
  expect(await examine('named', absent)).toEqual(['red', expect.stringContaining('databaseSettings')]);
  expect(await examine('own', failing)).toEqual(['red', expect.stringContaining('failed')]);
  expect(await examine('unnamed', 0)).toEqual(['amber', expect.stringContaining('is not named')]);
});
