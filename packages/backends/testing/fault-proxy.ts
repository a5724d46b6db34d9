import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import type { FaultKind, InjectFault } from '../src/conformance/index.ts';

export type NetworkFault = Exclude<FaultKind, 'denied' | 'sealed'>;

/** Answers of HTTP for the faults that have one; all of them repeat what they are told to. */
const answers: Readonly<Partial<Record<NetworkFault, (echo: string) => string>>> = {
  failing: (echo) => answer('500 Internal Server Error', 'application/json', JSON.stringify({ errors: [echo] }), echo),
  throttled: (echo) => answer('429 Too Many Requests', 'application/json', JSON.stringify({ errors: [echo] }), echo),
  malformed: (echo) => answer('200 OK', 'text/html', `<!doctype html><title>${echo}</title>`, echo),
};

/** Bytes of a server's answer that come through before it is cut. */
const cutAfterBytes = 40;
/** Clients notice within it that their idle connections are gone. */
const noticeMilliseconds = 20;

/** Certificate and key, PEM, of the server itself: clients that trust it trust the proxy. */
export interface ProxyTls {
  readonly certificate: string;
  readonly key: string;
}

/** Stands before a real server on loopback, with TLS on both sides where that has it, and brings the troubles of a network about. It doesn't read HTTP, so it takes any method. */
export class FaultProxy {
  readonly #target: { readonly host: string; readonly port: number };
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #fault: { readonly kind: NetworkFault; readonly echo: string } | null = null;
  readonly #tls: ProxyTls | undefined;
  #port = 0;

  constructor(url: string, tls?: ProxyTls) {
    const { hostname, port } = new URL(url);
    this.#target = { host: hostname, port: Number(port) };
    this.#tls = tls;
    const serve = (socket: Socket) => this.#serve(this.#track(socket));
    this.#server =
      tls === undefined ? createServer(serve) : createTlsServer({ cert: tls.certificate, key: tls.key }, serve);
  }

  get url(): string {
    return `${this.#tls === undefined ? 'http' : 'https'}://127.0.0.1:${this.#port}`;
  }

  async listen(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  fault(kind: NetworkFault): InjectFault {
    return async (echo) => {
      this.#fault = { kind, echo };
      if (kind === 'unreachable') await this.close();
      await this.#dropConnections();
      return async () => {
        this.#fault = null;
        await this.#dropConnections();
        if (kind === 'unreachable') await this.listen();
      };
    };
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #serve(client: Socket): void {
    const fault = this.#fault;
    const canned = fault === null ? undefined : answers[fault.kind];
    if (fault !== null && canned !== undefined) {
      client.once('data', () => client.end(canned(fault.echo)));
      return;
    }
    if (fault?.kind === 'hanging') {
      client.resume();
      return;
    }
    const server = this.#track(
      this.#tls === undefined ? connect(this.#target) : connectTls({ ...this.#target, ca: this.#tls.certificate }),
    );
    client.pipe(server);
    client.once('close', () => server.destroy());
    server.once('close', () => client.destroy());
    if (fault?.kind !== 'cut') server.pipe(client);
    else server.once('data', (bytes: Buffer) => client.write(bytes.subarray(0, cutAfterBytes), () => client.destroy()));
  }

  #track(socket: Socket): Socket {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    // The other side breaks off on purpose.
    socket.on('error', () => socket.destroy());
    return socket;
  }

  async #dropConnections(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await wait(noticeMilliseconds);
    // Of a process that was held up timers come first, and what there is to be read after them.
    for (let turns = 0; turns < 3; turns += 1) await turn();
  }
}

function answer(status: string, type: string, body: string, echo: string): string {
  const headers = [
    `content-type: ${type}`,
    `content-length: ${Buffer.byteLength(body)}`,
    `x-echo: ${echo}`,
    'connection: close',
  ];
  return `HTTP/1.1 ${status}\r\n${headers.join('\r\n')}\r\n\r\n${body}`;
}
