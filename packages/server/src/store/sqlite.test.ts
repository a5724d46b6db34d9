import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { StrongroomError } from '@strongroom/contract';
import { sql } from 'kysely';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { testEvent, type TestCommands, type TestQueries } from '../../testing/store-program.ts';
import { openTestStore, type TestStore } from '../../testing/stores.ts';
import { dataFiles } from './data-directory.ts';
import { type Migration, migrations } from './migrations/index.ts';
import { openSqliteStore } from './sqlite.ts';
import { migrateSqlite } from './sqlite-migrate.ts';

const program = new URL('../../testing/store-program.ts', import.meta.url);

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'none';
  } catch (error) {
    if (error instanceof StrongroomError) return error.code;
    throw error;
  }
}

describe('the embedded store', () => {
  let t: TestStore<TestCommands, TestQueries>;
  afterEach(() => t.close());
  const open = async () => {
    t = await openTestStore<TestCommands, TestQueries>({ program });
    return t;
  };

  test('is used by one process at a time, and its files are the owner’s alone', async () => {
    const { directory, store } = await open();
    expect(await codeOf(openSqliteStore({ directory, program }))).toBe('state_conflict');
    await store.execute('test.insert', { key: 'a', value: '' });
    const files = readdirSync(directory).filter((name) => name.startsWith('strongroom.db'));
    expect(files).toContain('strongroom.db-wal');
    expect(files.filter((name) => (statSync(join(directory, name)).mode & 0o077) !== 0)).toEqual([]);
  });

  test('commits to disk, keeps foreign keys and overwrites what is deleted', async () => {
    const { store } = await open();
    const pragma = async (name: string) => {
      const result = await sql.raw<Record<string, unknown>>(`pragma ${name}`).execute(store.db);
      return Object.values(result.rows[0] ?? {})[0];
    };
    expect(await pragma('journal_mode')).toBe('wal');
    expect(await pragma('foreign_keys')).toBe(1);
    const orphan = store.db
      .insertInto('secret_tags')
      .values({ secret_id: 'sec_none', scope_id: 'dom_global', tag: 'x' })
      .execute();
    await expect(orphan).rejects.toThrow(/read-?only/i);
  });

  test('says when the disk is full, and goes on when it no longer is', async () => {
    const { store } = await open();
    await store.execute('test.limitPages', { pages: 1 });
    const big = { key: 'big', value: 'x'.repeat(4_000_000) };
    const batch = [
      store.execute('test.insert', big, { audit: [testEvent('big')] }),
      store.execute('test.insert', { key: 'beside', value: '' }, { audit: [testEvent('beside')] }),
    ];
    expect(await Promise.all(batch.map(codeOf))).toEqual(['storage_full', 'storage_full']);
    expect(await store.query('test.list', { prefix: 'b' })).toEqual([]);
    await store.execute('test.limitPages', { pages: 0 });
    await store.execute('test.insert', { key: 'big', value: 'fits' }, { audit: [testEvent('big')] });
    const records = await store.db.selectFrom('audit_records').select('sequence').execute();
    expect(records).toEqual([{ sequence: 1 }]);
  });

  test('whose anchor can’t be written releases nothing that audits, and recovers', async () => {
    const { store, directory } = await open();
    await store.execute('test.insert', { key: 'a', value: '' }, { audit: [testEvent('a')] });
    // The chain notices that its file is gone, and can't make another one.
    const anchor = dataFiles(directory).anchor;
    rmSync(anchor);
    mkdirSync(anchor);
    const batch = [
      store.execute('test.insert', { key: 'b', value: '' }, { audit: [testEvent('b')] }),
      store.execute('test.insert', { key: 'c', value: '' }),
    ];
    expect(await Promise.all(batch.map(codeOf))).toEqual(['audit_unavailable', 'none']);
    rmdirSync(anchor);
    expect(await codeOf(store.execute('test.insert', { key: 'd', value: '' }, { audit: [testEvent('d')] }))).toBe(
      'none',
    );
  });

  test('whose writer thread ends rejects what waits and says that it can’t go on', async () => {
    const { store } = await open();
    const waiting = [
      codeOf(store.execute('test.exit', undefined)),
      codeOf(store.execute('test.insert', { key: 'a', value: '' })),
    ];
    expect(await Promise.all(waiting)).toEqual(['storage_unavailable', 'storage_unavailable']);
    expect(await codeOf(store.execute('test.insert', { key: 'b', value: '' }))).toBe('storage_unavailable');
    expect(await store.closed).toBeInstanceOf(StrongroomError);
    expect(await store.db.selectFrom('scopes').select('id').execute()).toHaveLength(2);
  });
});

describe('migrations of the embedded store', () => {
  const directory = mkdtempSync(join(tmpdir(), 'strongroom-migrate-'));
  const files = dataFiles(directory);
  afterAll(() => rmSync(directory, { recursive: true }));
  afterEach(() => {
    for (const name of readdirSync(directory)) rmSync(join(directory, name), { recursive: true });
  });
  const addTable = (name: string): Migration => ({
    name,
    up: async (db) => {
      await sql`create table ${sql.table(name)} (id text primary key)`.execute(db);
    },
  });
  const tables = () => {
    const database = new DatabaseSync(files.database, { readOnly: true });
    const rows = database.prepare("select name from sqlite_schema where type = 'table' and name like 'extra%'").all();
    database.close();
    return rows.map((row) => row['name']);
  };

  test('run once each, in order, and copy an existing file first', async () => {
    await migrateSqlite(files, [addTable('extra1')]);
    expect(existsSync(`${files.database}.schema-1`)).toBe(false);
    await migrateSqlite(files, [addTable('extra1'), addTable('extra2')]);
    expect(tables()).toEqual(['extra1', 'extra2']);
    expect(statSync(`${files.database}.schema-1`).mode & 0o077).toBe(0);
    const copy = new DatabaseSync(`${files.database}.schema-1`, { readOnly: true });
    expect(copy.prepare("select count(*) as n from sqlite_schema where name like 'extra_'").get()).toMatchObject({
      n: 1,
    });
    copy.close();
    await migrateSqlite(files, [addTable('extra1'), addTable('extra2')]);
  });

  test('put the audit log in the order in which it came, with all that it holds', async () => {
    const at = migrations.findIndex(({ name }) => name === 'appended-audit');
    await migrateSqlite(files, migrations.slice(0, at));
    const database = new DatabaseSync(files.database);
    const insert = database.prepare('insert into audit_records values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
    const add = (chain: string, sequence: number, time: number, scope: string | null) =>
      insert.run(
        chain,
        sequence,
        time,
        Buffer.alloc(900, sequence),
        Buffer.from('h'),
        Buffer.from('m'),
        scope,
        'p',
        'a',
        'denied',
      );
    for (let sequence = 1; sequence <= 300; sequence += 1) add('z', sequence, 10 * sequence, 'dom_a');
    for (let sequence = 1; sequence <= 300; sequence += 1) add('a', sequence, 5 + 10 * sequence, null);
    const indexes =
      "select name from sqlite_schema where tbl_name = 'audit_records' and sql like 'create index%' order by name";
    const rows = 'select * from audit_records order by chain_id, sequence';
    const before = [database.prepare(rows).all(), database.prepare(indexes).all()];
    database.close();
    await migrateSqlite(files);
    const migrated = new DatabaseSync(files.database);
    expect([migrated.prepare(rows).all(), migrated.prepare(indexes).all()]).toEqual(before);
    const inOrder = migrated
      .prepare('select at from audit_records order by rowid')
      .all()
      .map((row) => Number(row['at']));
    expect(inOrder).toEqual(inOrder.toSorted((a, b) => a - b));
    expect(() =>
      migrated.exec("insert into audit_records select * from audit_records where sequence = 1 and chain_id = 'a'"),
    ).toThrow('UNIQUE');
    migrated.close();
  });

  test('leave the old schema when one fails', async () => {
    await migrateSqlite(files, [addTable('extra1')]);
    const broken: Migration = {
      name: 'broken',
      up: async (db) => {
        await addTable('extra3').up(db, {} as never, 0);
        throw new RangeError('broken');
      },
    };
    await expect(migrateSqlite(files, [addTable('extra1'), addTable('extra2'), broken])).rejects.toThrow('broken');
    expect(tables()).toEqual(['extra1']);
    await migrateSqlite(files, [addTable('extra1'), addTable('extra2')]);
    expect(tables()).toEqual(['extra1', 'extra2']);
  });

  test('refuse a schema that is newer or that they don’t know', async () => {
    await migrateSqlite(files, [addTable('extra1'), addTable('extra2')]);
    const newer: unknown = await migrateSqlite(files, [addTable('extra1')]).catch((error: unknown) => error);
    expect(newer).toMatchObject({ code: 'state_conflict', detail: expect.stringContaining('schema version 2') });
    expect(await codeOf(migrateSqlite(files, [addTable('extra1'), addTable('else')]))).toBe('state_conflict');
    const newest = [...migrations, addTable('extra1')];
    rmSync(files.database);
    await migrateSqlite(files, newest);
    expect(await codeOf(openSqliteStore({ directory, program }))).toBe('state_conflict');
  });

  test('say when the file is no database', async () => {
    writeFileSync(files.database, 'x'.repeat(10_000));
    expect(await codeOf(migrateSqlite(files, [addTable('extra1')]))).toBe('storage_unavailable');
  });
});
