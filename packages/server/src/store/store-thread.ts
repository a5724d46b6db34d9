import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AuditChain, AuditChainOptions } from '../audit/chain.ts';
import type { DiskReserveSettings } from './disk-reserve.ts';
import type { CommandMap, QueryMap } from './store.ts';

/** What a thread of the embedded store is started with. */
export interface StoreThreadData {
  /** Path of the database file. */
  readonly database: string;
  /** URL of a module like `program.ts`. */
  readonly program: string;
  /** Of the writer: what of the disk is kept, and in which directory. */
  readonly reserve?: { readonly directory: string; readonly settings: DiskReserveSettings };
}

/** What `program.ts` exports; a contract suite brings a program of its own. */
export interface Program {
  readonly commands: CommandMap;
  readonly queries: QueryMap;
  readonly createAuditChain: (options: AuditChainOptions) => AuditChain;
  /** Names of the commands that are still written when the disk is nearly full; none when left out. */
  readonly essentialCommands?: ReadonlySet<string>;
}

/** This folder's `program` as it runs: `.ts` from the sources, `.js` from the published build. */
export const defaultProgram = new URL(`./program${extname(fileURLToPath(import.meta.url))}`, import.meta.url);

/** Imported by URL, so that the threads and the calling thread run the same program. */
export async function loadProgram(url: string): Promise<Program> {
  const program: Program = await import(url);
  return program;
}
