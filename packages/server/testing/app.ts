import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DomainPermission, PlatformRole, Preset } from '@strongroom/contract';
import { createToken } from '@strongroom/crypto';
import { loadConfiguration } from '../src/config/load.ts';
import { createLog } from '../src/operation/log.ts';
import { type RunningServer, startServer } from '../src/start.ts';

// The store's threads load their modules without the test runner; with a cache they start in a third of the time.
enableCompileCache();

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The parsed body; `undefined` when it isn't JSON. */
  readonly body: unknown;
}

export interface RequestOptions {
  readonly token?: string | null;
  readonly body?: unknown;
  /** Sent as it is, instead of `body`. */
  readonly rawBody?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface TestUser {
  readonly id: string;
  readonly name: string;
  readonly token: string;
}

/** A whole server on a port of its own, with everything real: SQLite, keys, audit, HTTP. */
export interface TestServer {
  readonly url: string;
  readonly dataDir: string;
  /** Of `service-account:bootstrap`, PLATFORM_ADMIN. */
  readonly adminToken: string;
  readonly server: RunningServer;
  /** Everything logged so far, parsed. */
  readonly logged: readonly Record<string, unknown>[];
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
  /** Stops it and starts it again over the same data. */
  restart(settings?: Readonly<Record<string, string>>): Promise<void>;
  close(): Promise<void>;
}

/** @param settings variables of the server's configuration, beside the data directory and the address */
export async function startTestServer(settings: Readonly<Record<string, string>> = {}): Promise<TestServer> {
  const directory = mkdtempSync(join(tmpdir(), 'strongroom-test-'));
  const dataDir = join(directory, 'data');
  const adminToken = createToken('srt_');
  const tokenFile = join(directory, 'bootstrap-token');
  writeFileSync(tokenFile, adminToken, { mode: 0o600 });
  const logged: Record<string, unknown>[] = [];
  const log = createLog('debug', { write: (line: string) => logged.push(JSON.parse(line) as Record<string, unknown>) });
  const start = (changes: Readonly<Record<string, string>>): Promise<RunningServer> => {
    const variables = {
      PATH: process.env['PATH'],
      STRONGROOM_DATA_DIR: dataDir,
      STRONGROOM_LISTEN: '127.0.0.1:0',
      STRONGROOM_BOOTSTRAP_TOKEN_FILE: tokenFile,
      ...settings,
      ...changes,
    };
    return startServer({ configuration: loadConfiguration({ variables, workingDirectory: directory }), log });
  };
  let server = await start({});

  const request = async (method: string, path: string, options: RequestOptions = {}): Promise<Answer> => {
    const { token = adminToken, body, rawBody, headers } = options;
    const payload = rawBody ?? (body === undefined ? undefined : JSON.stringify(body));
    const answer = await fetch(`${server.url}${path}`, {
      method,
      headers: {
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(payload === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(payload === undefined ? {} : { body: payload }),
      redirect: 'manual',
    });
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, text, body: parsed(text) };
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
    dataDir,
    adminToken,
    logged,
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
    async restart(changes = {}) {
      await server.stop();
      server = await start(changes);
    },
    async close() {
      await server.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
