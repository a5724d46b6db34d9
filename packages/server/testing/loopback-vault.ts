import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** What the server does instead of answering. */
export type Trouble = 'none' | 'sealed' | 'forbidden' | 'broken' | 'silent';

/** What a read of a secret is answered in place of it. */
export interface Refusal {
  readonly status: number;
  readonly retryAfterSeconds?: number;
}

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
  /** Of paths that are not at version 1. */
  readonly versions: Map<string, number>;
  /** Method and path of each request, in order. */
  readonly requests: string[];
  trouble: Trouble;
  /** Decides for each read of a secret, by its path, whether it is refused. */
  refuse: (path: string) => Refusal | undefined;
  /** Whether the policy has read on `metadata`. */
  mayReadMetadata: boolean;
  /** How long each answer takes. */
  delayMilliseconds: number;
  /** No answer goes before it. */
  gate: Promise<void>;
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
    versions: new Map<string, number>(),
    requests: [] as string[],
    trouble: 'none' as Trouble,
    refuse: (): Refusal | undefined => undefined,
    mayReadMetadata: true,
    delayMilliseconds: 0,
    gate: Promise.resolve(),
  };
  const issued = new Set<string>();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => socket.destroy());
    readRequests(
      socket,
      (request) => answer(state, issued, request),
      () => wait(state),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return Object.assign(state, {
    url: `http://127.0.0.1:${port}`,
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  });
}

type State = Omit<LoopbackVault, 'url' | 'close'>;

interface Request {
  readonly method: string;
  readonly target: string;
  readonly token: string;
  readonly body: string;
}

type Reply = { readonly status: number; readonly content: unknown; readonly retryAfterSeconds?: number } | null;

async function wait({ gate, delayMilliseconds }: State): Promise<void> {
  await gate;
  if (delayMilliseconds > 0) await sleep(delayMilliseconds);
}

/** By hand: Node's own server knows no LIST. Bodies have a length. */
function readRequests(socket: Socket, reply: (request: Request) => Reply, wait: () => Promise<void>): void {
  let read = '';
  socket.setEncoding('utf8').on('data', (chunk) => {
    read += String(chunk);
    for (;;) {
      const end = read.indexOf('\r\n\r\n');
      if (end === -1) return;
      const [first = '', ...lines] = read.slice(0, end).split('\r\n');
      const headers = new Map(
        lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
      );
      const length = Number(headers.get('content-length') ?? 0);
      const rest = read.slice(end + 4);
      if (rest.length < length) return;
      read = rest.slice(length);
      const [method = '', target = ''] = first.split(' ');
      const answered = reply({
        method,
        target,
        token: headers.get('x-vault-token') ?? '',
        body: rest.slice(0, length),
      });
      if (answered === null) return;
      const body = JSON.stringify(answered.content);
      const { status, retryAfterSeconds } = answered;
      const retryAfter = retryAfterSeconds === undefined ? '' : `retry-after: ${retryAfterSeconds}\r\n`;
      const text = `HTTP/1.1 ${status} Answer\r\ncontent-type: application/json\r\n${retryAfter}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
      void wait().then(() => socket.write(text));
    }
  });
}

/** `null`: none at all. */
function answer(state: State, issued: Set<string>, { method, target, token, body }: Request): Reply {
  const { pathname, searchParams } = new URL(target, 'http://loopback');
  const path = decodeURIComponent(pathname.replace(/^\/v1\//, '').replace(/\/$/, ''));
  state.requests.push(`${method} ${path}`);
  const send = (status: number, content: unknown): Reply => ({ status, content });
  if (state.trouble === 'silent') return null;
  if (state.trouble === 'broken') return send(200, '<html>a log-in page</html>');
  if (path === 'sys/health') {
    const sealed = state.trouble === 'sealed';
    return send(sealed ? 503 : 200, { initialized: true, sealed, standby: false });
  }
  if (state.trouble === 'sealed') return send(503, { errors: ['Vault is sealed'] });
  if (path === 'auth/approle/login' && method === 'POST') {
    const { role_id: roleId, secret_id: secretId } = JSON.parse(body) as Record<string, string>;
    if (roleId !== state.roleId || secretId !== state.secretId)
      return send(400, { errors: ['invalid role or secret ID'] });
    const made = `hvs.issued-${issued.size + 1}`;
    issued.add(made);
    return send(200, { auth: { client_token: made, lease_duration: 3600, renewable: true } });
  }
  if (state.trouble === 'forbidden' || (token !== state.token && !issued.has(token)))
    return send(403, { errors: ['permission denied'] });
  if (path === 'auth/token/lookup-self') return send(200, { data: { ttl: 0, renewable: false, type: 'service' } });
  if (path === 'sys/internal/ui/mounts/secret')
    return send(200, { data: { type: 'kv', path: 'secret/', options: { version: '2' } } });
  return kv(state, method, path, searchParams.get('version'), send);
}

function kv(
  state: State,
  method: string,
  path: string,
  asked: string | null,
  send: (status: number, content: unknown) => Reply,
): Reply {
  const [, api, name] = /^secret\/(data|metadata|subkeys)(?:\/(.*))?$/.exec(path) ?? [];
  if (api === undefined) return send(404, { errors: ['no handler for route'] });
  if (api === 'metadata' && method === 'LIST') {
    const folder = name === undefined || name === '' ? '' : `${name.replace(/\/$/, '')}/`;
    const keys = [...state.secrets.keys()]
      .filter((each) => each.startsWith(folder))
      .map((each) => /^[^/]*\/?/.exec(each.slice(folder.length))?.[0] ?? '');
    return keys.length === 0 ? send(404, { errors: [] }) : send(200, { data: { keys: [...new Set(keys)].toSorted() } });
  }
  if (api === 'metadata' && !state.mayReadMetadata) return send(403, { errors: ['permission denied'] });
  const refusal = api === 'data' ? state.refuse(name ?? '') : undefined;
  if (refusal !== undefined) return { ...refusal, content: { errors: [] } };
  const fields = state.secrets.get(name ?? '');
  if (fields === undefined) return send(404, { errors: [] });
  const version = state.versions.get(name ?? '') ?? 1;
  if (asked !== null && Number(asked) !== version) return send(404, { errors: [] });
  const metadata = { version, created_time: '2020-01-02T03:04:05.678Z', deletion_time: '', destroyed: false };
  if (api === 'data') return send(200, { data: { data: fields, metadata } });
  if (api === 'metadata')
    return send(200, { data: { current_version: version, versions: { [version]: metadata }, custom_metadata: null } });
  return send(200, {
    data: { subkeys: Object.fromEntries(Object.keys(fields).map((each) => [each, null])), metadata },
  });
}
