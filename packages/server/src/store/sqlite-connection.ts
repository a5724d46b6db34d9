import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { StrongroomError, type ErrorCode } from '@strongroom/contract/core';
import { Kysely, SqliteDialect, type CompiledQuery } from 'kysely';
import { assertParameterCount } from './hot-parameters.ts';
import type { HotStatement, SqlValue } from './store.ts';
import type { Tables } from './tables.ts';
import { type TableUse, TableUses } from './table-use.ts';

const busyTimeoutMilliseconds = 5_000;
const maxCachedStatements = 512;
/**
 * Pages in the write-ahead log after which they are written back, 4 KiB each. A batch of small writes changes the same pages as
 * the one before it: with SQLite's own 1,000 a tenth of the time goes into writing them back again and again.
 */
const logPages = 4_000;
/** What the write-ahead log keeps of its size after a large transaction. */
const maxIdleLogBytes = 64 * 1024 * 1024;

/** One SQLite connection: Kysely over it, and statements compiled once. Synchronous underneath. */
export class SqliteConnection {
  readonly database: DatabaseSync;
  readonly db: Kysely<Tables>;
  readonly #hot = new Map<HotStatement<unknown>, HotEntry>();
  readonly #cached = new Map<string, Prepared>();
  readonly #uses: TableUses;
  readonly #written = new Set<string>();
  #isAnythingWritten = false;
  #writes = 0;

  /** @throws StrongroomError `storage_unavailable` when the file is no database or can't be opened */
  constructor(path: string, mode: 'read' | 'write') {
    this.database = openDatabase(path, mode);
    try {
      this.database.exec('pragma trusted_schema = off');
      // Deleted content is overwritten: a destroyed key must not stay in a free page.
      const writing = `pragma journal_mode = wal; pragma synchronous = full; pragma secure_delete = on;
        pragma wal_autocheckpoint = ${logPages}; pragma journal_size_limit = ${maxIdleLogBytes}`;
      if (mode === 'write') this.database.exec(writing);
    } catch (error) {
      this.database.close();
      throw sqliteStorageFailure(error) ?? error;
    }
    this.#uses = new TableUses(this.database);
    this.db = new Kysely<Tables>({
      dialect: new SqliteDialect({
        database: { close: () => this.database.close(), prepare: (sql) => adapt(this.#prepare(sql), mode) },
      }),
    });
  }

  /** The first row, or undefined. */
  first<Row>(statement: HotStatement<Row>, parameters: readonly SqlValue[]): Row | undefined {
    const { prepared, names } = this.#hotUse(statement, parameters);
    const values = prepared.get(...parameters) as unknown as readonly SqlValue[] | undefined;
    if (values === undefined) return undefined;
    // Put together here: objects as SQLite's binding makes them are slow to make and to read.
    const row: Record<string, SqlValue | undefined> = {};
    for (let column = 0; column < names.length; column += 1) row[names[column] ?? ''] = values[column];
    return row as Row;
  }

  run(statement: HotStatement<unknown>, parameters: readonly SqlValue[]): void {
    this.#hotUse(statement, parameters).prepared.run(...parameters);
  }

  /** Tables that the statement reads from. */
  tablesRead(statement: HotStatement<unknown>): readonly string[] {
    return this.#hotEntry(statement).use.reads;
  }

  /** Statements that write, run so far. */
  get writes(): number {
    return this.#writes;
  }

  /** Tables that statements were run on to write since the last call; `null` when it may be any. */
  takeTablesWritten(): readonly string[] | null {
    const written = this.#isAnythingWritten ? null : [...this.#written];
    this.#written.clear();
    this.#isAnythingWritten = false;
    return written;
  }

  /**
   * Writes the log back into the database file and cuts it off: it has pages as they were before, until they are written over.
   * @returns whether it is empty now; not while somebody reads from it, within a transaction, or when the disk fails
   */
  emptyLog(): boolean {
    if (!this.database.isOpen) return true;
    if (this.database.isTransaction) return false;
    try {
      // A reader may take its time: nobody else should wait for it.
      this.database.exec('pragma busy_timeout = 0');
      return this.database.prepare('pragma wal_checkpoint(truncate)').get()?.['busy'] === 0;
    } catch {
      return false;
    } finally {
      this.database.exec(`pragma busy_timeout = ${busyTimeoutMilliseconds}`);
    }
  }

  close(): void {
    if (this.database.isOpen) this.database.close();
  }

  #assertOpen(): void {
    if (!this.database.isOpen) throw new StrongroomError('shutting_down');
  }

  #hotUse(statement: HotStatement<unknown>, parameters: readonly SqlValue[]): HotEntry {
    const entry = this.#hotEntry(statement);
    assertParameterCount(statement, entry.count, parameters);
    this.#noteWrites(entry.use);
    return entry;
  }

  #hotEntry(statement: HotStatement<unknown>): HotEntry {
    this.#assertOpen();
    let entry = this.#hot.get(statement);
    if (entry === undefined) {
      const compiled: CompiledQuery = statement.build(this.db);
      const { prepared, use } = this.#uses.prepare(compiled.sql);
      prepared.setReturnArrays(true);
      const names = prepared.columns().map(({ name }) => name);
      entry = { prepared, use, names, count: compiled.parameters.length };
      this.#hot.set(statement, entry);
    }
    return entry;
  }

  /** Before it runs: what it has written may be read at once where there is no transaction. */
  #noteWrites({ writes }: TableUse): void {
    if (writes?.length === 0) return;
    this.#writes += 1;
    if (writes === null) this.#isAnythingWritten = true;
    else for (const table of writes) this.#written.add(table);
  }

  #prepare(sql: string): StatementSync {
    this.#assertOpen();
    const cached = this.#cached.get(sql);
    if (cached !== undefined) {
      this.#noteWrites(cached.use);
      return cached.prepared;
    }
    if (this.#cached.size >= maxCachedStatements) {
      const [oldest] = this.#cached.keys();
      if (oldest !== undefined) this.#cached.delete(oldest);
    }
    const prepared = this.#uses.prepare(sql);
    this.#cached.set(sql, prepared);
    this.#noteWrites(prepared.use);
    return prepared.prepared;
  }
}

/**
 * Kysely's dialect speaks better-sqlite3's interface: parameters come as one array, and `reader` tells rows from none. On a
 * reading connection failures of the store come out as its own errors; on the writing one the lane judges them.
 */
function adapt(prepared: StatementSync, mode: 'read' | 'write') {
  const guard = <Result>(work: () => Result): Result => {
    try {
      return work();
    } catch (error) {
      throw mode === 'read' ? (sqliteStorageFailure(error) ?? error) : error;
    }
  };
  return {
    reader: prepared.columns().length > 0,
    all: (parameters: readonly unknown[]) => guard(() => prepared.all(...(parameters as SqlValue[]))),
    run: (parameters: readonly unknown[]) => guard(() => prepared.run(...(parameters as SqlValue[]))),
    iterate: (parameters: readonly unknown[]) => prepared.iterate(...(parameters as SqlValue[])),
  };
}

function openDatabase(path: string, mode: 'read' | 'write'): DatabaseSync {
  try {
    return new DatabaseSync(path, {
      readOnly: mode === 'read',
      timeout: busyTimeoutMilliseconds,
      enableForeignKeyConstraints: true,
      defensive: true,
    });
  } catch (error) {
    throw sqliteStorageFailure(error) ?? error;
  }
}

interface Prepared {
  readonly prepared: StatementSync;
  readonly use: TableUse;
}

interface HotEntry extends Prepared {
  /** Of the columns it returns. */
  readonly names: readonly string[];
  readonly count: number;
}

/** Primary result codes (https://www.sqlite.org/rescode.html) that concern the store and not the statement. */
const storageCodes: ReadonlyMap<number, { readonly code: ErrorCode; readonly detail: string }> = new Map([
  [5, { code: 'storage_unavailable', detail: 'The database file is locked by another process.' }],
  [6, { code: 'storage_unavailable', detail: 'A table of the database is locked.' }],
  [7, { code: 'storage_unavailable', detail: 'There is not enough memory.' }],
  [8, { code: 'storage_unavailable', detail: 'The database file is read-only.' }],
  [10, { code: 'storage_unavailable', detail: 'The disk reported an error.' }],
  [11, { code: 'storage_unavailable', detail: 'The database file is damaged.' }],
  [13, { code: 'storage_full', detail: 'The disk that holds the database is full.' }],
  [14, { code: 'storage_unavailable', detail: 'The database file could not be opened.' }],
  [26, { code: 'storage_unavailable', detail: 'The database file is not a database.' }],
]);

/** What a SQLite error says about the store; undefined when it concerns only the statement that failed. */
export function sqliteStorageFailure(error: unknown): StrongroomError | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, errcode } = error as { code?: unknown; errcode?: unknown };
  if (code !== 'ERR_SQLITE_ERROR' || typeof errcode !== 'number') return undefined;
  const known = storageCodes.get(errcode & 0xff);
  return known && new StrongroomError(known.code, { detail: known.detail, cause: error });
}
