import { Agent, request, type IncomingMessage } from 'node:http';

export interface WireRequest {
  readonly method: string;
  /** Sent as it is: neither resolved nor encoded. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

export interface WireAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** Names and values by turns, as they came. */
  readonly rawHeaders: readonly string[];
  readonly bytes: Buffer;
}

const maxConnections = 64;

/** Speaks HTTP to a test server without a browser's manners: paths stay as they are, a GET may have a body. */
export class Wire {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: maxConnections });
  readonly #waiting: (() => void)[] = [];
  #underWay = 0;

  /** Thousands may be sent at once. Each is made when a connection is free: made before, all would be kept, and collected again and again. */
  async send(origin: string, request: WireRequest): Promise<WireAnswer> {
    if (this.#underWay < maxConnections) this.#underWay += 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await this.#exchange(origin, request);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#underWay -= 1;
      else next();
    }
  }

  async #exchange(origin: string, { method, path, headers, body }: WireRequest): Promise<WireAnswer> {
    const { hostname, port } = new URL(origin);
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    const outgoing = request(
      { agent: this.#agent, host: hostname, port, method, path, headers: { ...length, ...headers } },
      resolve,
    );
    let isAnswered = false;
    // The server may answer and close while a body is still on its way.
    outgoing.on('error', (error) => {
      if (!isAnswered) reject(error);
    });
    outgoing.end(body);
    const answer = await promise;
    isAnswered = true;
    const parts: Buffer[] = [];
    for await (const part of answer) parts.push(part as Buffer);
    const { rawHeaders } = answer;
    const collected = new Headers();
    for (let index = 0; index < rawHeaders.length; index += 2)
      collected.append(rawHeaders[index] ?? '', rawHeaders[index + 1] ?? '');
    return { status: answer.statusCode ?? 0, headers: collected, rawHeaders, bytes: Buffer.concat(parts) };
  }

  close(): void {
    this.#agent.destroy();
  }
}
