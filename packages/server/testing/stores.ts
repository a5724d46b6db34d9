import { mkdtempSync, rmSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { enableCompileCache } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Kek, kekFromBytes } from '@strongroom/crypto';
import { afterAll, describe } from 'vitest';
import { type Keyring, openKeyring } from '../src/keys/keyring.ts';
import type { Commands } from '../src/store/commands.ts';
import { dataFiles } from '../src/store/data-directory.ts';
import type { Queries } from '../src/store/queries.ts';
import { openPostgresStore } from '../src/store/postgres.ts';
import { migratePostgres } from '../src/store/postgres-migrate.ts';
import { openSqliteStore } from '../src/store/sqlite.ts';
import type { CommandMap, OpenStore, QueryMap } from '../src/store/store.ts';
import { putMigratedDatabase } from './migrated-database.ts';
import { type Collation, type PostgresServer, postgresUnavailable, startPostgres } from './postgres.ts';
import { writeDeadlineMilliseconds } from './write-deadline.ts';

// The store's threads load their modules without the test runner; with a cache they start in a third of the time.
enableCompileCache();

/**
 * Real stores for tests: a temporary directory, a fresh key-encryption key, the real keyring, an open audit chain.
 *
 * ```ts
 * const test = await openTestStore();
 * await test.store.execute(…);
 * await test.close();
 * ```
 */
export async function openTestStore<C extends CommandMap = Commands, Q extends QueryMap = Queries>(
  options: TestStoreOptions = {},
): Promise<TestStore<C, Q>> {
  const database = options.database ?? sqliteDatabase();
  const place = await database.create();
  const kek = options.kek ?? kekFromBytes(randomBytes(32));
  const open = async (suffix = '') => {
    const store = await place.open(options.program);
    // Every program has the keys' commands; a suite's own program adds to them.
    const keys = await openKeyring(store, kek);
    if (options.hasAudit !== false) {
      const installation = await store.db.selectFrom('installation').select('epoch').executeTakeFirstOrThrow();
      await store.startAudit({
        keys: await keys.auditKeys(),
        epoch: installation.epoch,
        anchor: { path: `${dataFiles(place.directory).anchor}${suffix}`, isOnStdout: false },
      });
    }
    return { store: store as unknown as OpenStore<C, Q>, keys };
  };
  let opened = await open().catch(async (error: unknown) => {
    await place.remove();
    throw error;
  });
  return {
    get store() {
      return opened.store;
    },
    get keys() {
      return opened.keys;
    },
    kek,
    directory: place.directory,
    url: place.url,
    openReplica: async () => (await open('-of-replica')).store,
    async reopen() {
      await opened.store.close();
      opened = await open();
    },
    async close() {
      await opened.store.close();
      await place.remove();
    },
  };
}

export interface TestStoreOptions {
  /** Default: SQLite. */
  readonly database?: TestDatabase;
  /** Default: all of Strongroom's commands and queries. Another program contains at least the keys' commands. */
  readonly program?: URL;
  readonly kek?: Kek;
  /** False leaves the audit chain closed. */
  readonly hasAudit?: boolean;
}

export interface TestStore<C extends CommandMap = Commands, Q extends QueryMap = Queries> {
  /** The store as it is opened now. */
  readonly store: OpenStore<C, Q>;
  readonly keys: Keyring;
  readonly kek: Kek;
  /** Holds the anchor, and on SQLite the database. */
  readonly directory: string;
  /** Of the PostgreSQL database; undefined on SQLite. */
  readonly url: string | undefined;
  /** Opens the same database a second time, as another replica does; SQLite refuses. Closed by its opener. */
  openReplica(): Promise<OpenStore<C, Q>>;
  /** Closes the store and opens the same database again, as a restart does. */
  reopen(): Promise<void>;
  /** Closes the store and removes its database and directory. */
  close(): Promise<void>;
}

/** One kind of database a suite runs on. */
export interface TestDatabase {
  readonly name: string;
  /** A fresh, empty one. */
  create(): Promise<TestPlace>;
}

export interface TestPlace {
  readonly directory: string;
  /** Of a PostgreSQL database. */
  readonly url?: string;
  open(program?: URL): Promise<OpenStore>;
  remove(): Promise<void>;
}

export function sqliteDatabase(): TestDatabase {
  return {
    name: 'SQLite',
    async create() {
      const directory = mkdtempSync(join(tmpdir(), 'strongroom-test-'));
      await putMigratedDatabase(directory);
      return {
        directory,
        open: (program) =>
          openSqliteStore({ writeDeadlineMilliseconds, directory, ...(program !== undefined && { program }) }),
        remove: async () => rmSync(directory, { recursive: true, force: true }),
      };
    },
  };
}

/** A database of its own on this process's PostgreSQL server, which starts with the first one and stops with the process. */
export function postgresDatabase(collation: Collation = 'code-point'): TestDatabase {
  return {
    name: collation === 'icu' ? 'PostgreSQL with an ICU collation' : 'PostgreSQL',
    async create() {
      const server = await sharedPostgres();
      const url = await createMigratedDatabase(collation);
      const directory = mkdtempSync(join(tmpdir(), 'strongroom-test-'));
      return {
        directory,
        url,
        open: (program) =>
          openPostgresStore({ writeDeadlineMilliseconds, url, ...(program !== undefined && { program }) }),
        remove: async () => {
          await server.dropDatabase(url);
          rmSync(directory, { recursive: true, force: true });
        },
      };
    },
  };
}

let postgres: Promise<PostgresServer> | undefined;

/** A PostgreSQL server for whoever needs databases of one, and neither its port nor its end. */
export function sharedPostgres(): Promise<PostgresServer> {
  postgres ??= startPostgres();
  return postgres;
}

const templates = new Map<Collation, Promise<string>>();

/** The URL of an empty database of the newest schema on {@link sharedPostgres}: to make its tables takes four times as long. */
export async function createMigratedDatabase(collation: Collation): Promise<string> {
  const server = await sharedPostgres();
  const template = templates.get(collation) ?? createTemplate(server, collation);
  templates.set(collation, template);
  return server.createDatabase(collation, await template);
}

async function createTemplate(server: PostgresServer, collation: Collation): Promise<string> {
  const url = await server.createDatabase(collation);
  await migratePostgres(url);
  return url;
}

/** Opens a store of the suite's database; it is closed after the suite. */
export type OpenStoreForTest = <C extends CommandMap = Commands, Q extends QueryMap = Queries>(
  options?: Omit<TestStoreOptions, 'database'>,
) => Promise<TestStore<C, Q>>;

/** PostgreSQL sorts by its database's collation unless told otherwise: one that isn't by code point shows where it was not. */
const usualDatabases = [sqliteDatabase(), postgresDatabase('icu')];
/** For what must hold on every database there is. */
export const allDatabases = [...usualDatabases, postgresDatabase()];

/**
 * Declares the same tests once per kind of database. The name of each run says which; a database that isn't available
 * here is reported as skipped, with the reason.
 */
export function describeEachStore(
  name: string,
  declare: (openStore: OpenStoreForTest, database: TestDatabase) => void,
  databases: readonly TestDatabase[] = usualDatabases,
): void {
  const missing = postgresUnavailable();
  for (const database of databases) {
    const reason = database.name.startsWith('PostgreSQL') ? missing : undefined;
    const note = reason === undefined ? '' : ` (skipped: ${reason})`;
    describe.skipIf(reason !== undefined)(`${name} on ${database.name}${note}`, () => {
      declareOn(database, declare);
    });
  }
}

function declareOn(
  database: TestDatabase,
  declare: (openStore: OpenStoreForTest, database: TestDatabase) => void,
): void {
  const opened: TestStore<CommandMap, QueryMap>[] = [];
  // A child process without a parent's hold on it keeps nothing alive; the server ends with this file's process.
  afterAll(async () => {
    for (const store of opened) await store.close();
  });
  declare(async <C extends CommandMap, Q extends QueryMap>(options: Omit<TestStoreOptions, 'database'> = {}) => {
    const store = await openTestStore<C, Q>({ ...options, database });
    opened.push(store);
    return store;
  }, database);
}
