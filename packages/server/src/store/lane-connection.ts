import type { StrongroomError } from '@strongroom/contract';
import type { Kysely } from 'kysely';
import type { AuditRow } from '../audit/chain.ts';
import type { MaybePromise } from './maybe-promise.ts';
import type { HotStatement, SqlValue } from './store.ts';
import type { Tables } from './tables.ts';

/** The one writing connection of a lane; what differs between the databases. Used by one batch at a time. */
export interface LaneConnection {
  readonly db: Kysely<Tables>;
  /**
   * Opens the transaction and the first command's savepoint. `epoch` is 1 before the installation exists.
   *
   * @param isHopeful no command is expected to be refused after it has written: where savepoints cost much there are none
   */
  begin(isHopeful: boolean): Promise<{ readonly now: number; readonly epoch: number }>;
  /** Releases the last savepoint and sets one for the next command. */
  nextSavepoint(): MaybePromise<void>;
  /** Undoes the command; the savepoint stays. `false` when that needs a savepoint that was hopefully left out. */
  rollbackToSavepoint(): Promise<boolean>;
  /** Returns when the transaction is on disk. */
  commit(): Promise<void>;
  /** After a commit: what it deleted leaves the store's files, now or as soon as it can; never throws. */
  erase(): void;
  /** Ends the transaction if one is open; never throws. */
  rollback(): Promise<void>;
  run(statement: HotStatement<unknown>, parameters: readonly SqlValue[]): MaybePromise<void>;
  first<Row>(statement: HotStatement<Row>, parameters: readonly SqlValue[]): MaybePromise<Row | undefined>;
  /** The revision, which no other lane can move until this transaction ends. 0 before the installation exists. */
  lockAuthorisationRevision(): MaybePromise<number>;
  bumpAuthorisationRevision(): Promise<number>;
  /** Inserts the rows, all of one chain, and moves the chain's head to the last one. */
  insertAuditRows(rows: readonly AuditRow[]): Promise<void>;
  /** What an error means for everything in the transaction; undefined when it is the command's own. */
  batchFailure(error: unknown): 'retry' | StrongroomError | undefined;
  /** Whether a statement failed since the savepoint, after which this database takes no other one. */
  isAborted(): boolean;
  /** What is wrong with the open transaction when a command swallowed a failure; undefined when nothing is. */
  transactionFailure(): 'retry' | StrongroomError | undefined;
}
