import type { Tables } from '../src/store/tables.ts';
import type { Command } from '../src/store/store.ts';
import { type Commands, commands as allCommands } from '../src/store/commands.ts';

/** All of Strongroom, and one command that puts rows where a test needs them. */
export { createAuditChain } from '../src/audit/chain.ts';
export { queries } from '../src/store/queries.ts';

export type Row = {
  readonly [Table in keyof Tables]: { readonly table: Table; readonly values: Tables[Table] };
}[keyof Tables];

interface RowChanges {
  readonly insert?: readonly Row[];
  readonly update?: readonly {
    readonly table: 'principals' | 'runs' | 'secrets' | 'scopes' | 'launches';
    readonly id: string;
    readonly set: Readonly<Record<string, string | number | null>>;
  }[];
  readonly deleteMember?: { readonly scopeId: string; readonly principalId: string };
}

export type TestCommands = Commands & { readonly 'test.rows': Command<RowChanges, void> };

export const commands: TestCommands = {
  ...allCommands,
  /** Inserts rows, changes rows by id, deletes a member; access changed, as far as anybody knows. */
  'test.rows': async (context, { insert, update, deleteMember }) => {
    for (const { table, values } of insert ?? []) await context.db.insertInto(table).values(values).execute();
    for (const { table, id, set } of update ?? [])
      await context.db.updateTable(table).set(set).where('id', '=', id).execute();
    if (deleteMember !== undefined) {
      await context.db
        .deleteFrom('members')
        .where('scope_id', '=', deleteMember.scopeId)
        .where('principal_id', '=', deleteMember.principalId)
        .execute();
    }
    await context.bumpAuthorisation();
  },
};
