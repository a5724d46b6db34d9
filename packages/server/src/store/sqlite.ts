import { StrongroomError } from '@strongroom/contract';
import type { AuditChainSettings } from '../audit/chain.ts';
import type { Commands } from './commands.ts';
import {
  type DataFiles,
  dataFiles,
  type DirectoryLock,
  lockDataDirectory,
  prepareDataDirectory,
} from './data-directory.ts';
import type { DiskReserveSettings } from './disk-reserve.ts';
import { fromErrorRecord } from './errors.ts';
import { WriteLane } from './lane.ts';
import { type BatchAnswer, type LaneOutcome, type LaneRequest, packRequests } from './lane-protocol.ts';
import { installationState } from './lane-statements.ts';
import type { Queries } from './queries.ts';
import { ReadMemory } from './read-memory.ts';
import { finishRestore } from './restore-moves.ts';
import { SqliteConnection } from './sqlite-connection.ts';
import { migrateSqlite } from './sqlite-migrate.ts';
import { threadModule } from './started-modules.ts';
import type { CommandMap, ExecuteOptions, HotStatement, OpenStore, QueryMap, SqlValue } from './store.ts';
import { defaultProgram, type StoreThreadData } from './store-thread.ts';
import { Thread } from './thread.ts';

export interface SqliteStoreOptions {
  /** The data directory; made when it is missing. One process at a time. */
  readonly directory: string;
  /** A module like `program.ts` with other commands and queries; default: all of Strongroom's. */
  readonly program?: URL;
  /** What of the disk is kept for audit; nothing when left out, as for one piece of work. */
  readonly reserve?: DiskReserveSettings;
  /** Of writes that bring no deadline of their own; default 5,000. */
  readonly writeDeadlineMilliseconds?: number;
}

/** A query that is slower holds up every other one: it is given up, and its thread with it. */
const queryTimeoutMilliseconds = 30_000;
/** After its last query the reader thread ends. */
const readerIdleMilliseconds = 10_000;

/**
 * Opens the embedded store: finishes an interrupted restore, migrates the schema (an existing file is copied first), and
 * starts the writer thread.
 *
 * @throws StrongroomError `state_conflict` when the directory is in use or the schema is newer; `storage_unavailable`,
 * `storage_full`
 */
export async function openSqliteStore<C extends CommandMap = Commands, Q extends QueryMap = Queries>(
  options: SqliteStoreOptions,
): Promise<OpenStore<C, Q>> {
  const files = dataFiles(options.directory);
  const lock = lockDataDirectory(files);
  try {
    finishRestore(files);
    prepareDataDirectory(files);
    await migrateSqlite(files);
    const store = new SqliteStore(files, lock, options);
    await store.start();
    // `StoreOf` ties each name to its command's types; the implementation is the same for all of them.
    return store as unknown as OpenStore<C, Q>;
  } catch (error) {
    lock.release();
    throw error;
  }
}

class SqliteStore {
  readonly dialect = 'sqlite';
  readonly closed: Promise<Error | undefined>;
  readonly #lock: DirectoryLock;
  readonly #threadData: StoreThreadData;
  readonly #connection: SqliteConnection;
  readonly #memory: ReadMemory;
  readonly #writer: Thread;
  #reader: Thread | undefined;
  #queriesUnderWay = 0;
  #readerIdle: NodeJS.Timeout | undefined;
  readonly #lane: WriteLane;
  readonly #closed = Promise.withResolvers<Error | undefined>();
  #closing: Promise<void> | undefined;
  #hasAudit = false;

  constructor(files: DataFiles, lock: DirectoryLock, options: SqliteStoreOptions) {
    this.closed = this.#closed.promise;
    this.#lock = lock;
    this.#threadData = { database: files.database, program: threadModule(options.program ?? defaultProgram).href };
    this.#connection = new SqliteConnection(files.database, 'read');
    this.#memory = new ReadMemory(this.#connection);
    const { reserve: settings, writeDeadlineMilliseconds: deadlineMilliseconds } = options;
    const reserve = settings === undefined ? {} : { reserve: { directory: files.directory, settings } };
    this.#writer = new Thread('writer', { ...this.#threadData, ...reserve }, (error) => this.#fail(error));
    this.#lane = new WriteLane((requests) => this.#write(requests), deadlineMilliseconds);
  }

  get db() {
    return this.#connection.db;
  }

  /** Resolves when the writer thread runs. */
  async start(): Promise<void> {
    try {
      await this.#writer.call('ready', null);
    } catch (error) {
      this.#connection.close();
      throw error;
    }
  }

  async startAudit(settings: AuditChainSettings): Promise<void> {
    if (this.#hasAudit) throw new StrongroomError('state_conflict', { detail: 'The audit chain is already open.' });
    this.#hasAudit = true;
    await this.#writer.call('startAudit', settings);
  }

  first<Row>(statement: HotStatement<Row>, parameters: readonly SqlValue[]): Row | undefined {
    return this.#memory.first(statement, parameters);
  }

  async query(name: string, args: unknown): Promise<unknown> {
    if (this.#closing !== undefined) throw new StrongroomError('shutting_down');
    const reader = (this.#reader ??= new Thread('reader', this.#threadData, () => this.#dropReader(reader)));
    const timer = setTimeout(() => {
      this.#dropReader(reader);
      void reader.end(new StrongroomError('deadline_exceeded', { detail: 'A query took too long.' }));
    }, queryTimeoutMilliseconds);
    clearTimeout(this.#readerIdle);
    this.#queriesUnderWay += 1;
    try {
      return await reader.call('query', { name, args });
    } finally {
      clearTimeout(timer);
      this.#queriesUnderWay -= 1;
      if (this.#queriesUnderWay === 0)
        this.#readerIdle = setTimeout(() => this.#endIdleReader(), readerIdleMilliseconds).unref();
    }
  }

  /** A thread nobody asks anything takes 35 MB for nothing; the next query starts another in a tenth of a second. */
  #endIdleReader(): void {
    const reader = this.#reader;
    this.#reader = undefined;
    void reader?.end();
  }

  /** The next query starts another one; the calls this one had are rejected. */
  #dropReader(reader: Thread): void {
    if (this.#reader === reader) this.#reader = undefined;
  }

  execute(name: string, args: unknown, options?: ExecuteOptions): Promise<unknown> {
    return this.#lane.submit(name, args, options);
  }

  async authorisationRevision(): Promise<number> {
    return this.knownRevision();
  }

  now(): number {
    return Date.now();
  }

  knownRevision(): number {
    return this.#memory.first(installationState, [])?.authorisation_revision ?? 0;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#lane.close();
    clearTimeout(this.#readerIdle);
    await this.#reader?.end();
    this.#connection.close();
    // The last connection to close writes the log back into the database file.
    await this.#writer.call('close', null).catch(ignoreEnded);
    await this.#writer.end();
    this.#lock.release();
    this.#closed.resolve(undefined);
  }

  async #write(requests: readonly LaneRequest[]): Promise<LaneOutcome<StrongroomError>[]> {
    let tablesWritten: BatchAnswer['tablesWritten'] = null;
    try {
      const answer = (await this.#writer.call('batch', packRequests(requests))) as BatchAnswer;
      ({ tablesWritten } = answer);
      const outcomes: LaneOutcome<StrongroomError>[] = answer.results.map((result) => ({ ok: true, result }));
      for (const { at, error } of answer.failures) outcomes[at] = { ok: false, error: fromErrorRecord(error) };
      return outcomes;
    } finally {
      // This process writes alone: what was read holds until a batch was written, and nobody has learnt of that yet.
      this.#memory.forget(tablesWritten);
    }
  }

  /** The writer ended on its own. Reads could go on, but a store that can't audit can't release anything either. */
  #fail(error: StrongroomError): void {
    this.#lane.fail(error);
    this.#closed.resolve(error);
  }
}

/** A thread that already ended has closed its connection. */
function ignoreEnded(error: unknown): void {
  if (!(error instanceof StrongroomError && error.code === 'storage_unavailable')) throw error;
}
