import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { loadKekFile } from '@strongroom/crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Canaries } from '../../../testing/canaries.ts';
import { codeOf } from '../../../testing/keys-world.ts';
import { postgresUnavailable } from '../../../testing/postgres.ts';
import { compileCache, testChild } from '../../../testing/programs.ts';
import { describeEachStore, type OpenStoreForTest, sharedPostgres, type TestStore } from '../../../testing/stores.ts';
import { loadConfiguration } from '../../config/load.ts';
import { openKeyring } from '../../keys/keyring.ts';
import { withInstallation } from '../../operator.ts';
import { globalScopeId } from '../../store/ids.ts';
import { openSqliteStore } from '../../store/sqlite.ts';
import { adoptRows } from './adopt-table.ts';
import { followTable } from './follow-table.ts';
import { adoptLegacyTable } from './index.ts';
import { openPostgresTable } from './postgres-table.ts';
import { openSqliteTable } from './sqlite-table.ts';
import type { LegacyTable, LegacyTablePlace } from './table.ts';

const canaries = new Canaries();
const limits = { valueBytes: 1000, keysPerScope: 100, secretVersions: 5 };
const folder = mkdtempSync(join(tmpdir(), 'strongroom-table-'));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;

/** A file of an install before ours. */
function makeFile(rows: readonly (readonly [unknown, unknown])[], columns = 'key TEXT, value TEXT'): string {
  files += 1;
  const file = join(folder, `legacy-${files}.db`);
  const database = new DatabaseSync(file);
  database.exec(`PRAGMA journal_mode = WAL; CREATE TABLE secret_store (id INTEGER PRIMARY KEY, ${columns})`);
  const names = columns
    .split(', ')
    .map((column) => column.split(' ')[0])
    .join(', ');
  for (const [key, value] of rows)
    database.prepare(`INSERT INTO secret_store (${names}) VALUES (?, ?)`).run(key as string, value as string);
  database.close();
  return file;
}

function placeOf(file: string, columns: Partial<LegacyTablePlace> = {}): LegacyTablePlace {
  const database = { kind: 'sqlite', file } as const;
  return { database, table: 'secret_store', keyColumn: 'key', valueColumn: 'value', ...columns };
}

function keysIn(file: string): unknown[] {
  const database = new DatabaseSync(file, { readOnly: true });
  const rows = database.prepare('SELECT * FROM secret_store ORDER BY id').all();
  database.close();
  return rows.map((row) => row['key']);
}

async function valueOf({ store, keys }: TestStore, key: string): Promise<string> {
  const row = await store.db
    .selectFrom('secrets')
    .innerJoin('secret_versions', 'secret_versions.secret_id', 'secrets.id')
    .select(['secrets.id', 'secret_versions.epoch', 'secret_versions.version', 'secret_versions.envelope'])
    .where('secrets.key', '=', key)
    .executeTakeFirstOrThrow();
  const place = { scopeId: globalScopeId, secretId: row.id, epoch: row.epoch, version: row.version };
  const value = await keys.open(place, row.envelope ?? new Uint8Array());
  return value.revealText();
}

describeEachStore('a plaintext table', (openStore: OpenStoreForTest) => {
  let test: TestStore;

  beforeAll(async () => {
    test = await openStore();
  });

  const adopt = async (table: LegacyTable, isTrial = false) => {
    try {
      const { store, keys } = test;
      const items = await adoptRows({ store, keys, table, limits, isTrial });
      if (!isTrial) await table.finish();
      return items.map(({ key, outcome, reason }) => [key, reason ?? outcome]);
    } finally {
      await table.close();
    }
  };
  const adoptFile = (file: string, isTrial = false) => adopt(openSqliteTable(placeOf(file), file, isTrial), isTrial);

  it('is encrypted, read back, and erased; a trial changes nothing', async () => {
    const value = canaries.text('legacy');
    const file = makeFile([
      ['DB_PASSWORD', value],
      ['.odd', 'päss'],
      ['db_password', 'clashes'],
    ]);
    const before = readFileSync(file);
    expect(await adoptFile(file, true)).toEqual([
      ['.odd', 'would-be-adopted'],
      ['DB_PASSWORD', 'would-be-adopted'],
      ['db_password', 'would-be-adopted'],
    ]);
    expect(readFileSync(file).equals(before)).toBe(true);
    expect(before.includes(value)).toBe(true);
    expect(await adoptFile(file)).toEqual([
      ['.odd', 'erased'],
      ['DB_PASSWORD', 'erased'],
      ['db_password', 'erased'],
    ]);
    expect(keysIn(file)).toEqual([]);
    expect(readFileSync(file).includes(value)).toBe(false);
    expect(await valueOf(test, 'DB_PASSWORD')).toBe(value);
    expect(await valueOf(test, '.odd')).toBe('päss');
    expect(await valueOf(test, 'db_password')).toBe('clashes');
    canaries.watchDirectory(test.directory);
    canaries.watchDirectory(folder);
    canaries.assertNoLeak();
  });

  it('keeps what can not be taken, by name', async () => {
    const file = makeFile([
      ['a/b', 'x'],
      ['twice', 'x'],
      ['twice', 'y'],
      [null, 'x'],
      ['nothing', null],
      ['large', 'x'.repeat(1001)],
      ['good', ''],
    ]);
    expect(await adoptFile(file)).toEqual([
      ['', 'has no key'],
      ['a/b', 'has a key that no reference can name'],
      ['good', 'erased'],
      ['large', "is larger than the store's limit of 1000 bytes"],
      ['nothing', 'has no value'],
      ['twice', 'is there more than once'],
      ['twice', 'is there more than once'],
    ]);
    expect(keysIn(file)).toEqual(['a/b', 'twice', 'twice', null, 'nothing', 'large']);
  });

  it('compares what is there already, and erases only what is the same', async () => {
    expect(await adoptFile(makeFile([['held', 'same']]))).toEqual([['held', 'erased']]);
    const file = makeFile([['held', 'same']]);
    expect(await adoptFile(file)).toEqual([['held', 'erased']]);
    const other = makeFile([['held', 'different']]);
    expect(await adoptFile(other)).toEqual([['held', 'has another value in Global; nothing of it was erased']]);
    expect(keysIn(other)).toEqual(['held']);
  });

  it('has bytes as they are, and columns of other names', async () => {
    const file = makeFile([['bytes', Buffer.from([0, 255, 1])]], 'name TEXT, secret BLOB');
    const place = placeOf(file, { keyColumn: 'name', valueColumn: 'secret' });
    expect(await adopt(openSqliteTable(place, file, false))).toEqual([['bytes', 'erased']]);
    const row = await test.store.db.selectFrom('secrets').select('shape').where('key', '=', 'bytes').executeTakeFirst();
    expect(row?.shape).toBe('binary');
  });

  it('leaves a row that somebody changes meanwhile', async () => {
    const file = makeFile([['changed', 'first']]);
    const table = openSqliteTable(placeOf(file), file, false);
    const erase = table.erase.bind(table);
    table.erase = async (key, value) => {
      const database = new DatabaseSync(file);
      database.exec(`UPDATE secret_store SET value = 'second'`);
      database.close();
      return erase(key, value);
    };
    expect(await adopt(table)).toEqual([['changed', 'was changed or erased by somebody else meanwhile; repeat it']]);
    expect(keysIn(file)).toEqual(['changed']);
  });
});

it('is refused where it is not there, and made by no name', async () => {
  const file = makeFile([]);
  expect(() => openSqliteTable(placeOf(`${file}-none`), `${file}-none`, true)).toThrow(/There is no file/);
  const absent = openSqliteTable(placeOf(file, { table: 'other' }), file, true);
  expect(await codeOf(absent.read())).toBe('not_found');
  const column = openSqliteTable(placeOf(file, { valueColumn: 'secret' }), file, true);
  expect(await codeOf(column.read())).toBe('not_found');
  const qualified = openSqliteTable(placeOf(file, { table: 'main.secret_store' }), file, true);
  expect(await qualified.read()).toEqual([]);
  for (const table of [absent, column, qualified]) await table.close();
  for (const table of ['x"; DROP TABLE y', 'a.b.c', ''])
    expect(() => openSqliteTable(placeOf(file, { table }), file, true)).toThrow(/letters, digits and underscores/);
});

const missing = postgresUnavailable();
describe.skipIf(missing !== undefined)(
  `a table in PostgreSQL${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    let url: string;
    beforeAll(async () => {
      const postgres = await sharedPostgres();
      url = await postgres.createDatabase('icu');
    });

    it('is read as it is, erased by value, and read only in a trial', async () => {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      await client.query(
        'CREATE SCHEMA legacy; CREATE TABLE legacy.secret_store (key varchar(200), value text, raw bytea)',
      );
      await client.query(`INSERT INTO legacy.secret_store VALUES ('b', 'ä', '\\x00ff'), ('A', 'x', NULL)`);
      const place = placeOf('', { table: 'legacy.secret_store' });
      const trial = await openPostgresTable(place, url, true);
      expect((await trial.read()).map(({ key, value }) => [key, Buffer.from(value ?? []).toString()])).toEqual([
        ['A', 'x'],
        ['b', 'ä'],
      ]);
      expect(await codeOf(trial.erase('A', Buffer.from('x')))).toBe('storage_unavailable');
      await trial.close();
      const bytes = await openPostgresTable({ ...place, valueColumn: 'raw' }, url, false);
      expect((await bytes.read()).map(({ value }) => value && Buffer.from(value).toString('hex'))).toEqual([
        null,
        '00ff',
      ]);
      expect(await bytes.erase('b', Buffer.from([0]))).toBe(false);
      expect(await bytes.erase('b', Buffer.from([0, 255]))).toBe(true);
      expect(await bytes.finish()).toMatch(/^The write-ahead log/);
      await bytes.close();
      const text = await openPostgresTable(place, url, false);
      expect(await text.erase('A', Buffer.from('y'))).toBe(false);
      expect(await text.erase('A', Buffer.from('x'))).toBe(true);
      expect(await text.read()).toEqual([]);
      await text.close();
      for (const wrong of [{ table: 'nowhere' }, { table: 'no.secret_store' }, { ...place, keyColumn: 'name' }]) {
        const table = await openPostgresTable(placeOf('', wrong), url, true);
        expect(await codeOf(table.read())).toBe('not_found');
        await table.close();
      }
      await client.end();
      expect(await codeOf(openPostgresTable(place, 'postgres://ann:hunter2@127.0.0.1:1/none', true))).toBe(
        'storage_unavailable',
      );
    });
  },
);

it('is whole after each kill, and the next try ends it', async () => {
  const dataDir = join(folder, 'data');
  const configuration = loadConfiguration({ variables: { STRONGROOM_DATA_DIR: dataDir }, workingDirectory: folder });
  const rows = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'].map((key) => [key, `value of ${key}`] as const);
  const file = makeFile(rows);
  // A server has followed some of them, and others came later, or were edited since.
  const followed = makeFile([...rows.slice(0, 3), ['d', 'an earlier value']]);
  await install(configuration, followed);
  const child = testChild('adopt-table-child');
  for (const step of ['encrypted', 'verified', 'erased']) {
    const env = compileCache;
    const process_ = spawn(process.execPath, [child, dataDir, file, step], {
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let errors = '';
    process_.stderr.on('data', (chunk: Buffer) => {
      errors += chunk.toString('utf8');
    });
    const signal = await new Promise((resolve) => process_.on('close', (_code, name) => resolve(name)));
    expect({ signal, errors }).toEqual({ signal: 'SIGKILL', errors: '' });
  }
  const left = keysIn(file).length;
  expect(left).toBeGreaterThan(0);
  expect(left).toBeLessThan(rows.length);
  const { items } = await adoptLegacyTable(configuration, placeOf(file), { isTrial: false });
  expect(items.every(({ outcome }) => outcome === 'erased')).toBe(true);
  expect(items).toHaveLength(left);
  expect(keysIn(file)).toEqual([]);
  const again = await adoptLegacyTable(configuration, placeOf(makeFile(rows)), { isTrial: true });
  // All of them are there, each once, with its value: else it would be refused or be two.
  expect(again.items.map(({ outcome }) => outcome)).toEqual(rows.map(() => 'would-be-adopted'));
}, 60_000);

async function install(configuration: ReturnType<typeof loadConfiguration>, file: string): Promise<void> {
  const { dataDir } = configuration.settings;
  const store = await openSqliteStore({ directory: dataDir });
  const keyring = await openKeyring(store, await loadKekFile(join(dataDir, 'kek'), { create: true }));
  keyring.close();
  await store.close();
  const open = async () => openSqliteTable(placeOf(file), file, true);
  await withInstallation(configuration, '', (opened, keys) =>
    followTable({ store: opened, keys, limits, mayBeAbsent: false, open }, AbortSignal.timeout(60_000)),
  );
}
