import { type CreateTableBuilder, type Kysely, sql } from 'kysely';
import type { ColumnTypes } from './column-types.ts';

type Kind = 'text' | 'integer' | 'bytes';

/** A table as a migration says it. Frozen with the migration: it never follows a later change of the `Tables` type. */
export interface TableSpec {
  readonly name: string;
  /** Kind per column; a question mark allows null. */
  readonly columns: Readonly<Record<string, Kind | `${Kind}?`>>;
  readonly primaryKey: readonly [string, ...string[]];
  /** Reached by its primary key alone: stored in the key's order where the database can do that. */
  readonly isKeyed?: boolean;
  /** Columns → the table whose `id` they hold. */
  readonly references?: Readonly<Record<string, string>>;
  readonly indexes?: Readonly<Record<string, IndexSpec>>;
  /** Name → SQL condition that both databases understand. */
  readonly checks?: Readonly<Record<string, string>>;
}

export interface IndexSpec {
  /** A column, `column desc`, or an expression in parentheses. */
  readonly columns: readonly string[];
  readonly isUnique?: boolean;
  /** SQL condition of a partial index. */
  readonly where?: string;
}

/** Makes the table, its constraints and its indexes. */
export async function createTable(db: Kysely<unknown>, types: ColumnTypes, spec: TableSpec): Promise<void> {
  let table: CreateTableBuilder<string, string> = db.schema.createTable(spec.name);
  for (const [name, kind] of Object.entries(spec.columns)) {
    const isNullable = kind.endsWith('?');
    const type = types[kind.replace('?', '') as Kind];
    table = table.addColumn(name, type, (column) => (isNullable ? column : column.notNull()));
  }
  table = table.addPrimaryKeyConstraint(`${spec.name}_pkey`, [...spec.primaryKey]);
  for (const [column, target] of Object.entries(spec.references ?? {})) {
    table = table.addForeignKeyConstraint(`${spec.name}_${column}_fkey`, [column], target, ['id']);
  }
  for (const [name, condition] of Object.entries(spec.checks ?? {})) {
    table = table.addCheckConstraint(`${spec.name}_${name}_check`, sql.raw(condition));
  }
  await table.modifyEnd(spec.isKeyed === true ? types.keyedTableOptions : types.tableOptions).execute();
  await createIndexes(db, spec.name, spec.indexes ?? {});
}

/** Makes indexes of a table; their names begin with the table's. */
export async function createIndexes(
  db: Kysely<unknown>,
  table: string,
  indexes: Readonly<Record<string, IndexSpec>>,
): Promise<void> {
  for (const [name, index] of Object.entries(indexes)) {
    const columns = sql.raw(index.columns.join(', '));
    const unique = sql.raw(index.isUnique === true ? 'unique ' : '');
    const where = sql.raw(index.where === undefined ? '' : ` where ${index.where}`);
    await sql`create ${unique}index ${sql.id(`${table}_${name}`)} on ${sql.table(table)} (${columns})${where}`.execute(
      db,
    );
  }
}

/** A condition that holds the column to a closed list of words. */
export function oneOf(column: string, ...words: readonly string[]): string {
  return `${column} in (${words.map((word) => `'${word}'`).join(', ')})`;
}
