import { readFileSync } from 'node:fs';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { Kysely, sql, SqliteDialect } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeEachStore, openTestStore, type TestStore } from '../../testing/stores.ts';
import { outdatedLaunches } from '../launches/outdated.ts';
import { dataFiles } from './data-directory.ts';
import { migrations } from './migrations/index.ts';
import type { Tables } from './tables.ts';

interface Column {
  readonly kind: 'text' | 'integer' | 'bytes';
  readonly isNullable: boolean;
}

/** The columns that the `Tables` type declares: types are gone at run time, so its source is read. */
function declaredTables(): Map<string, Map<string, Column>> {
  const source = readFileSync(new URL('./tables.ts', import.meta.url), 'utf8')
    .replaceAll(/\/\*\*[\s\S]*?\*\//g, '')
    .replaceAll(/\/\/.*$/gm, '');
  const tables = new Map<string, Map<string, Column>>();
  for (const [, table = '', body = ''] of source.matchAll(/^ {2}(\w+): \{([\s\S]*?)\};?$/gm)) {
    const columns = new Map<string, Column>();
    for (const [, name = '', type = ''] of body.matchAll(/(\w+): ([^;]+)/g)) {
      const isNullable = type.includes('| null');
      const bare = type
        .replace('| null', '')
        .replace(/Generated<(\w+)>/, '$1')
        .trim();
      const kind = bare === 'number' ? 'integer' : bare === 'Uint8Array' ? 'bytes' : 'text';
      columns.set(name, { kind, isNullable });
    }
    tables.set(table, columns);
  }
  return tables;
}

const kinds: Readonly<Record<string, Column['kind']>> = {
  text: 'text',
  integer: 'integer',
  int8: 'integer',
  bigint: 'integer',
  blob: 'bytes',
  bytea: 'bytes',
};

describeEachStore('the schema', (openStore) => {
  let t: TestStore;
  beforeAll(async () => {
    t = await openStore();
  });

  test('has the tables and columns the types declare, no more and no fewer', async () => {
    const declared = declaredTables();
    expect(declared.size).toBeGreaterThan(30);
    const stored = await t.store.db.introspection.getTables();
    const found = new Map(
      stored
        .filter((table) => !table.name.includes('_trigrams') && table.name !== 'schema_migrations')
        .map((table) => [
          table.name,
          new Map(
            table.columns.map((column) => [
              column.name,
              { kind: kinds[column.dataType.toLowerCase()], isNullable: column.isNullable },
            ]),
          ),
        ]),
    );
    expect([...found.keys()].sort()).toEqual([...declared.keys()].sort());
    for (const [name, columns] of declared) {
      expect([name, Object.fromEntries(found.get(name) ?? [])]).toEqual([name, Object.fromEntries(columns)]);
    }
  });

  test('begins with the two scopes that always are, and their stores', async () => {
    const rows = await t.store.db
      .selectFrom('sources')
      .innerJoin('scopes', 'scopes.id', 'sources.scope_id')
      .select(['scopes.id', 'scopes.kind', 'scopes.name', 'sources.id as source', 'sources.name as sourceName', 'type'])
      .orderBy('scopes.id')
      .execute();
    expect(rows).toEqual(
      ['admin', 'global'].map((kind) => ({
        id: `dom_${kind}`,
        kind,
        name: kind,
        source: `src_${kind}`,
        sourceName: 'managed',
        type: 'DATABASE',
      })),
    );
  });

  test('says which migrations made it', async () => {
    const rows = await sql<{ number: number; name: string }>`
      select number, name from schema_migrations order by number`.execute(t.store.db);
    expect(rows.rows).toEqual(migrations.map(({ name }, index) => ({ number: index + 1, name })));
  });

  test('compares all text by code point', async () => {
    // SQLite's collation is by code point unless a table says otherwise; PostgreSQL's is unless a column says so.
    const otherwise =
      t.store.dialect === 'sqlite'
        ? sql`select sql from sqlite_schema where sql like '%collate%'`
        : sql`select table_name, column_name from information_schema.columns
            where table_schema = 'public' and data_type = 'text' and collation_name is distinct from 'C'`;
    expect((await otherwise.execute(t.store.db)).rows).toEqual([]);
  });
});

describe('a page of a list', () => {
  let t: TestStore;
  beforeAll(async () => {
    t = await openTestStore({ hasAudit: false });
  });
  afterAll(() => t.close());

  // What a list reads must not grow with the table: each comes out of an index in its order.
  const lists = [
    ['secrets', "scope_id = 'a' and (folded_key, key) >= ('k', 'i') order by folded_key, id"],
    [
      'integration_keys',
      "source_id = 'a' and (folded_key, key) >= ('k', 'i') and generation > 0 order by folded_key, key",
    ],
    ['secrets', "(folded_key, scope_id, source_id) > ('k', 's', 'o') order by folded_key, scope_id, source_id"],
    ['audit_records', "scope_id = 'a' order by at desc, chain_id desc, sequence desc"],
    ['audit_records', "principal_id = 'a' order by at desc, chain_id desc, sequence desc"],
    ['audit_records', "action = 'a' order by at desc, chain_id desc, sequence desc"],
    ['audit_records', 'at < 5 order by at desc, chain_id desc, sequence desc'],
    ['runs', "scope_id = 'a' order by created_at desc, id desc"],
    ['runs', "configuration_id = 'a' order by created_at desc, id desc"],
    ['launches', "configuration_id = 'a' order by created_at desc, id desc"],
    ['launches', "ended_at < 5 and (ended_at, id) > (1, 'a') order by ended_at, id"],
    ['configurations', "scope_id = 'a' and surface = 's' and (name, id) > ('n', 'i') order by name, id"],
    [
      'uses',
      "target_scope_id = 'a' and target_source_id = 'b' and target_key = 'c' order by configuration_id, pointer",
    ],
    ['uses', "secret_id = 'a' order by configuration_id, pointer"],
    ['receipts', "secret_id = 'a' order by launch_id"],
    ['tokens', "principal_id = 'a' order by id"],
  ] as const;

  test.each(lists)('of %s comes from an index: %s', async (table, condition) => {
    const plan = await sql
      .raw<{ detail: string }>(`explain query plan select * from ${table} where ${condition} limit 50`)
      .execute(t.store.db);
    const steps = plan.rows.map((row) => row.detail).join('; ');
    expect(steps).toMatch(/^SEARCH \w+ USING/);
    // Audit records of one millisecond are put in order as they are read.
    expect(steps.replace(table === 'audit_records' ? 'TEMP B-TREE FOR LAST 2 TERMS' : '', '')).not.toContain(
      'TEMP B-TREE',
    );
  });

  test('of the whole audit log is read in its order', async () => {
    const plan = await sql<{ detail: string }>`explain query plan select * from audit_records
      where outcome = 'denied' order by at desc, chain_id desc, sequence desc limit 50`.execute(t.store.db);
    expect(plan.rows.map(({ detail }) => detail)).toEqual(['SCAN audit_records USING INDEX audit_records_time']);
  });

  test('of what is outdated reads no table from end to end, whatever was counted of the tables', async () => {
    const database = new DatabaseSync(dataFiles(t.directory).database);
    try {
      // As ANALYZE leaves it of one domain with all secrets: then the domain alone finds all there is.
      database.exec(`analyze sqlite_schema;
        insert into sqlite_stat1 values ('secrets', 'secrets_updated', '10001 10001 5001'),
        ('secrets', 'sqlite_autoindex_secrets_1', '10001 1'), ('receipts', 'receipts_held', '200000 20 20 1'),
        ('receipts', 'receipts_secret', '200000 20 1'), ('launches', 'launches_open', '100000 100000 1 1')`);
      database.exec('analyze sqlite_schema');
      const steps: string[] = [];
      const prepare = (statement: string) => ({
        reader: true,
        all: (parameters: readonly unknown[]) => {
          const values = parameters as readonly SQLInputValue[];
          const plan = database.prepare(`explain query plan ${statement}`).all(...values);
          steps.push(...plan.map(({ detail }) => String(detail)));
          return database.prepare(statement).all(...values);
        },
        run: () => ({ changes: 0, lastInsertRowid: 0 }),
        iterate: () => [][Symbol.iterator](),
      });
      const db = new Kysely<Tables>({ dialect: new SqliteDialect({ database: { prepare, close: () => undefined } }) });
      expect(await outdatedLaunches({ db }, { scopeId: 'dom_global' })).toEqual([]);
      expect(steps.filter((step) => step.startsWith('SEARCH secrets'))).toHaveLength(3);
      expect(steps.filter((step) => step.startsWith('SCAN'))).toEqual([]);
    } finally {
      database.close();
    }
  });
});
