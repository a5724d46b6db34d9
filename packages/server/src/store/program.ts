/** What the writer and reader threads load: every command, every query, and the audit chain. */
export { createAuditChain } from '../audit/chain.ts';
export { commands } from './commands.ts';
export { essentialCommands } from './essential-commands.ts';
export { queries } from './queries.ts';
