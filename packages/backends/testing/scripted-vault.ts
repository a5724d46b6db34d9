import type { Socket } from 'node:net';
import { SecretValue } from '@strongroom/crypto';
import type { VaultSettings } from '@strongroom/contract';
import type { Backend } from '../src/backend.ts';
import { createEgress } from '../src/egress/index.ts';
import { definition } from '../src/vault/index.ts';
import { type RawServer, startRawServer } from './servers.ts';

export interface ScriptedRequest {
  readonly method: string;
  /** With the query, as it was sent. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface ScriptedAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON, unless it is text. */
  readonly body?: unknown;
}

/** An answer, or what is done with the connection in its place. */
export type Script = (request: ScriptedRequest, socket: Socket) => ScriptedAnswer | null;

export interface ScriptedVault extends AsyncDisposable {
  readonly requests: readonly ScriptedRequest[];
  readonly server: RawServer;
  open(settings?: Partial<VaultSettings>): Promise<Backend>;
}

export const scriptedToken = 'canary-token-5b0c7d';
export const scriptedSecretId = 'canary-secret-id-91c3';

/** What a KV version 2 mount at `secret/` says about itself. */
const mountAnswer: ScriptedAnswer = {
  body: { data: { type: 'kv', path: 'secret/', options: { version: '2' } } },
};
const loginAnswer: ScriptedAnswer = {
  body: { auth: { client_token: scriptedToken, lease_duration: 3600, num_uses: 0 } },
};

export function secretAnswer(data: unknown, metadata: object = {}): ScriptedAnswer {
  const whole = { version: 3, created_time: '2026-01-02T03:04:05.678Z', custom_metadata: null, ...metadata };
  return { body: { data: { data, metadata: whole } } };
}

/** Answers as Vault would about itself, its mount and the log-in, and to the rest as a test says. HTTP by hand: Node's server knows no LIST. */
export async function startScriptedVault(script: Script): Promise<ScriptedVault> {
  const requests: ScriptedRequest[] = [];
  const answerTo: Script = (request, socket) => {
    requests.push(request);
    const answer = script(request, socket);
    if (answer !== null && Object.keys(answer).length > 0) return answer;
    if (answer === null) return null;
    if (request.path === '/v1/auth/approle/login') return loginAnswer;
    if (request.path === '/v1/sys/internal/ui/mounts/secret') return mountAnswer;
    if (request.path === '/v1/sys/health') return { body: { initialized: true, sealed: false, standby: false } };
    return { status: 404, body: { errors: [] } };
  };
  const server = await startRawServer((socket) => serve(socket, answerTo));
  const egress = createEgress({ allow: [], allowLoopback: true });
  return {
    requests,
    server,
    open: (settings = {}) =>
      definition.open(
        {
          address: `http://127.0.0.1:${server.port}`,
          path: '/v1/secret/data/app',
          authentication: { method: 'app-role', roleId: 'role' },
          ...settings,
        },
        { egress, credential: () => Promise.resolve(SecretValue.fromText(scriptedSecretId)), now: Date.now },
      ),
    async [Symbol.asyncDispose]() {
      await egress.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

function serve(socket: Socket, answerTo: Script): void {
  let received = '';
  socket.on('data', (bytes) => {
    received += bytes.toString('latin1');
    for (let request = take(); request !== null; request = take()) {
      const answer = answerTo(request, socket);
      if (answer !== null) socket.write(format(answer));
    }
  });

  function take(): ScriptedRequest | null {
    const end = received.indexOf('\r\n\r\n');
    if (end === -1) return null;
    const [line = '', ...fields] = received.slice(0, end).split('\r\n');
    const headers = Object.fromEntries(
      fields.map((field) => [
        field.slice(0, field.indexOf(':')).toLowerCase(),
        field.slice(field.indexOf(':') + 1).trim(),
      ]),
    );
    const length = Number(headers['content-length'] ?? 0);
    if (received.length < end + 4 + length) return null;
    const [method = '', path = ''] = line.split(' ');
    const body = received.slice(end + 4, end + 4 + length);
    received = received.slice(end + 4 + length);
    return { method, path, headers, body };
  }
}

function format({ status = 200, headers = {}, body = '' }: ScriptedAnswer): string {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const bytes = Buffer.from(text, 'utf8');
  const all = { 'content-type': 'application/json', 'content-length': String(bytes.length), ...headers };
  const fields = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} X\r\n${fields.join('')}\r\n${bytes.toString('latin1')}`;
}
