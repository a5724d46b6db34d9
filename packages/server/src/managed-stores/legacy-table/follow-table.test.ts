import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { StrongroomError } from '@strongroom/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Canaries } from '../../../testing/canaries.ts';
import { codeOf } from '../../../testing/keys-world.ts';
import { describeEachStore, type OpenStoreForTest, type TestStore } from '../../../testing/stores.ts';
import { globalScopeId } from '../../store/ids.ts';
import { adoptRows } from './adopt-table.ts';
import { followTable } from './follow-table.ts';
import { openSqliteTable } from './sqlite-table.ts';
import type { LegacyTablePlace } from './table.ts';

const canaries = new Canaries();
const folder = mkdtempSync(join(tmpdir(), 'strongroom-follow-'));
afterAll(() => rmSync(folder, { recursive: true }));
const limits = { valueBytes: 1000, keysPerScope: 100, secretVersions: 3 };

describeEachStore('a plaintext table that is followed', (openStore: OpenStoreForTest) => {
  let test: TestStore;
  let file: string;
  let place: LegacyTablePlace;

  beforeAll(async () => {
    test = await openStore();
    file = join(folder, `${test.store.dialect}-${Date.now()}.db`);
    place = {
      database: { kind: 'sqlite', file },
      table: 'secret_store',
      keyColumn: 'key',
      valueColumn: 'value',
    };
    edit('CREATE TABLE secret_store (key TEXT, value TEXT)');
  });

  function edit(statement: string, ...values: string[]): void {
    const database = new DatabaseSync(file);
    database.prepare(statement).run(...values);
    database.close();
  }
  const put = (key: string, value: string) => edit('INSERT INTO secret_store VALUES (?, ?)', key, value);
  const change = (key: string, value: string) => edit('UPDATE secret_store SET value = ? WHERE key = ?', value, key);
  const follow = (from = place) =>
    followTable(
      { ...test, limits, mayBeAbsent: false, open: async () => openSqliteTable(from, file, true) },
      AbortSignal.timeout(60_000),
    );
  const adopt = async () => {
    const table = openSqliteTable(place, file, false);
    try {
      const items = await adoptRows({ ...test, limits, table, isTrial: false });
      return items.map(({ key, outcome, reason }) => [key, reason ?? outcome]);
    } finally {
      await table.close();
    }
  };
  async function secret(key: string) {
    const row = await test.store.db
      .selectFrom('secrets')
      .innerJoin('secret_versions', (join_) =>
        join_
          .onRef('secret_versions.secret_id', '=', 'secrets.id')
          .onRef('secret_versions.version', '=', 'secrets.current_version'),
      )
      .select(['id', 'is_unmarked', 'store_state', 'epoch', 'version', 'envelope', 'secrets.created_by'])
      .where('key', '=', key)
      .executeTakeFirst();
    if (row === undefined) return null;
    const opened = { scopeId: globalScopeId, secretId: row.id, epoch: row.epoch, version: row.version };
    const value = await test.keys.open(opened, row.envelope ?? new Uint8Array());
    return {
      value: value.revealText(),
      isOurs: row.is_unmarked === 0,
      state: row.store_state,
      version: row.version,
      by: row.created_by,
    };
  }
  async function rowsLeft(): Promise<number> {
    const table = openSqliteTable(place, file, true);
    const count = await table.count();
    await table.close();
    return count;
  }

  it('appears with its exact names, and stays in the table', async () => {
    const value = canaries.text('legacy');
    put('DB_PASSWORD', value);
    put('.odd', 'x');
    put('a/b', 'no reference can name it');
    await follow();
    expect(await secret('DB_PASSWORD')).toEqual({ value, isOurs: false, state: null, version: 1, by: 'outside' });
    expect(await secret('.odd')).toMatchObject({ value: 'x', isOurs: false });
    expect(await secret('a/b')).toBeNull();
    expect(await rowsLeft()).toBe(3);
    await follow();
    expect(await secret('DB_PASSWORD')).toMatchObject({ version: 1 });
  });

  it('gets a version for each edit, is missing while its row is gone, and comes back', async () => {
    put('edited', 'first');
    await follow();
    change('edited', 'second');
    await follow();
    expect(await secret('edited')).toMatchObject({ value: 'second', version: 2, isOurs: false, state: null });
    edit("DELETE FROM secret_store WHERE key = 'edited'");
    await follow();
    expect(await secret('edited')).toMatchObject({ state: 'missing', version: 2 });
    put('edited', 'second');
    await follow();
    expect(await secret('edited')).toMatchObject({ state: null, version: 2 });
    edit("DELETE FROM secret_store WHERE key = 'edited'");
    await follow();
    put('edited', 'third');
    put('edited', 'fourth');
    await follow();
    // Which of two it is nobody can tell.
    expect(await secret('edited')).toMatchObject({ state: 'missing', version: 2 });
    edit("DELETE FROM secret_store WHERE value = 'fourth'");
    await follow();
    expect(await secret('edited')).toMatchObject({ state: null, version: 3, value: 'third' });
  });

  it('is ours when it is adopted, with what its row has by then, and followed no more', async () => {
    put('kept', 'one');
    await follow();
    change('kept', 'two');
    expect(await adopt()).toContainEqual(['kept', 'erased']);
    expect(await secret('kept')).toMatchObject({ value: 'two', isOurs: true, state: null });
    // The other program writes still: nothing of it is taken, and it is told.
    put('kept', 'three');
    await follow();
    expect(await secret('kept')).toMatchObject({ value: 'two', isOurs: true });
    expect(await adopt()).toContainEqual(['kept', 'has another value in Global; nothing of it was erased']);
    edit("DELETE FROM secret_store WHERE key = 'kept'");
    await follow();
    expect(await secret('kept')).toMatchObject({ value: 'two', isOurs: true, state: null });
  });

  it('is adopted though its row was gone for a while', async () => {
    put('away', 'one');
    await follow();
    edit("DELETE FROM secret_store WHERE key = 'away'");
    await follow();
    put('away', 'one');
    expect(await adopt()).toContainEqual(['away', 'erased']);
    expect(await secret('away')).toMatchObject({ value: 'one', isOurs: true, state: null });
  });

  it('loses no entry to a table that can not be read', async () => {
    put('safe', 'one');
    await follow();
    expect(await codeOf(follow({ ...place, table: 'renamed' }))).toBe('not_found');
    const failing = followTable(
      {
        ...test,
        limits,
        mayBeAbsent: true,
        open: () => Promise.reject(new StrongroomError('storage_unavailable')),
      },
      AbortSignal.timeout(60_000),
    );
    expect(await codeOf(failing)).toBe('storage_unavailable');
    const absent = followTable(
      { ...test, limits, mayBeAbsent: true, open: () => Promise.reject(new StrongroomError('not_found')) },
      AbortSignal.timeout(60_000),
    );
    await expect(absent).resolves.toBeUndefined();
    expect(await secret('safe')).toMatchObject({ state: null, value: 'one' });
  });

  it('follows the other rows when one can not be taken', async () => {
    put('zz-later', 'one');
    await follow();
    change('zz-later', 'two');
    put('mm-too-many', 'one');
    const { count } = await test.store.db
      .selectFrom('secret_counts')
      .select('secrets as count')
      .where('scope_id', '=', globalScopeId)
      .executeTakeFirstOrThrow();
    const full = followTable(
      {
        ...test,
        limits: { ...limits, keysPerScope: count },
        mayBeAbsent: false,
        open: async () => openSqliteTable(place, file, true),
      },
      AbortSignal.timeout(60_000),
    );
    expect(await codeOf(full)).toBe('limit_exceeded');
    expect(await secret('mm-too-many')).toBeNull();
    expect(await secret('zz-later')).toMatchObject({ value: 'two', version: 2 });
  });

  describe('between a reading and its writing', () => {
    it('takes nothing back that was adopted meanwhile', async () => {
      put('raced', 'one');
      await follow();
      change('raced', 'two');
      const table = openSqliteTable(place, file, true);
      const raced = followTable(
        {
          ...test,
          limits,
          mayBeAbsent: false,
          open: async () => ({
            ...table,
            read: async () => {
              const rows = await table.read();
              await adopt();
              return rows.filter(({ key }) => key !== 'raced');
            },
          }),
        },
        AbortSignal.timeout(60_000),
      );
      await expect(raced).resolves.toBeUndefined();
      expect(await secret('raced')).toMatchObject({ value: 'two', isOurs: true, state: null });
    });
  });

  it('leaves no value in the open', async () => {
    // The table itself is the other program's.
    rmSync(file);
    canaries.watchDirectory(test.directory);
    canaries.watchDirectory(folder);
    await expect(Promise.resolve(canaries.assertNoLeak())).resolves.toBeUndefined();
  });
});
