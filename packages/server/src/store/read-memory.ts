import type { SqliteConnection } from './sqlite-connection.ts';
import type { HotStatement, SqlValue } from './store.ts';

/** Rows kept of one statement, about a kilobyte each. */
const maxRows = 2_000;
/** Of one that no write makes forget its rows. */
const maxLastingRows = 500;

interface Remembered {
  readonly tables: readonly string[];
  /** By the parameters; `undefined` where there is no row. */
  rows: Map<string, unknown>;
}

/**
 * Rows of keyed reads, remembered until one of the tables they come from is written. Right only where every write is heard
 * of before anybody learns that it is done: one process, whose lane tells which tables a batch wrote. Rows are shared, and so
 * frozen. What says of itself that it lasts is forgotten only where anything may have been written.
 */
export class ReadMemory {
  readonly #connection: SqliteConnection;
  readonly #statements = new Map<HotStatement<unknown>, Remembered>();

  constructor(connection: SqliteConnection) {
    this.#connection = connection;
  }

  first<Row>(statement: HotStatement<Row>, parameters: readonly SqlValue[]): Row | undefined {
    const { isLasting } = statement;
    const key = isLasting || statement.isRemembered ? keyOf(parameters) : undefined;
    if (key === undefined) return this.#connection.first(statement, parameters);
    let remembered = this.#statements.get(statement);
    if (remembered === undefined) {
      remembered = { tables: isLasting ? [] : this.#connection.tablesRead(statement), rows: new Map() };
      this.#statements.set(statement, remembered);
    }
    let { rows } = remembered;
    const known = rows.get(key) as Row | undefined;
    if (known !== undefined || rows.has(key)) return known;
    const read = this.#connection.first(statement, parameters);
    // It may be there the next time.
    if (read === undefined && isLasting) return undefined;
    const row = read === undefined ? undefined : Object.freeze(read);
    // Emptied, not aged: a table that is never written has few rows, and the others begin anew at each write.
    if (rows.size >= (isLasting ? maxLastingRows : maxRows)) rows = emptied(remembered);
    rows.set(key, row);
    return row;
  }

  /** @param tables that a batch wrote; `null` when it isn't known */
  forget(tables: readonly string[] | null): void {
    for (const remembered of this.#statements.values())
      if (tables === null || remembered.tables.some((table) => tables.includes(table))) emptied(remembered);
  }
}

/** By a new map: a cleared one's old table would keep the next one alive, and so on (`Slots`). */
function emptied(remembered: Remembered): Map<string, unknown> {
  if (remembered.rows.size > 0) remembered.rows = new Map();
  return remembered.rows;
}

const severalMark = '\0';

/** Different parameters have different keys; `undefined` for bytes, which may be made from a credential. */
function keyOf(parameters: readonly SqlValue[]): string | undefined {
  const [only] = parameters;
  // Most are read by one id, which needs nothing made of it. No other key begins like this one could.
  if (parameters.length === 1 && typeof only === 'string' && !only.startsWith(severalMark)) return only;
  let key = severalMark;
  for (const parameter of parameters) {
    if (typeof parameter === 'object' && parameter !== null) return undefined;
    const text = String(parameter);
    key += `${typeof parameter} ${text.length}:${text}`;
  }
  return key;
}
