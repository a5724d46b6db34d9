// Rows put straight into a database of the embedded store, by the hundred thousand.
import type { DatabaseSync, SQLInputValue } from 'node:sqlite';

export type Row = Readonly<Record<string, SQLInputValue>>;
export type Insert = (table: string, row: Row) => void;

/** What a row does not say is empty. */
export function inserter(db: DatabaseSync): Insert {
  const tables = new Map<string, { readonly run: (row: Row) => void }>();
  return (table, row) => {
    let known = tables.get(table);
    if (known === undefined) {
      const columns = db.prepare(`pragma table_info(${table})`).all() as {
        name: string;
        type: string;
        notnull: number;
        pk: number;
      }[];
      const names = columns.map(({ name }) => name);
      const statement = db.prepare(
        `insert into ${table} (${names.join(', ')}) values (${names.map((name) => `:${name}`).join(', ')})`,
      );
      const empty: Row = Object.fromEntries(
        columns.map(({ name, type, notnull, pk }) => {
          // SQLite counts a key that is a number by itself.
          const isText = type.toLowerCase() === 'text';
          return [name, notnull === 0 || (pk > 0 && !isText) ? null : isText ? '' : 0];
        }),
      );
      known = { run: (given) => statement.run({ ...empty, ...given }) };
      tables.set(table, known);
    }
    known.run(row);
  };
}
