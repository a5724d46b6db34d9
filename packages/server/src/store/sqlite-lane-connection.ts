import type { StatementSync } from 'node:sqlite';
import type { StrongroomError } from '@strongroom/contract';
import type { AuditRow } from '../audit/chain.ts';
import type { LaneConnection } from './lane-connection.ts';
import {
  auditRowParameters,
  chainHeadParameters,
  endedEarly,
  insertAuditRow,
  installationState,
  moveChainHead,
  nextAuthorisationRevision,
} from './lane-statements.ts';
import { type SqliteConnection, sqliteStorageFailure } from './sqlite-connection.ts';
import type { HotStatement, SqlValue } from './store.ts';

/** Between attempts to empty the log while somebody reads from it. */
const erasureRetryMilliseconds = 1_000;

/** The writing connection of the embedded store. It is the only writer, so nothing needs locking beyond the transaction. */
export class SqliteLaneConnection implements LaneConnection {
  readonly #connection: SqliteConnection;
  readonly #control = new Map<string, StatementSync>();
  /** A savepoint keeps a copy of each page it may have to bring back: a tenth of what a command costs. */
  #hasSavepoints = true;
  #writesBefore = 0;
  /** What the last statement that failed for the store's own reasons said, while the transaction is open. */
  #failure: StrongroomError | undefined;

  #erasure: NodeJS.Timeout | undefined;

  constructor(connection: SqliteConnection) {
    this.#connection = connection;
  }

  get db() {
    return this.#connection.db;
  }

  async begin(isHopeful: boolean) {
    this.#failure = undefined;
    this.#hasSavepoints = !isHopeful;
    this.#exec('begin immediate');
    const state = this.#connection.first(installationState, []);
    if (this.#hasSavepoints) this.#exec('savepoint command');
    this.#writesBefore = this.#connection.writes;
    return { now: Date.now(), epoch: state?.epoch ?? 1 };
  }

  nextSavepoint() {
    this.#writesBefore = this.#connection.writes;
    if (!this.#hasSavepoints) return;
    this.#exec('release command');
    this.#exec('savepoint command');
  }

  async rollbackToSavepoint() {
    if (this.#hasSavepoints) this.#exec('rollback to command');
    return this.#hasSavepoints || this.#connection.writes === this.#writesBefore;
  }

  async commit() {
    this.#exec('commit');
  }

  erase() {
    clearTimeout(this.#erasure);
    if (!this.#connection.emptyLog()) this.#erasure = setTimeout(() => this.erase(), erasureRetryMilliseconds).unref();
  }

  async rollback() {
    // A full disk or an I/O error may have ended the transaction already.
    if (this.#connection.database.isTransaction) this.#exec('rollback');
  }

  run(statement: HotStatement<unknown>, parameters: readonly SqlValue[]) {
    this.#connection.run(statement, parameters);
  }

  first<Row>(statement: HotStatement<Row>, parameters: readonly SqlValue[]) {
    return this.#connection.first(statement, parameters);
  }

  lockAuthorisationRevision() {
    return this.#connection.first(installationState, [])?.authorisation_revision ?? 0;
  }

  async bumpAuthorisationRevision() {
    return this.#connection.first(nextAuthorisationRevision, [])?.authorisation_revision ?? 0;
  }

  async insertAuditRows(rows: readonly AuditRow[]) {
    for (const row of rows) this.#connection.run(insertAuditRow, auditRowParameters(row));
    const head = rows.at(-1);
    if (head !== undefined) this.#connection.run(moveChainHead, chainHeadParameters(head));
  }

  batchFailure(error: unknown) {
    const failure = sqliteStorageFailure(error);
    if (failure !== undefined) this.#failure = failure;
    return failure;
  }

  isAborted() {
    return false;
  }

  transactionFailure() {
    if (this.#connection.database.isTransaction) return undefined;
    return this.#failure ?? endedEarly();
  }

  #exec(sql: string): void {
    let statement = this.#control.get(sql);
    if (statement === undefined) {
      statement = this.#connection.database.prepare(sql);
      this.#control.set(sql, statement);
    }
    statement.run();
  }
}
