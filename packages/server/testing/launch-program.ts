import type { Tables } from '../src/store/tables.ts';
import type { CommandContext } from '../src/store/store.ts';
import { commands as allCommands } from '../src/store/commands.ts';

/** All of Strongroom, and one command that puts rows where a test needs them. */
export { createAuditChain } from '../src/audit/chain.ts';
export { queries } from '../src/store/queries.ts';

export type Row = {
  readonly [Table in keyof Tables]: { readonly table: Table; readonly values: Tables[Table] };
}[keyof Tables];

export const commands = {
  ...allCommands,
  /** Inserts rows, replaces columns of rows by id, deletes rows by id; access changed, as far as anybody knows. */
  'test.rows': async (
    context: CommandContext,
    args: {
      readonly insert?: readonly Row[];
      readonly update?: readonly {
        readonly table: 'principals' | 'runs' | 'secrets' | 'scopes' | 'launches';
        readonly id: string;
        readonly set: Readonly<Record<string, string | number | null>>;
      }[];
      readonly deleteMember?: { readonly scopeId: string; readonly principalId: string };
    },
  ): Promise<void> => {
    for (const { table, values } of args.insert ?? []) await context.db.insertInto(table).values(values).execute();
    for (const { table, id, set } of args.update ?? [])
      await context.db.updateTable(table).set(set).where('id', '=', id).execute();
    const { deleteMember } = args;
    if (deleteMember !== undefined)
      await context.db
        .deleteFrom('members')
        .where('scope_id', '=', deleteMember.scopeId)
        .where('principal_id', '=', deleteMember.principalId)
        .execute();
    await context.bumpAuthorisation();
  },
};

export type TestCommands = typeof commands;
