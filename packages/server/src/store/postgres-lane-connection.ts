import { setTimeout as sleep } from 'node:timers/promises';
import { StrongroomError } from '@strongroom/contract';
import type { Kysely } from 'kysely';
import pg from 'pg';
import type { AuditRow } from '../audit/chain.ts';
import type { LaneConnection } from './lane-connection.ts';
import {
  chainHeadParameters,
  endedEarly,
  lockedAuthorisationRevision,
  moveChainHead,
  nextAuthorisationRevision,
} from './lane-statements.ts';
import {
  connectionFailure,
  HotStatements,
  isReadOnlyServer,
  isRetryable,
  kyselyOverClient,
  postgresStorageFailure,
  rowTypes,
} from './postgres-connection.ts';
import type { PostgresHosts } from './postgres-hosts.ts';
import type { HotStatement, SqlValue } from './store.ts';
import type { Tables } from './tables.ts';

/** Longer than the statement timeout: it strikes when the database, or the way to it, has gone silent. */
const answerTimeoutMilliseconds = 8_000;
const statementTimeoutMilliseconds = 5_000;
const lockTimeoutMilliseconds = 2_000;
const connectTimeoutMilliseconds = 3_000;
const connectPausesMilliseconds = [0, 100, 300, 900];

const stateOfTransaction = `
  select installation.epoch, (extract(epoch from clock_timestamp()) * 1000)::int8 as now
  from (select 1) as one left join installation on true`;

/** Nine parameters whatever the number of rows, so that the statement stays prepared. */
const insertAuditRows = {
  name: 'lane.insertAuditRows',
  text: `insert into audit_records
      (chain_id, sequence, at, record, hash, mac, scope_id, principal_id, action, outcome)
    select $1, * from unnest($2::int8[], $3::int8[], $4::bytea[], $5::bytea[], $6::bytea[],
      $7::text[], $8::text[], $9::text[], $10::text[])`,
};

/**
 * The lane's own connection to PostgreSQL. Once lost it stays so until `connect` is called; `onLost` says so, because the
 * outcome of a COMMIT may then be unknown.
 */
export class PostgresLaneConnection implements LaneConnection {
  readonly db: Kysely<Tables>;
  readonly #hosts: PostgresHosts;
  readonly #onLost: () => void;
  readonly #hot: HotStatements;
  #client: pg.Client | undefined;
  #url = '';
  #isOpen = false;
  #isAborted = false;
  #posted: Promise<unknown>[] = [];
  /** The database's clock less `performance.now()`. */
  #clockOffset: number | undefined;

  constructor(hosts: PostgresHosts, onLost: () => void) {
    this.#hosts = hosts;
    this.#onLost = onLost;
    this.db = kyselyOverClient((query) => this.#query(query));
    this.#hot = new HotStatements(this.db);
  }

  /** Connects if it is not connected. @throws StrongroomError `storage_unavailable` after a few attempts */
  async connect(): Promise<void> {
    if (this.#client !== undefined) return;
    let failure: unknown;
    for (const pause of connectPausesMilliseconds) {
      await sleep(pause);
      let url: string;
      try {
        url = await this.#hosts.primary();
      } catch (error) {
        failure = error;
        continue;
      }
      const client = new pg.Client({
        connectionString: url,
        application_name: 'strongroom writer',
        types: rowTypes,
        keepAlive: true,
        pipeline: true,
        connectionTimeoutMillis: connectTimeoutMilliseconds,
        statement_timeout: statementTimeoutMilliseconds,
        lock_timeout: lockTimeoutMilliseconds,
        idle_in_transaction_session_timeout: answerTimeoutMilliseconds,
      });
      // Without a listener an error of an idle connection would end the process.
      client.on('error', () => this.#lose(client));
      client.on('end', () => this.#lose(client));
      try {
        await client.connect();
        // Whatever the role's defaults are: a commit that is answered is on disk.
        await client.query('set synchronous_commit to on; set bytea_output to hex');
        this.#client = client;
        this.#url = url;
        return;
      } catch (error) {
        failure = error;
        this.#hosts.suspect(url);
        await client.end().catch(() => undefined);
      }
    }
    throw failure instanceof StrongroomError ? failure : connectionFailure(failure);
  }

  /** Milliseconds since 1970 by the database's clock; by this machine's before the first write. */
  now(): number {
    return this.#clockOffset === undefined ? Date.now() : Math.round(performance.now() + this.#clockOffset);
  }

  async begin() {
    this.#isAborted = false;
    this.#posted = [];
    this.#isOpen = true;
    this.#post('begin isolation level read committed; savepoint command');
    const result = await this.#query<{ epoch: number | null; now: number }>({
      name: 'lane.state',
      text: stateOfTransaction,
    });
    await this.#settlePosted();
    const state = result.rows[0];
    if (state === undefined) throw endedEarly();
    this.#clockOffset = state.now - performance.now();
    return { now: state.now, epoch: state.epoch ?? 1 };
  }

  async nextSavepoint() {
    this.#post('release savepoint command; savepoint command');
  }

  async rollbackToSavepoint() {
    await this.#query('rollback to savepoint command');
    this.#isAborted = false;
    return true;
  }

  async commit() {
    const committing = this.#query('commit');
    // A failure before it says more than what COMMIT answers then.
    const [posted, committed] = await Promise.allSettled([this.#settlePosted(), committing]);
    if (committed.status === 'fulfilled') this.#isOpen = false;
    if (posted.status === 'rejected') throw posted.reason;
    if (committed.status === 'rejected') throw committed.reason;
    // A transaction in which a statement failed answers COMMIT with ROLLBACK, and no error.
    if (committed.value.command !== 'COMMIT') throw endedEarly();
  }

  // Dead rows are its vacuum's.
  erase() {}

  async rollback() {
    if (!this.#isOpen || this.#client === undefined) return;
    this.#isOpen = false;
    const client = this.#client;
    try {
      await this.#query('rollback');
    } catch {
      // The server ends the transaction of a connection that goes away.
      this.#abandon(client);
    }
  }

  async run(statement: HotStatement<unknown>, parameters: readonly SqlValue[]) {
    await this.#query(this.#hot.query(statement, parameters));
  }

  async first<Row>(statement: HotStatement<Row>, parameters: readonly SqlValue[]) {
    const result = await this.#query(this.#hot.query(statement, parameters));
    return result.rows[0] as Row | undefined;
  }

  async lockAuthorisationRevision() {
    return (await this.first(lockedAuthorisationRevision, []))?.authorisation_revision ?? 0;
  }

  async bumpAuthorisationRevision() {
    return (await this.first(nextAuthorisationRevision, []))?.authorisation_revision ?? 0;
  }

  async insertAuditRows(rows: readonly AuditRow[]) {
    const head = rows.at(-1);
    if (head === undefined) return;
    this.#post({
      ...insertAuditRows,
      values: [
        head.chain_id,
        rows.map((row) => row.sequence),
        rows.map((row) => row.at),
        rows.map((row) => Buffer.from(row.record)),
        rows.map((row) => Buffer.from(row.hash)),
        rows.map((row) => Buffer.from(row.mac)),
        rows.map((row) => row.scope_id),
        rows.map((row) => row.principal_id),
        rows.map((row) => row.action),
        rows.map((row) => row.outcome),
      ],
    });
    this.#post(this.#hot.query(moveChainHead, chainHeadParameters(head)));
  }

  batchFailure(error: unknown) {
    if (isRetryable(error)) return 'retry';
    const failure = postgresStorageFailure(error);
    if (failure !== undefined) return failure;
    return this.#client === undefined ? connectionFailure(error) : undefined;
  }

  isAborted() {
    return this.#isAborted;
  }

  transactionFailure() {
    return this.#client === undefined ? connectionFailure(undefined) : undefined;
  }

  async close(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await client?.end();
  }

  /** @throws the server's error; `storage_unavailable` when there is no connection, or no answer within the timeout */
  async #query<Row extends pg.QueryResultRow>(query: string | pg.QueryConfig): Promise<pg.QueryResult<Row>> {
    const client = this.#client;
    if (client === undefined) {
      throw new StrongroomError('storage_unavailable', { detail: 'The connection to the database was lost.' });
    }
    const timer = setTimeout(() => this.#abandon(client), answerTimeoutMilliseconds);
    try {
      return await client.query<Row>(query);
    } catch (error) {
      this.#isAborted = true;
      // It was the primary when it was asked; another connection may lead to the one that is now.
      if (isReadOnlyServer(error)) this.#abandon(client);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Sends a statement whose answer is looked at before the commit: what follows it doesn't wait a round trip for it. */
  #post(query: string | pg.QueryConfig): void {
    const posted = this.#query(query);
    posted.catch(() => undefined);
    this.#posted.push(posted);
  }

  /** @throws what the first posted statement that failed threw */
  async #settlePosted(): Promise<void> {
    const posted = this.#posted;
    this.#posted = [];
    await Promise.all(posted);
  }

  #lose(client: pg.Client): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    this.#isOpen = false;
    this.#hosts.suspect(this.#url);
    this.#onLost();
  }

  /** The other side is silent: cutting the socket makes what waits for it fail. */
  #abandon(client: pg.Client): void {
    this.#lose(client);
    client.connection.stream.destroy();
  }
}
