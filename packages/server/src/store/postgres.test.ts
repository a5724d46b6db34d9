import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { StrongroomError } from '@strongroom/contract';
import { sql } from 'kysely';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Hold } from '../../testing/hold.ts';
import { postgresUnavailable } from '../../testing/postgres.ts';
import { testEvent, type TestCommands, type TestQueries } from '../../testing/store-program.ts';
import { openTestStore, postgresDatabase, sharedPostgres, type TestStore } from '../../testing/stores.ts';
import { writeDeadlineMilliseconds } from '../../testing/write-deadline.ts';
import { migrations } from './migrations/index.ts';
import { migratePostgres } from './postgres-migrate.ts';
import { openPostgresStore } from './postgres.ts';
import type { OpenStore } from './store.ts';

const program = new URL('../../testing/store-program.ts', import.meta.url);
const missing = postgresUnavailable();

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'none';
  } catch (error) {
    if (error instanceof StrongroomError) return error.code;
    throw error;
  }
}

describe.skipIf(missing !== undefined)(`several processes over one PostgreSQL (${missing ?? 'embedded'})`, () => {
  let t: TestStore<TestCommands, TestQueries>;
  let other: OpenStore<TestCommands, TestQueries>;
  beforeAll(async () => {
    t = await openTestStore<TestCommands, TestQueries>({ program, database: postgresDatabase() });
    other = await t.openReplica();
  });
  afterAll(async () => {
    await other.close();
    await t.close();
  });

  test('each has its own chain in one installation', async () => {
    await t.store.execute('test.insert', { key: 'chain-a', value: '' }, { audit: [testEvent('a')] });
    await other.execute('test.insert', { key: 'chain-b', value: '' }, { audit: [testEvent('b')] });
    expect(await t.store.db.selectFrom('audit_chains').select('head_sequence').execute()).toEqual([
      { head_sequence: 1 },
      { head_sequence: 1 },
    ]);
    expect(await t.store.db.selectFrom('installation').select('id').execute()).toHaveLength(1);
  });

  test('what one has written the other reads', async () => {
    await t.store.execute('test.insert', { key: 'shared', value: '' });
    expect(await other.query('test.list', { prefix: 'shared' })).toEqual([{ key: 'shared' }]);
  });

  test('one idempotency key used on both at once runs once', async () => {
    const idempotency = { subject: 's', route: 'r', key: 'k', bodyHmac: new Uint8Array(32) };
    const answers = await Promise.all([
      t.store.execute('test.insert', { key: 'once', value: '' }, { idempotency }),
      other.execute('test.insert', { key: 'once', value: '' }, { idempotency }),
    ]);
    expect(answers[0]).toEqual(answers[1]);
  });

  test('a change of access on one refuses what the other decided before', async () => {
    const revision = await other.authorisationRevision();
    await t.store.execute('test.bump', undefined);
    const decided = other.execute(
      'test.insert',
      { key: 'decided', value: '' },
      { expectAuthorisationRevision: revision },
    );
    expect(await codeOf(decided)).toBe('version_conflict');
  });

  test('a change of access waits for a release that was decided before it', async () => {
    const revision = await t.store.authorisationRevision();
    // One batch: the release holds its lock until the other is over, too.
    using hold = new Hold();
    const releasing = [
      t.store.execute('test.insert', { key: 'released', value: '' }, { expectAuthorisationRevision: revision }),
      t.store.execute('test.hold', hold.args),
    ];
    await hold.begun();
    const revoking = other.execute('test.bump', undefined).then(() => other.query('test.list', { prefix: 'released' }));
    const waiting = async (): Promise<number | undefined> => {
      const { rows } = await sql<{ n: number }>`select count(*)::int as n from pg_locks where not granted`.execute(
        t.store.db,
      );
      return rows[0]?.n;
    };
    await expect.poll(waiting).toBe(1);
    hold.end();
    await Promise.all(releasing);
    expect(await revoking).toEqual([{ key: 'released' }]);
  });

  test('lanes that deadlock both get there', async () => {
    for (const key of ['dead-1', 'dead-2']) await t.store.execute('test.insert', { key, value: '' });
    const codes = await Promise.all([
      codeOf(t.store.execute('test.updateBoth', { keys: ['dead-1', 'dead-2'], value: 'a' })),
      codeOf(other.execute('test.updateBoth', { keys: ['dead-2', 'dead-1'], value: 'b' })),
    ]);
    expect(codes).toEqual(['none', 'none']);
  });

  test('a command that goes on after a failed statement fails alone', async () => {
    await t.store.execute('test.insert', { key: 'swallowed', value: '' });
    const codes = await Promise.all([
      codeOf(t.store.execute('test.insert', { key: 'beside-1', value: '' })),
      codeOf(t.store.execute('test.insertSwallowing', { key: 'swallowed', value: '' })),
      codeOf(t.store.execute('test.insert', { key: 'beside-2', value: '' })),
    ]);
    expect(codes).toEqual(['none', 'internal', 'none']);
    expect(await t.store.query('test.list', { prefix: 'beside' })).toHaveLength(2);
  });
});

describe.skipIf(missing !== undefined)(`a PostgreSQL that goes away (${missing ?? 'embedded'})`, () => {
  let t: TestStore<TestCommands, TestQueries>;
  let url = '';
  beforeAll(async () => {
    const database = postgresDatabase();
    t = await openTestStore<TestCommands, TestQueries>({
      program,
      database: {
        ...database,
        create: async () => {
          const place = await database.create();
          url = place.url ?? '';
          return place;
        },
      },
    });
  });
  afterAll(() => t.close());

  const terminate = async () => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.query(
      // Answers once they have ended.
      'select pg_terminate_backend(pid, 60000) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
    );
    await client.end();
  };

  test('idle: the next write and read use new connections and a new chain', async () => {
    await t.store.execute('test.insert', { key: 'before', value: '' }, { audit: [testEvent('before')] });
    await t.store.query('test.list', { prefix: 'before' });
    await terminate();
    await sleep(50);
    await t.store.execute('test.insert', { key: 'after', value: '' }, { audit: [testEvent('after')] });
    expect(await t.store.query('test.list', { prefix: 'after' })).toHaveLength(1);
    expect(await t.store.db.selectFrom('audit_chains').select('head_sequence').execute()).toEqual([
      { head_sequence: 1 },
      { head_sequence: 1 },
    ]);
  });

  test('reset in the middle of a read: the read fails, the process goes on', async () => {
    const { pathname, searchParams } = new URL(url);
    const sockets: Socket[] = [];
    const between = createServer((socket) => {
      const server = connect(`${searchParams.get('host')}/.s.PGSQL.5432`);
      for (const one of [socket, server]) one.on('error', () => undefined);
      socket.pipe(server).pipe(socket);
      sockets.push(socket);
    });
    await new Promise<void>((resolve) => between.listen(0, '127.0.0.1', resolve));
    const { port } = between.address() as AddressInfo;
    const through = `postgres://postgres@127.0.0.1:${port}${pathname}`;
    const store = await openPostgresStore({ url: through, program, writeDeadlineMilliseconds });
    const uncaught: unknown[] = [];
    const note = (error: unknown): void => void uncaught.push(error);
    process.on('uncaughtExceptionMonitor', note);
    try {
      const reading = codeOf(sql`select pg_sleep(60)`.execute(store.db));
      const sleeping = sql`select 1 from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()`;
      await expect.poll(async () => (await sleeping.execute(t.store.db)).rows).toHaveLength(1);
      for (const socket of sockets) socket.resetAndDestroy();
      expect(await reading).toBe('storage_unavailable');
      await sleep(50);
      expect(uncaught).toEqual([]);
      expect((await sql`select 1 as one`.execute(store.db)).rows).toEqual([{ one: 1 }]);
    } finally {
      process.off('uncaughtExceptionMonitor', note);
      await store.close();
      between.close();
    }
  });

  test('in the middle of a batch: nothing of it stays, and the next one works', async () => {
    using hold = new Hold();
    const batch = [
      codeOf(t.store.execute('test.insert', { key: 'lost-1', value: '' }, { audit: [testEvent('lost')] })),
      codeOf(t.store.execute('test.hold', hold.args)),
      codeOf(t.store.execute('test.insert', { key: 'lost-2', value: '' })),
    ];
    await hold.begun();
    await terminate();
    hold.end();
    expect(await Promise.all(batch)).toEqual(['storage_unavailable', 'storage_unavailable', 'storage_unavailable']);
    await t.store.execute('test.insert', { key: 'lost-3', value: '' });
    expect(await t.store.query('test.list', { prefix: 'lost' })).toEqual([{ key: 'lost-3' }]);
  });

  test('is migrated once by processes that start together, and not by one that is older', async () => {
    const server = await sharedPostgres();
    const url = await server.createDatabase('code-point');
    const stores = await Promise.all(
      [1, 2, 3].map(() => openPostgresStore({ url, program, writeDeadlineMilliseconds })),
    );
    await Promise.all(stores.map((store) => store.close()));
    const older: unknown = await migratePostgres(url, migrations.slice(0, -1)).catch((error: unknown) => error);
    expect(older).toMatchObject({ code: 'state_conflict', detail: expect.stringContaining('schema version') });
    await server.dropDatabase(url);
  });

  test('held up for longer than a read may take: said so, as what may work again', async () => {
    const held = t.store.db.connection().execute(async (db) => {
      await sql`set statement_timeout to 50`.execute(db);
      try {
        await sql`select pg_sleep(60)`.execute(db);
      } finally {
        await sql`reset statement_timeout`.execute(db);
      }
    });
    expect(await codeOf(held)).toBe('deadline_exceeded');
  });

  test('its clock is the one that goes, also where this machine’s is another', async () => {
    const at = Date.now();
    vi.useFakeTimers({ now: at + 600_000, toFake: ['Date'] });
    try {
      await t.store.execute('test.insert', { key: 'clock', value: '' });
      expect(Math.abs(t.store.now() - at)).toBeLessThan(60_000);
    } finally {
      vi.useRealTimers();
    }
  });

  test('one of several servers that a URL names is found, and lost without the others', async () => {
    const [directory] = new URL(url).searchParams.getAll('host');
    const named = (hosts: string): string => url.replace(/host=[^&]*/, `host=${encodeURIComponent(hosts)}`);
    const store = await openPostgresStore<TestCommands, TestQueries>({
      url: named(`/nowhere,${directory},/nowhere/else`),
      program,
    });
    await store.execute('test.insert', { key: 'among', value: '' });
    await terminate();
    expect(await store.query('test.list', { prefix: 'among' })).toHaveLength(1);
    await terminate();
    await store.execute('test.insert', { key: 'among-others', value: '' });
    expect(await store.query('test.list', { prefix: 'among' })).toHaveLength(2);
    await store.close();
    expect(await codeOf(openPostgresStore({ url: named('/nowhere,/nowhere/else') }))).toBe('storage_unavailable');
  });

  test('unreachable: opening says so', async () => {
    const open = openPostgresStore({ url: 'postgres://postgres@127.0.0.1:1/none' });
    expect(await codeOf(open)).toBe('storage_unavailable');
  });
});
