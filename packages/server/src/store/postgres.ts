import { StrongroomError } from '@strongroom/contract';
import type { Kysely } from 'kysely';
import { type AuditChainSettings, readChainOpening } from '../audit/chain.ts';
import { BatchRunner } from './batch.ts';
import type { Commands } from './commands.ts';
import { asStrongroomError } from './errors.ts';
import { WriteLane } from './lane.ts';
import type { LaneOutcome, LaneRequest } from './lane-protocol.ts';
import { installationState } from './lane-statements.ts';
import { failRead, HotStatements, kyselyOverPool } from './postgres-connection.ts';
import { PostgresHosts } from './postgres-hosts.ts';
import { PostgresLaneConnection } from './postgres-lane-connection.ts';
import { migratePostgres } from './postgres-migrate.ts';
import { type PostgresReaderOptions, PostgresReaders } from './postgres-readers.ts';
import type { Queries } from './queries.ts';
import { defaultProgram, loadProgram, type Program } from './store-thread.ts';
import type { CommandMap, ExecuteOptions, HotStatement, OpenStore, Query, QueryMap, SqlValue } from './store.ts';
import type { Tables } from './tables.ts';

export interface PostgresStoreOptions extends PostgresReaderOptions {
  /**
   * `postgres://…` (https://www.postgresql.org/docs/current/libpq-connect.html), of several hosts the one that takes writes.
   * Prepared statements need a session.
   */
  readonly url: string;
  /** A module like `program.ts` with other commands and queries; default: all of Strongroom's. */
  readonly program?: URL;
  /** Of writes that bring no deadline of their own; default 5,000. */
  readonly writeDeadlineMilliseconds?: number;
}

/**
 * Opens a store over PostgreSQL 14 or later, shared with other replicas, and migrates its schema.
 *
 * @throws StrongroomError `storage_unavailable`; `state_conflict` when the schema is newer
 */
export async function openPostgresStore<C extends CommandMap = Commands, Q extends QueryMap = Queries>(
  options: PostgresStoreOptions,
): Promise<OpenStore<C, Q>> {
  await migratePostgres(options.url);
  const store = new PostgresStore(options, await loadProgram((options.program ?? defaultProgram).href));
  // `StoreOf` ties each name to its command's types; the implementation is the same for all of them.
  return store as unknown as OpenStore<C, Q>;
}

class PostgresStore {
  readonly dialect = 'postgres';
  readonly db: Kysely<Tables>;
  readonly closed: Promise<Error | undefined>;
  readonly #program: Program;
  readonly #queries: ReadonlyMap<string, Query<unknown, unknown>>;
  readonly #readers: PostgresReaders;
  readonly #hot: HotStatements;
  readonly #connection: PostgresLaneConnection;
  readonly #runner: BatchRunner;
  readonly #lane: WriteLane;
  readonly #writeDefaults: ExecuteOptions;
  readonly #closed = Promise.withResolvers<undefined>();
  #closing: Promise<void> | undefined;
  #audit: AuditChainSettings | undefined;
  #needsChain = false;

  constructor(options: PostgresStoreOptions, program: Program) {
    this.closed = this.#closed.promise;
    const { writeDeadlineMilliseconds: deadlineMilliseconds } = options;
    this.#writeDefaults = deadlineMilliseconds === undefined ? {} : { deadlineMilliseconds };
    this.#program = program;
    this.#queries = new Map(Object.entries(program.queries as Readonly<Record<string, Query<unknown, unknown>>>));
    const hosts = new PostgresHosts(options.url);
    this.#readers = new PostgresReaders(hosts, options);
    this.db = kyselyOverPool(this.#readers);
    this.#hot = new HotStatements(this.db);
    this.#connection = new PostgresLaneConnection(hosts, () => {
      this.#needsChain = this.#audit !== undefined;
    });
    this.#runner = new BatchRunner(this.#connection, program.commands);
    this.#lane = new WriteLane((requests) => this.#write(requests));
  }

  async startAudit(settings: AuditChainSettings): Promise<void> {
    if (this.#audit !== undefined) {
      throw new StrongroomError('state_conflict', { detail: 'The audit chain is already open.' });
    }
    this.#audit = settings;
    this.#runner.useChain(await this.#openChain(settings));
  }

  async first<Row>(statement: HotStatement<Row>, parameters: readonly SqlValue[]): Promise<Row | undefined> {
    if (this.#closing !== undefined) throw new StrongroomError('shutting_down');
    const result = await this.#readers.query(this.#hot.query(statement, parameters)).catch(failRead);
    return result.rows[0] as Row | undefined;
  }

  async query(name: string, args: unknown): Promise<unknown> {
    if (this.#closing !== undefined) throw new StrongroomError('shutting_down');
    const query = this.#queries.get(name);
    if (query === undefined) throw new TypeError(`There is no query ${name}`);
    try {
      return await query({ db: this.db, dialect: 'postgres' }, args);
    } catch (error) {
      throw asStrongroomError(error);
    }
  }

  execute(name: string, args: unknown, options?: ExecuteOptions): Promise<unknown> {
    return this.#lane.submit(name, args, { ...this.#writeDefaults, ...options });
  }

  now(): number {
    return this.#connection.now();
  }

  knownRevision(): null {
    return null;
  }

  async authorisationRevision(): Promise<number> {
    return (await this.first(installationState, []))?.authorisation_revision ?? 0;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#lane.close();
    this.#runner.useChain(undefined);
    await this.#connection.close();
    await this.#readers.end();
    this.#closed.resolve(undefined);
  }

  async #write(requests: readonly LaneRequest[]): Promise<LaneOutcome<StrongroomError>[]> {
    await this.#connection.connect();
    if (this.#needsChain && this.#audit !== undefined) {
      // Nobody knows how far the old chain got: going on with it could use a sequence number twice.
      this.#runner.useChain(undefined);
      this.#runner.useChain(await this.#openChain(this.#audit));
      this.#needsChain = false;
    }
    return this.#runner.run(requests);
  }

  async #openChain(settings: AuditChainSettings) {
    await this.#connection.connect();
    const opening = await readChainOpening(this.#connection.db);
    return this.#program.createAuditChain({ ...settings, opening });
  }
}
