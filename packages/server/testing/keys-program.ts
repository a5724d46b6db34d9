import { sql } from 'kysely';
import { commands as allCommands } from '../src/store/commands.ts';
import type { CommandContext } from '../src/store/store.ts';

/** All of Strongroom, and a writer of the database who is not Strongroom. */
export { createAuditChain } from '../src/audit/chain.ts';
export { queries } from '../src/store/queries.ts';

export const commands = {
  ...allCommands,
  'test.tamper': async (context: CommandContext, { statement }: { readonly statement: string }) => {
    await sql.raw(statement).execute(context.db);
  },
};

export type KeysTestCommands = typeof commands;
