import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ReadMemory } from './read-memory.ts';
import { SqliteConnection } from './sqlite-connection.ts';
import { hotStatement } from './store.ts';

interface Item {
  readonly id: string;
  readonly name: string;
}

const itemById = hotStatement<Item>(
  'test.itemById',
  (db) => sql<Item>`select id, name from items where id = ${''} and shelf = ${''}`.compile(db),
  { isRemembered: true },
);
const placedItems = hotStatement<{ readonly count: number }>(
  'test.placedItems',
  (db) => sql<{ count: number }>`select count(*) as count from places`.compile(db),
  { isRemembered: true },
);
const itemByBytes = hotStatement<Item>(
  'test.itemByBytes',
  (db) => sql<Item>`select id, name from items where cast(id as blob) = ${new Uint8Array(0)}`.compile(db),
  { isRemembered: true },
);
const lastingItem = hotStatement<Item>(
  'test.lastingItem',
  (db) => sql<Item>`select id, shelf as name from items where id = ${''}`.compile(db),
  { isLasting: true },
);
const unremembered = hotStatement<Item>('test.unremembered', (db) =>
  sql<Item>`select id, name from items where id = ${''}`.compile(db),
);

let directory: string;
let writer: SqliteConnection;
let reader: SqliteConnection;
let memory: ReadMemory;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'strongroom-memory-'));
  const file = join(directory, 'test.db');
  writer = new SqliteConnection(file, 'write');
  writer.database.exec(`
    create table items (id text primary key, shelf text not null, name text not null) strict;
    create table places (item_id text primary key references items (id) on delete cascade) strict;
    create table logs (id integer primary key, text text not null) strict;
    create table counts (id integer primary key, count integer not null) strict;
    create trigger counted after insert on logs begin insert into counts (count) values (new.id); end;
    insert into items values ('a', 's', 'one'), ('a1', 's', 'other');
    insert into places values ('a');`);
  reader = new SqliteConnection(file, 'read');
  memory = new ReadMemory(reader);
});

afterEach(() => {
  reader.close();
  writer.close();
  rmSync(directory, { recursive: true });
});

const write = async (text: string): Promise<readonly string[] | null> => {
  await sql.raw(text).execute(writer.db);
  return writer.takeTablesWritten();
};

test('a row, and that there is none, are read once until one of their tables is written', async () => {
  const first = memory.first(itemById, ['a', 's']);
  expect(first).toEqual({ id: 'a', name: 'one' });
  expect(memory.first(itemById, ['b', 's'])).toBeUndefined();
  memory.forget(await write(`insert into logs (text) values ('x')`));
  expect(memory.first(itemById, ['a', 's'])).toBe(first);
  const written = await write(`update items set name = 'two' where id = 'a'`);
  await write(`insert into items values ('b', 's', 'new')`);
  expect(memory.first(itemById, ['a', 's'])?.name).toBe('one');
  memory.forget(written);
  expect(memory.first(itemById, ['a', 's'])?.name).toBe('two');
  expect(memory.first(itemById, ['b', 's'])?.name).toBe('new');
});

test('the same statement run again is heard of again, and what was only read is not', async () => {
  const text = `update items set name = 'two' where id = 'a'`;
  expect(await write(text)).toEqual(['items']);
  expect(await write(text)).toEqual(['items']);
  expect(await write('select name from items')).toEqual([]);
});

test('what a trigger and a foreign key write is heard of, and a change of the schema is anything', async () => {
  expect(await write(`insert into logs (text) values ('x')`)).toEqual(expect.arrayContaining(['logs', 'counts']));
  expect(memory.first(placedItems, [])?.count).toBe(1);
  const written = await write(`delete from items where id = 'a'`);
  expect(written).toEqual(expect.arrayContaining(['items', 'places']));
  memory.forget(written);
  expect(memory.first(placedItems, [])?.count).toBe(0);
  expect(await write('create table later (id text) strict')).toBeNull();
});

test('when nobody knows what was written, nothing is remembered', async () => {
  memory.first(itemById, ['a', 's']);
  await write(`update items set name = 'two' where id = 'a'`);
  memory.forget(null);
  expect(memory.first(itemById, ['a', 's'])?.name).toBe('two');
});

test('what lasts is remembered whatever is written, once it is there', async () => {
  const first = memory.first(lastingItem, ['a']);
  expect(first).toEqual({ id: 'a', name: 's' });
  expect(memory.first(lastingItem, ['b'])).toBeUndefined();
  memory.forget(await write(`insert into items values ('b', 's', 'new')`));
  expect(memory.first(lastingItem, ['a'])).toBe(first);
  expect(memory.first(lastingItem, ['b'])?.id).toBe('b');
  memory.forget(null);
  expect(memory.first(lastingItem, ['a'])).not.toBe(first);
});

test('different parameters are different rows, wherever one ends and the next begins', () => {
  expect(memory.first(itemById, ['a1', 's'])?.name).toBe('other');
  expect(memory.first(itemById, ['a', '1s'])).toBeUndefined();
  expect(memory.first(itemById, ['a', 's'])?.name).toBe('one');
});

test('a shared row can’t be changed', () => {
  const row = memory.first(itemById, ['a', 's']) as { name: string };
  expect(() => {
    row.name = 'changed';
  }).toThrow(TypeError);
});

test('bytes, which may come from a credential, and other statements are read each time', async () => {
  const bytes = Buffer.from('a');
  expect(memory.first(itemByBytes, [bytes])?.name).toBe('one');
  expect(memory.first(unremembered, ['a'])?.name).toBe('one');
  await write(`update items set name = 'two' where id = 'a'`);
  expect(memory.first(itemByBytes, [bytes])?.name).toBe('two');
  expect(memory.first(unremembered, ['a'])?.name).toBe('two');
});
