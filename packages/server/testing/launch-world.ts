import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Preset } from '@strongroom/contract';
import { type AccessService, createAccess } from '../src/access/service.ts';
import type { AssetRef, Caller, ScopeRef } from '../src/access/types.ts';
import { createEgress } from '@strongroom/backends/egress';
import { OpenedClusters } from '../src/clusters/opened-clusters.ts';
import { createDatabaseSource } from '../src/launches/sources/database-source.ts';
import { LaunchService } from '../src/launches/service.ts';
import { Resolver } from '../src/launches/resolve.ts';
import { createSealer } from '../src/launches/sealer.ts';
import { defaultJobUsers, type RunnerSettings, RunService } from '../src/runs/service.ts';
import { defaultLogLimits } from '../src/runs/run-logs.ts';
import { SecretReader } from '../src/secrets/reader.ts';
import { SecretWrites } from '../src/secrets/secret-writes.ts';
import { Secrets } from '../src/secrets/service.ts';
import type { ValueInput } from '../src/secrets/values.ts';
import type { Kek } from '@strongroom/crypto';
import type { Sources } from '../src/launches/sources/source.ts';
import { openSqliteStore } from '../src/store/sqlite.ts';
import { globalScopeId, newId } from '../src/store/ids.ts';
import type { SparkJobDocument, SparkJobInput } from '../src/surfaces/spark-job/document.ts';
import { OwnedSecrets } from '../src/surfaces/owned-secrets.ts';
import { sparkJobSurface } from '../src/surfaces/spark-job/definition.ts';
import { ConfigurationService } from '../src/surfaces/service.ts';
import type { TestCommands } from './launch-program.ts';
import { testProgram } from './programs.ts';
import { openTestStore, type TestDatabase, type TestStore } from './stores.ts';
import { writeDeadlineMilliseconds } from './write-deadline.ts';

/**
 * A real store with two domains: `finance` (ann and bob are members, olga owns it, vic only looks, svc is a service account
 * with RESOLVE) and `other` (eve owns it). Real secrets, real surfaces, real launches, real processes.
 */
export interface LaunchWorld {
  readonly test: TestStore<TestCommands>;
  readonly access: AccessService;
  readonly finance: ScopeRef;
  readonly other: ScopeRef;
  readonly global: ScopeRef;
  readonly jobs: ConfigurationService<SparkJobInput, SparkJobDocument>;
  readonly secrets: Secrets;
  readonly resolver: Resolver;
  readonly launches: LaunchService;
  readonly runs: RunService;
  /** Where runs have their folders and logs. */
  readonly runDirectory: string;
  readonly reports: { readonly message: string; readonly error: unknown }[];
  caller(name: string): Promise<Caller>;
  idOf(name: string): string;
  addSecret(scope: ScopeRef, key: string, value: ValueInput): Promise<void>;
  rotate(scope: ScopeRef, key: string, value: ValueInput): Promise<void>;
  /** Saves a job as `ann` and gives its asset. */
  addJob(input: SparkJobInput & { readonly name: string }, by?: string): Promise<AssetRef>;
  asset(name: string): Promise<AssetRef>;
  /** Starts a run and waits for its end. */
  finish(
    this: void,
    asset: AssetRef,
    by?: string,
  ): Promise<{ readonly id: string; readonly row: RunRow; readonly log: string }>;
  logOf(id: string): Promise<string>;
  rowOf(this: void, id: string): Promise<RunRow>;
  close(): Promise<void>;
}

export type RunRow = NonNullable<Awaited<ReturnType<RunService['find']>>>;

const people: Readonly<
  Record<
    string,
    { readonly kind: 'user' | 'service-account'; readonly domain?: 'finance' | 'other'; readonly preset?: Preset }
  >
> = {
  ann: { kind: 'user', domain: 'finance', preset: 'MEMBER' },
  bob: { kind: 'user', domain: 'finance', preset: 'MEMBER' },
  vic: { kind: 'user', domain: 'finance', preset: 'VIEWER' },
  olga: { kind: 'user', domain: 'finance', preset: 'OWNER' },
  svc: { kind: 'service-account', domain: 'finance', preset: 'MEMBER' },
  eve: { kind: 'user', domain: 'other', preset: 'OWNER' },
  root: { kind: 'user' },
};

function runnerSettings(installationId: string, directory: string): RunnerSettings {
  return {
    folders: { installationId, temporaryDirectory: directory, memoryDirectory: '/dev/shm' },
    logs: { directory: join(directory, 'run-logs'), ...defaultLogLimits, reserveBytes: 0 },
    path: process.env['PATH'] ?? '/usr/bin:/bin',
    language: 'C.UTF-8',
    jobUsers: defaultJobUsers,
    maxConcurrent: 4,
    processRunner: 'available',
    defaultRunner: 'process',
  };
}

export interface LaunchWorldOptions {
  /** Default: SQLite. */
  readonly database?: TestDatabase;
  /** A place that outlives the world: opened again it is the same world. Default: a temporary one. */
  readonly place?: { readonly directory: string; readonly kek: Kek };
  readonly runner?: Partial<RunnerSettings>;
  readonly areReferencesEnabled?: () => Promise<boolean>;
  /** Sources besides the database. */
  readonly sources?: Sources;
}

export async function openLaunchWorld(options: LaunchWorldOptions = {}): Promise<LaunchWorld> {
  const program = testProgram('launch-program');
  const { place, database: testDatabase } = options;
  const test = await openTestStore<TestCommands>({
    program,
    ...(testDatabase === undefined ? {} : { database: testDatabase }),
    ...(place === undefined ? {} : { kek: place.kek, database: lastingDatabase(place.directory) }),
  });
  const { finance, other, ids } = await worldIn(test);
  const global: ScopeRef = { id: globalScopeId, kind: 'global', name: 'global' };
  const { store, keys } = test;
  const access = createAccess(store);
  const reader = new SecretReader(store, keys, access, async () => []);
  const secrets = new Secrets(store, access, keys, reader, {
    valueBytes: 1024 * 1024,
    keysPerScope: 10_000,
    keptVersions: 10,
    retentionDays: 30,
  });
  const database = createDatabaseSource(keys);
  const reports: { message: string; error: unknown }[] = [];
  const report = (message: string, error: unknown): void => void reports.push({ message, error });
  const resolver = new Resolver(
    store,
    access,
    (source) => (source.type === 'DATABASE' ? database : (options.sources?.(source) ?? null)),
    options.areReferencesEnabled ?? (async () => true),
    report,
  );
  const runDirectory =
    place === undefined ? mkdtempSync(join(tmpdir(), 'strongroom-launch-')) : join(place.directory, 'runs');
  mkdirSync(runDirectory, { recursive: true });
  // Job users pass through it.
  chmodSync(runDirectory, 0o711);
  const settings = { ...runnerSettings(keys.installationId, runDirectory), ...options.runner };
  const egress = createEgress({ allow: [], allowLoopback: true });
  const clusters = new OpenedClusters({ store, resolver, egress: async () => egress });
  const runs = new RunService({
    store,
    access,
    resolver,
    settings,
    report,
    clusters,
    installationId: keys.installationId,
  });
  await runs.open();
  const owned = new OwnedSecrets({
    store,
    secrets,
    reader,
    writes: new SecretWrites(null),
    maxValueBytes: 65_536,
  });
  const jobs = new ConfigurationService(sparkJobSurface, {
    store,
    access,
    keys,
    owned,
    areReferencesEnabled: options.areReferencesEnabled ?? (async () => true),
    report,
  });
  const launches = new LaunchService({ store, access, resolver, sealer: createSealer() });
  const caller = async (name: string): Promise<Caller> => {
    const id = ids.get(name) ?? '';
    const snapshot = await access.snapshot(id);
    if (snapshot === null) throw new Error(`There is no ${name}`);
    const { kind = 'user' } = people[name] ?? {};
    return {
      id,
      kind,
      name: `${kind}:${name}`,
      snapshot,
      requestId: 'req-test',
      network: '127.0.0.1',
      credential: { type: 'token', id: 'tok_test' },
    };
  };
  const asset = async (name: string): Promise<AssetRef> => {
    const found = await access.configurationAsset(finance, 'spark-job', name);
    if (found === null) throw new Error(`There is no job ${name}`);
    return found;
  };
  const rowOf = async (id: string): Promise<RunRow> => {
    const row = await runs.find(finance, id);
    if (row === undefined) throw new Error('There is no such run');
    return row;
  };
  const logOf = async (id: string): Promise<string> => {
    const pieces: Buffer[] = [];
    for await (const piece of await runs.log(await rowOf(id), true)) pieces.push(Buffer.from(piece as Uint8Array));
    return Buffer.concat(pieces).toString('utf8');
  };
  return {
    test,
    access,
    finance,
    other,
    global,
    jobs,
    secrets,
    resolver,
    launches,
    runs,
    runDirectory,
    reports,
    caller,
    idOf: (name) => ids.get(name) ?? '',
    addSecret: async (scope, key, value) => void (await secrets.create(await caller('root'), scope, { key, ...value })),
    rotate: async (scope, key, value) =>
      void (await secrets.rotate(await caller('root'), scope, key, value, undefined)),
    async addJob(input, by = 'ann') {
      await jobs.create(await caller(by), finance, input.name, { input });
      return asset(input.name);
    },
    asset,
    async finish(target, by = 'ann') {
      const { id } = await runs.start(await caller(by), target);
      return { id, row: await ended(rowOf, id), log: await logOf(id) };
    },
    logOf,
    rowOf,
    async close() {
      await runs.close();
      await clusters.close();
      await egress.close();
      await test.close();
      rmSync(runDirectory, { recursive: true, force: true });
    },
  };
}

/** Waits for a run's end. */
export async function ended(rowOf: (id: string) => Promise<RunRow>, id: string): Promise<RunRow> {
  for (;;) {
    const row = await rowOf(id);
    if (row.state !== 'queued' && row.state !== 'running') return row;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The world's rows: those that are there, or new ones. */
async function worldIn(
  test: TestStore<TestCommands>,
): Promise<{ readonly finance: ScopeRef; readonly other: ScopeRef; readonly ids: ReadonlyMap<string, string> }> {
  const principals = await test.store.db.selectFrom('principals').select(['id', 'name']).execute();
  const scopes = await test.store.db.selectFrom('scopes').select(['id', 'name']).execute();
  const known = new Map([...principals, ...scopes].map(({ id, name }) => [name, id]));
  const domain = (name: string): ScopeRef => ({ id: known.get(name) ?? newId('scope'), kind: 'domain', name });
  const [finance, other] = [domain('finance'), domain('other')];
  const ids = new Map(
    Object.entries(people).map(([name, { kind }]) => [
      name,
      known.get(name) ?? newId(kind === 'user' ? 'user' : 'serviceAccount'),
    ]),
  );
  if (principals.length === 0) await insertWorld(test, { finance, other }, ids);
  return { finance, other, ids };
}

/** A database whose directory stays when it is closed. */
function lastingDatabase(directory: string): TestDatabase {
  return {
    name: 'SQLite',
    create: async () => ({
      directory,
      open: (program) =>
        openSqliteStore({ writeDeadlineMilliseconds, directory, ...(program !== undefined && { program }) }),
      remove: async () => undefined,
    }),
  };
}

async function insertWorld(
  test: TestStore<TestCommands>,
  domains: { readonly finance: ScopeRef; readonly other: ScopeRef },
  ids: ReadonlyMap<string, string>,
): Promise<void> {
  const at = Date.now();
  const by = { created_at: at, created_by: 'system' };
  for (const { id, name } of Object.values(domains)) {
    await test.store.execute('test.rows', {
      insert: [
        {
          table: 'scopes',
          values: {
            id,
            kind: 'domain',
            name,
            display_name: name,
            description: '',
            revision: 1,
            ...by,
            updated_at: at,
            deleted_at: null,
            managed_by: null,
          },
        },
        {
          table: 'sources',
          values: { id: newId('source'), scope_id: id, name: 'managed', type: 'DATABASE', created_at: at },
        },
        {
          table: 'bundles',
          values: {
            id: `bnd_${id.slice(4)}`,
            scope_id: id,
            name: 'default',
            description: '',
            owner_id: null,
            is_default: 1,
            managed_by: null,
            revision: 1,
            ...by,
            updated_at: at,
          },
        },
      ],
    });
    await test.keys.prepareScope(id);
  }
  for (const [name, { kind, domain, preset }] of Object.entries(people)) {
    const id = ids.get(name) ?? '';
    const scopeId = domain === undefined ? undefined : domains[domain].id;
    await test.store.execute('test.rows', {
      insert: [
        {
          table: 'principals',
          values: {
            id,
            kind,
            name,
            display_name: name,
            email: null,
            scope_id: null,
            password_hash: null,
            roles: name === 'root' ? '["PLATFORM_ADMIN"]' : '[]',
            disabled_at: null,
            directory_id: null,
            absent_at: null,
            deleted_at: null,
            revision: 1,
            ...by,
            updated_at: at,
          },
        },
        ...(scopeId === undefined || preset === undefined
          ? []
          : [
              {
                table: 'members',
                values: { scope_id: scopeId, principal_id: id, preset, managed_by: null, ...by },
              } as const,
            ]),
        ...(name === 'svc' && scopeId !== undefined
          ? [
              {
                table: 'grants',
                values: {
                  id: newId('grant'),
                  scope_id: scopeId,
                  principal_id: id,
                  permission: 'RESOLVE',
                  managed_by: null,
                  ...by,
                },
              } as const,
            ]
          : []),
      ],
    });
  }
}
