import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DomainPermission, PlatformRole, Preset } from '@strongroom/contract';
import { createToken } from '@strongroom/crypto';
import { loadConfiguration } from '../src/config/load.ts';
import { createLog } from '../src/operation/log.ts';
import type { PeriodicJob } from '../src/operation/scheduler.ts';
import { type RunningServer, type StartOptions, startServer } from '../src/start.ts';
import type { Canaries } from './canaries.ts';
import { putMigratedDatabase } from './migrated-database.ts';
import { valuesOfDatabase } from './postgres.ts';
import { type AnswerHeaders, Wire } from './wire.ts';
import { writeDeadlineMilliseconds } from './write-deadline.ts';

// The store's threads load their modules without the test runner; with a cache they start in a third of the time.
enableCompileCache();

export interface Answer {
  readonly status: number;
  readonly headers: AnswerHeaders;
  readonly text: string;
  /** The parsed body; `undefined` when it isn't JSON. */
  readonly body: unknown;
}

export interface RequestOptions {
  readonly token?: string | null;
  readonly body?: unknown;
  /** Sent as it is, instead of `body`. */
  readonly rawBody?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One request and what came of it; called for every answer a test server gives. */
export type AnswerListener = (method: string, path: string, answer: Answer) => void;

export interface TestServerOptions {
  /** In place of the backends that there are. */
  readonly loadBackend?: StartOptions['loadBackend'];
  /** Everything the server produces is watched for them; {@link TestServer.assertNoLeak} says what was found. */
  readonly canaries?: Canaries;
  readonly onAnswer?: AnswerListener;
  /** Another server over the same PostgreSQL database: it gets that server's settings, key file and administrator. */
  readonly replicaOf?: TestServer;
  /** In place of Kubernetes and Vault as managed stores. */
  readonly openManagedStore?: StartOptions['openManagedStore'];
  /** In place of the objects in Kubernetes that have integrations' credentials. */
  readonly openCredentialStore?: StartOptions['openCredentialStore'];
}

export interface TestUser {
  readonly id: string;
  readonly name: string;
  readonly token: string;
}

/** A whole server on a port of its own, with everything real: SQLite unless the settings name PostgreSQL, keys, audit, HTTP. */
export interface TestServer {
  readonly settings: Readonly<Record<string, string>>;
  readonly url: string;
  readonly dataDir: string;
  /** Of `service-account:bootstrap`, PLATFORM_ADMIN. */
  readonly adminToken: string;
  readonly server: RunningServer;
  /** Everything logged so far, parsed. */
  readonly logged: readonly Record<string, unknown>[];
  /**
   * The periodic jobs. None is run: a round would come between two requests at a time that nobody knows, and ask or change
   * what a test counts.
   */
  readonly jobs: readonly PeriodicJob[];
  /** Where runs have their folders. */
  readonly temporaryDirectory: string;
  /** As the administrator unless a token is given; `null` sends none. */
  request(method: string, path: string, options?: RequestOptions): Promise<Answer>;
  /** {@link request} that must succeed; gives the body. */
  call<Body = Record<string, unknown>>(method: string, path: string, options?: RequestOptions): Promise<Body>;
  createDomain(name: string): Promise<void>;
  /** A user who is signed in, with a standing in domains. */
  createUser(
    name: string,
    options?: {
      readonly roles?: readonly PlatformRole[];
      readonly domains?: Readonly<Record<string, Preset>>;
      readonly grants?: Readonly<Record<string, readonly DomainPermission[]>>;
    },
  ): Promise<TestUser>;
  /** A service account of a domain with a token, for workloads. */
  createServiceAccount(
    domain: string,
    name: string,
    options?: { readonly preset?: Preset; readonly grants?: readonly DomainPermission[] },
  ): Promise<TestUser>;
  /**
   * Searches every answer, the log, the metrics, both exports of the audit log, the data directory, a PostgreSQL database
   * and the folders of runs for the canaries.
   * @throws Error naming canary, encoding and place; never the value
   */
  assertNoLeak(): Promise<void>;
  /** Stops it and starts it again over the same data. */
  restart(settings?: Readonly<Record<string, string>>): Promise<void>;
  close(): Promise<void>;
}

/** @param settings variables of the server's configuration, beside the data directory and the address */
export async function startTestServer(
  ownSettings: Readonly<Record<string, string>> = {},
  { canaries, onAnswer, replicaOf, openManagedStore, openCredentialStore, loadBackend }: TestServerOptions = {},
): Promise<TestServer> {
  const settings =
    replicaOf === undefined
      ? ownSettings
      : { STRONGROOM_KEK_FILE: join(replicaOf.dataDir, 'kek'), ...replicaOf.settings, ...ownSettings };
  const wire = new Wire();
  const directory = mkdtempSync(join(tmpdir(), 'strongroom-test-'));
  const dataDir = join(directory, 'data');
  const temporaryDirectory = join(directory, 'tmp');
  mkdirSync(temporaryDirectory);
  // Jobs may run under user ids of their own: they pass through, and list nothing.
  for (const path of [directory, temporaryDirectory]) chmodSync(path, 0o711);
  const adminToken = replicaOf?.adminToken ?? createToken('srt_');
  const tokenFile = join(directory, 'bootstrap-token');
  writeFileSync(tokenFile, adminToken, { mode: 0o600 });
  const logged: Record<string, unknown>[] = [];
  const lines: string[] = [];
  const log = createLog('debug', {
    write: (line: string) => {
      lines.push(line);
    },
  });
  const jobs: PeriodicJob[] = [];
  const start = async (changes: Readonly<Record<string, string>>): Promise<RunningServer> => {
    const variables = {
      PATH: process.env['PATH'],
      TMPDIR: temporaryDirectory,
      STRONGROOM_DATA_DIR: dataDir,
      STRONGROOM_LISTEN: '127.0.0.1:0',
      STRONGROOM_BOOTSTRAP_TOKEN_FILE: tokenFile,
      ...settings,
      ...changes,
    };
    const configuration = loadConfiguration({ variables, workingDirectory: directory });
    jobs.length = 0;
    return startServer({
      configuration,
      log,
      writeDeadlineMilliseconds,
      scheduler: { start: (more) => void jobs.push(...more), stop: () => Promise.resolve() },
      ...(openManagedStore && { openManagedStore }),
      ...(loadBackend && { loadBackend }),
      ...(openCredentialStore && { openCredentialStore }),
    });
  };
  if (settings['STRONGROOM_DATABASE_URL'] === undefined) await putMigratedDatabase(dataDir);
  let server = await start({});

  const request = async (method: string, path: string, options: RequestOptions = {}): Promise<Answer> => {
    const { token = adminToken, body, rawBody, headers } = options;
    const payload = rawBody ?? (body === undefined ? undefined : JSON.stringify(body));
    const received = await wire.send(server.url, {
      method,
      path,
      headers: {
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(payload === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(payload === undefined ? {} : { body: payload }),
    });
    const text = received.bytes.toString('utf8');
    const answer = { status: received.status, headers: received.headers, text, body: parsed(text) };
    canaries?.saw(`the headers of ${method} ${path} ${answer.status}`, received.rawHeaders.join('\n'));
    canaries?.saw(`the answer of ${method} ${path} ${answer.status}`, received.bytes);
    onAnswer?.(method, path, answer);
    return answer;
  };

  const call = async <Body>(method: string, path: string, options?: RequestOptions): Promise<Body> => {
    const answer = await request(method, path, options);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
    return answer.body as Body;
  };

  const stand = async (
    principal: string,
    domain: string,
    preset?: Preset,
    grants: readonly DomainPermission[] = [],
  ) => {
    if (preset !== undefined) await call('POST', `/v1/domains/${domain}/members`, { body: { principal, preset } });
    for (const permission of grants)
      await call('POST', `/v1/domains/${domain}/grants`, {
        body: { principal, permission, ...(permission === 'RESOLVE' ? { acknowledge: true } : {}) },
      });
  };

  return {
    get url() {
      return server.url;
    },
    get server() {
      return server;
    },
    settings,
    dataDir,
    jobs,
    temporaryDirectory,
    adminToken,
    // Read when somebody asks: most tests send much and look at the log once, or never.
    get logged() {
      for (const line of lines.slice(logged.length)) logged.push(JSON.parse(line) as Record<string, unknown>);
      return logged;
    },
    request,
    call,
    async createDomain(name) {
      await call('POST', '/v1/domains', { body: { name, displayName: name } });
    },
    async createUser(name, options = {}) {
      const { user, signInLink } = await call<{ user: { id: string }; signInLink: { token: string } }>(
        'POST',
        '/v1/users',
        {
          body: { name, signInLink: true, ...(options.roles === undefined ? {} : { roles: options.roles }) },
        },
      );
      const { token } = await call<{ token: string }>('POST', '/v1/auth/link', {
        token: null,
        body: { token: signInLink.token },
      });
      const domains = new Set([...Object.keys(options.domains ?? {}), ...Object.keys(options.grants ?? {})]);
      for (const domain of domains)
        await stand(`user:${name}`, domain, options.domains?.[domain], options.grants?.[domain]);
      return { id: user.id, name: `user:${name}`, token };
    },
    async createServiceAccount(domain, name, options = {}) {
      const base = `/v1/domains/${domain}/service-accounts`;
      const { id } = await call<{ id: string }>('POST', base, { body: { name } });
      const { token } = await call<{ token: string }>('POST', `${base}/${id}/tokens`, {
        body: { description: 'test' },
      });
      await stand(`service-account:${domain}/${name}`, domain, options.preset, options.grants);
      return { id, name: `service-account:${domain}/${name}`, token };
    },
    async assertNoLeak() {
      if (canaries === undefined) throw new Error('No canaries: nothing is watched');
      for (const path of ['/metrics', '/v1/audit/export', '/v1/audit/export?format=csv', '/v1/audit/anchor'])
        if ((await request('GET', path)).status !== 200) throw new Error(`${path} could not be searched`);
      canaries.saw('the log', lines.join(''));
      const databaseUrl = settings['STRONGROOM_DATABASE_URL'];
      if (databaseUrl !== undefined)
        for (const [table, values] of await valuesOfDatabase(databaseUrl)) canaries.saw(`the table ${table}`, values);
      canaries.watchDirectory(dataDir);
      canaries.watchDirectory(temporaryDirectory);
      canaries.watchDirectory(`/dev/shm/strongroom-runs-${server.keyring.installationId}`);
      canaries.assertNoLeak();
    },
    async restart(changes = {}) {
      await server.stop();
      server = await start(changes);
    },
    async close() {
      await server.stop();
      wire.close();
      rmSync(directory, { recursive: true, force: true });
      requireDeclared(lines);
    },
  };
}

/** A client is told by the OpenAPI document which errors a route answers; whatever a test brings about has to be among them. */
function requireDeclared(lines: readonly string[]): void {
  const undeclared = lines.filter((line) => line.includes('the route does not declare this code'));
  const found = undeclared.map((line) => JSON.parse(line) as { readonly route: string; readonly code: string });
  const names = new Set(found.map(({ route, code }) => `${route}: ${code}`));
  if (names.size > 0) throw new Error(`Answered and not declared: ${[...names].join(', ')}`);
}

/** The code of an error answer. */
export function codeOf({ body }: Answer): string | undefined {
  const code = typeof body === 'object' && body !== null && 'code' in body ? body.code : undefined;
  return typeof code === 'string' ? code : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
