import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the server does instead of answering. */
export type Trouble = 'none' | 'sealed' | 'forbidden' | 'broken' | 'silent';

/**
 * The few routes of Vault that an integration asks (KV version 2 at `secret`, AppRole, tokens), on loopback. It is no Vault:
 * tests of the backend itself run against real ones.
 */
export interface LoopbackVault {
  readonly url: string;
  /** Credentials that it takes. */
  readonly token: string;
  readonly roleId: string;
  readonly secretId: string;
  /** Paths below the mount → the fields there. */
  readonly secrets: Map<string, Readonly<Record<string, string>>>;
  /** Method and path of each request, in order. */
  readonly requests: string[];
  trouble: Trouble;
  close(): Promise<void>;
}

export interface LoopbackVaultOptions {
  readonly token?: string;
  readonly secretId?: string;
  readonly secrets?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

export async function openLoopbackVault(options: LoopbackVaultOptions = {}): Promise<LoopbackVault> {
  const state = {
    token: options.token ?? 'hvs.loopback',
    roleId: 'role-of-tests',
    secretId: options.secretId ?? 'secret-id-of-tests',
    secrets: new Map(Object.entries(options.secrets ?? {})),
    requests: [] as string[],
    trouble: 'none' as Trouble,
  };
  const issued = new Set<string>();
  const server = createServer((request, response) => {
    void answer(state, issued, request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return Object.assign(state, { url: `http://127.0.0.1:${port}`, close: () => close(server) });
}

type State = Omit<LoopbackVault, 'url' | 'close'>;

async function answer(
  state: State,
  issued: Set<string>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = await readBody(request);
  const { pathname } = new URL(request.url ?? '/', 'http://loopback');
  const path = decodeURIComponent(pathname.replace(/^\/v1\//, ''));
  state.requests.push(`${request.method} ${path}`);
  const send = (status: number, content?: unknown): void => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(content === undefined ? '' : JSON.stringify(content));
  };
  if (state.trouble === 'silent') return;
  if (state.trouble === 'broken') return send(200, '<html>a log-in page</html>');
  if (path === 'sys/health') {
    const sealed = state.trouble === 'sealed';
    return send(sealed ? 503 : 200, { initialized: true, sealed, standby: false });
  }
  if (state.trouble === 'sealed') return send(503, { errors: ['Vault is sealed'] });
  if (path === 'auth/approle/login' && request.method === 'POST') {
    const { role_id: roleId, secret_id: secretId } = JSON.parse(body) as Record<string, string>;
    if (roleId !== state.roleId || secretId !== state.secretId)
      return send(400, { errors: ['invalid role or secret ID'] });
    const token = `hvs.issued-${issued.size + 1}`;
    issued.add(token);
    return send(200, { auth: { client_token: token, lease_duration: 3600, renewable: true } });
  }
  const token = String(request.headers['x-vault-token']);
  if (state.trouble === 'forbidden' || (token !== state.token && !issued.has(token)))
    return send(403, { errors: ['permission denied'] });
  if (path === 'auth/token/lookup-self') return send(200, { data: { ttl: 0, renewable: false, type: 'service' } });
  if (path === 'sys/internal/ui/mounts/secret')
    return send(200, { data: { type: 'kv', path: 'secret/', options: { version: '2' } } });
  return kv(state, request.method ?? '', path, send);
}

function kv(state: State, method: string, path: string, send: (status: number, content?: unknown) => void): void {
  const [, api, name] = /^secret\/(data|metadata|subkeys)(?:\/(.*))?$/.exec(path) ?? [];
  if (api === undefined) return send(404, { errors: ['no handler for route'] });
  if (api === 'metadata' && method === 'LIST') {
    const folder = name === undefined || name === '' ? '' : `${name.replace(/\/$/, '')}/`;
    const keys = [...state.secrets.keys()]
      .filter((each) => each.startsWith(folder))
      .map((each) => /^[^/]*\/?/.exec(each.slice(folder.length))?.[0] ?? '');
    return keys.length === 0 ? send(404, { errors: [] }) : send(200, { data: { keys: [...new Set(keys)].toSorted() } });
  }
  const fields = state.secrets.get(name ?? '');
  if (fields === undefined) return send(404, { errors: [] });
  const metadata = { version: 1, created_time: '2030-01-02T03:04:05.678Z', deletion_time: '', destroyed: false };
  if (api === 'data') return send(200, { data: { data: fields, metadata } });
  return send(200, {
    data: { subkeys: Object.fromEntries(Object.keys(fields).map((each) => [each, null])), metadata },
  });
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

async function close(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  server.closeAllConnections();
  await promise;
}
