/** The store's own test program, with one command that goes on when the disk is nearly full. */
export { commands, createAuditChain, queries } from './store-program.ts';

export const essentialCommands: ReadonlySet<string> = new Set(['store.record']);
