import { constants, type DatabaseSync, type StatementSync } from 'node:sqlite';

/** Tables that a statement touches; `writes` is `null` when it changes the schema, and so anything. */
export interface TableUse {
  readonly reads: readonly string[];
  readonly writes: readonly string[] | null;
}

const rowWrites: ReadonlySet<number> = new Set([
  constants.SQLITE_INSERT,
  constants.SQLITE_UPDATE,
  constants.SQLITE_DELETE,
]);
/** What a statement that reads or writes rows is also asked for, and transactions. */
const harmless: ReadonlySet<number> = new Set([
  constants.SQLITE_SELECT,
  constants.SQLITE_FUNCTION,
  constants.SQLITE_RECURSIVE,
  constants.SQLITE_TRANSACTION,
  constants.SQLITE_SAVEPOINT,
  constants.SQLITE_PRAGMA,
]);

/**
 * Learns from SQLite's own compiler which tables a statement touches, triggers and foreign keys included
 * (https://www.sqlite.org/c3ref/set_authorizer.html).
 */
export class TableUses {
  readonly #database: DatabaseSync;
  #reads: Set<string> | undefined;
  #writes = new Set<string>();
  #isAnything = false;

  constructor(database: DatabaseSync) {
    this.#database = database;
    database.setAuthorizer((action, first) => {
      this.#note(action, first);
      return constants.SQLITE_OK;
    });
  }

  prepare(sql: string): { readonly prepared: StatementSync; readonly use: TableUse } {
    const reads = new Set<string>();
    this.#reads = reads;
    this.#writes = new Set();
    this.#isAnything = false;
    try {
      const prepared = this.#database.prepare(sql);
      return { prepared, use: { reads: [...reads], writes: this.#isAnything ? null : [...this.#writes] } };
    } finally {
      // A statement that SQLite compiles again on its own says nothing new.
      this.#reads = undefined;
    }
  }

  #note(action: number, table: string | null): void {
    if (this.#reads === undefined) return;
    if (action === constants.SQLITE_READ) this.#reads.add(table ?? '');
    else if (rowWrites.has(action)) this.#writes.add(table ?? '');
    else if (!harmless.has(action)) this.#isAnything = true;
  }
}
