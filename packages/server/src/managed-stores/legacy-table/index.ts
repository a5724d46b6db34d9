import type { LoadedConfiguration } from '../../config/load.ts';
import { withInstallation } from '../../operator.ts';
import { adoptRows, type TableRow, type TableStep } from './adopt-table.ts';
import { openTable } from './open-table.ts';
import type { LegacyTablePlace } from './table.ts';

export interface TableAdoption {
  readonly items: readonly TableRow[];
  /** What is left to do, for people; null while something is left in the table, or after a trial. */
  readonly note: string | null;
}

/**
 * Encrypts the rows of a plaintext table of a legacy install into Global, and erases them there. The embedded store is one
 * process's, so that its server is stopped for it; over PostgreSQL servers may run.
 *
 * @throws StrongroomError `not_found` for the table; `state_conflict`; `storage_unavailable`
 */
export async function adoptLegacyTable(
  configuration: LoadedConfiguration,
  place: LegacyTablePlace,
  { isTrial, reached }: { readonly isTrial: boolean; readonly reached?: (step: TableStep) => void },
): Promise<TableAdoption> {
  return withInstallation(configuration, 'Stop the server, repeat this, and start it again.', async (store, keys) => {
    const table = await openTable(place, isTrial);
    try {
      const { limits } = configuration.settings;
      const items = await adoptRows({
        store,
        keys,
        table,
        limits,
        isTrial,
        ...(reached === undefined ? {} : { reached }),
      });
      return { items, note: isTrial ? null : await table.finish() };
    } finally {
      await table.close();
    }
  });
}

export type { TableRow, TableStep } from './adopt-table.ts';
export { configuredTable } from './open-table.ts';
export type { LegacyTablePlace } from './table.ts';
