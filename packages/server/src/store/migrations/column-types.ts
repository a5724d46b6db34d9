import { sql, type RawBuilder } from 'kysely';

/**
 * What differs between the databases when tables are made; migrations name the kind and never ask which database it is.
 *
 * Every text compares by code point: SQLite's BINARY collation does, and PostgreSQL's "C" does whatever the database's own
 * collation is.
 */
export interface ColumnTypes {
  readonly text: RawBuilder<unknown>;
  /** 64 bits; values stay within ±2⁵³. */
  readonly integer: RawBuilder<unknown>;
  readonly bytes: RawBuilder<unknown>;
  /** An integer primary key that counts up by itself. */
  readonly countedKey: RawBuilder<unknown>;
  /** Statements that keep a trigram index over a text column, under the name `<table>_trigrams`. */
  readonly trigramIndex: (table: string, key: string, column: string) => readonly RawBuilder<unknown>[];
  /** Ends CREATE TABLE. */
  readonly tableOptions: RawBuilder<unknown>;
  /** Ends CREATE TABLE for tables that are only ever reached by their primary key. */
  readonly keyedTableOptions: RawBuilder<unknown>;
  /** Whether those lie in their primary key's index, row by row. */
  readonly areKeyedTablesIndexes: boolean;
}

export const columnTypes: Readonly<Record<'sqlite' | 'postgres', ColumnTypes>> = {
  sqlite: {
    text: sql`text`,
    integer: sql`integer`,
    bytes: sql`blob`,
    countedKey: sql`integer not null primary key autoincrement`,
    trigramIndex: fullTextTable,
    tableOptions: sql`strict`,
    keyedTableOptions: sql`strict, without rowid`,
    areKeyedTablesIndexes: true,
  },
  postgres: {
    text: sql`text collate "C"`,
    integer: sql`bigint`,
    bytes: sql`bytea`,
    countedKey: sql`bigint generated always as identity primary key`,
    trigramIndex: (table, _key, column) => [
      sql`create extension if not exists pg_trgm`,
      sql`create index ${sql.id(`${table}_trigrams`)} on ${sql.table(table)} using gin (${sql.ref(column)} gin_trgm_ops)`,
    ],
    tableOptions: sql``,
    keyedTableOptions: sql``,
    areKeyedTablesIndexes: false,
  },
};

/** FTS5 over the table's own rows, kept equal to them by triggers (SQLite manual, "External Content Tables"). */
function fullTextTable(table: string, key: string, column: string): readonly RawBuilder<unknown>[] {
  const index = sql.id(`${table}_trigrams`);
  const command = sql.id(`${table}_trigrams`);
  const field = sql.id(column);
  const added = sql`insert into ${index} (rowid, ${field}) values (new.${sql.id(key)}, new.${field});`;
  const removed = sql`insert into ${index} (${command}, rowid, ${field}) values ('delete', old.${sql.id(key)}, old.${field});`;
  const on = sql`on ${sql.table(table)}`;
  return [
    sql`create virtual table ${index} using fts5 (${field}, content=${sql.lit(table)}, content_rowid=${sql.lit(key)}, tokenize='trigram')`,
    sql`create trigger ${sql.id(`${table}_insert`)} after insert ${on} begin ${added} end`,
    sql`create trigger ${sql.id(`${table}_delete`)} after delete ${on} begin ${removed} end`,
    sql`create trigger ${sql.id(`${table}_update`)} after update of ${field} ${on} begin ${removed} ${added} end`,
  ];
}
