import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { FaultKind } from '../../src/conformance/index.ts';
import { type ReferenceStore, type StoredEntry, type StoredExpectation, StoreRefusal } from './store.ts';

const pageSize = 10;

export interface WireRequest {
  readonly key?: string;
  readonly keys?: readonly string[];
  readonly version?: string;
  readonly after?: string;
  readonly includesFound?: boolean;
  readonly limit?: number;
  readonly shape?: StoredEntry['shape'];
  readonly valueBase64?: string;
  readonly expect?: StoredExpectation;
  readonly intentId?: string;
}

/** The store behind a loopback port, with each trouble that a network and a server can have. */
export class ReferenceServer {
  readonly store: ReferenceStore;
  readonly token: string;
  readonly #server: Server;
  #port = 0;
  #fault: { readonly kind: FaultKind; readonly echo: string } | null = null;
  /** Requests that came to the server, with or without a fault. */
  requests = 0;

  constructor(store: ReferenceStore, token: string) {
    this.store = store;
    this.token = token;
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  get port(): number {
    return this.#port;
  }

  /** What the trouble under way puts into its answers. */
  get echo(): string {
    return this.#fault?.echo ?? '';
  }

  async listen(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** @returns what ends the trouble */
  async inject(kind: FaultKind, echo: string): Promise<() => Promise<void>> {
    this.#fault = { kind, echo };
    if (kind === 'unreachable') await this.close();
    return async () => {
      this.#fault = null;
      this.#server.closeAllConnections();
      if (kind === 'unreachable') await this.listen();
    };
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.requests += 1;
    const body = (await json(request)) as WireRequest;
    const fault = this.#fault;
    if (fault === null) {
      this.#send(response, ...this.#handle(request, body));
      return;
    }
    const echoed = { 'x-echo': fault.echo };
    const text = JSON.stringify({ error: fault.echo });
    switch (fault.kind) {
      case 'unreachable':
      case 'hanging':
        return;
      case 'cut': {
        const [status, content] = this.#handle(request, body);
        const whole = JSON.stringify(content) + fault.echo;
        response.writeHead(status, { ...echoed, 'content-length': whole.length + 100 });
        response.write(whole, () => response.destroy());
        return;
      }
      case 'failing':
        response.writeHead(500, echoed).end(text);
        return;
      case 'throttled':
        response.writeHead(429, { ...echoed, 'retry-after': '1' }).end(text);
        return;
      case 'denied':
        response.writeHead(403, echoed).end(text);
        return;
      case 'sealed':
        response.writeHead(503, echoed).end(JSON.stringify({ sealed: true, error: fault.echo }));
        return;
      case 'malformed':
        response.writeHead(200, { ...echoed, 'content-type': 'text/html' }).end(`<html>${fault.echo}</html>`);
    }
  }

  #send(response: ServerResponse, status: number, content: unknown): void {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(content));
  }

  #handle(request: IncomingMessage, body: WireRequest): [number, unknown] {
    if (request.headers.authorization !== `Bearer ${this.token}`) return [403, {}];
    try {
      return [200, this.#perform(request.url ?? '', body)];
    } catch (error) {
      if (!(error instanceof StoreRefusal)) return [500, {}];
      return [{ conflict: 409, foreign: 423, full: 413 }[error.reason], {}];
    }
  }

  #read(key: string, version: string | null): StoredEntry | 'deleted' | null {
    return version === null && this.store.isDeleted(key) ? 'deleted' : this.store.get(key, version);
  }

  #perform(path: string, body: WireRequest): unknown {
    const { key = '', expect = { kind: 'any' } } = body;
    switch (path) {
      case '/get':
        return { entry: this.#read(key, body.version ?? null) };
      case '/get-many':
        return { entries: (body.keys ?? []).map((one) => [one, this.#read(one, null)]) };
      case '/versions':
        return { versions: (body.keys ?? []).map((one) => [one, versionOf(this.#read(one, null))]) };
      case '/list': {
        const limit = Math.min(body.limit ?? pageSize, pageSize);
        const keys = this.store.list(body.after ?? null, limit + 1, body.includesFound === true);
        return { keys: keys.slice(0, limit), isLast: keys.length <= limit };
      }
      case '/put': {
        const { shape = 'text', valueBase64 = '', intentId = null } = body;
        return { version: this.store.put({ key, shape, valueBase64, expect, intentId }) };
      }
      case '/delete':
        this.store.delete(key, expect);
        return {};
      default:
        return { isHealthy: true };
    }
  }
}

function versionOf(entry: StoredEntry | 'deleted' | null): string | null {
  return entry === null || entry === 'deleted' ? entry : entry.version;
}
