import { Agent, request, type IncomingMessage } from 'node:http';

export interface WireRequest {
  readonly method: string;
  /** Sent as it is: neither resolved nor encoded. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** Of one answer. In place of `Headers`, which checks each again and takes a tenth of the time of a test of all routes. */
export class AnswerHeaders {
  readonly #values = new Map<string, string>();

  /** @param raw names and values by turns */
  constructor(raw: readonly string[]) {
    for (let index = 0; index < raw.length; index += 2) {
      const name = (raw[index] ?? '').toLowerCase();
      const earlier = this.#values.get(name);
      const value = raw[index + 1] ?? '';
      this.#values.set(name, earlier === undefined ? value : `${earlier}, ${value}`);
    }
  }

  /** @param name in lower case; `null` where there is none */
  get(name: string): string | null {
    return this.#values.get(name) ?? null;
  }

  [Symbol.iterator](): IterableIterator<[name: string, value: string]> {
    return this.#values.entries();
  }
}

export interface WireAnswer {
  readonly status: number;
  readonly headers: AnswerHeaders;
  /** Names and values by turns, as they came. */
  readonly rawHeaders: readonly string[];
  readonly bytes: Buffer;
}

const maxConnections = 64;

/** Speaks HTTP to a test server without a browser's manners: paths stay as they are, a GET may have a body. */
export class Wire {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: maxConnections });
  readonly #waiting: (() => void)[] = [];
  #server: URL | undefined;
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
    if (this.#server?.origin !== origin) this.#server = new URL(origin);
    const { hostname, port } = this.#server;
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
    const { rawHeaders } = answer;
    return {
      status: answer.statusCode ?? 0,
      headers: new AnswerHeaders(rawHeaders),
      rawHeaders,
      bytes: await contentOf(answer),
    };
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** All of it, without the machinery of an iterator for what is mostly one part. */
function contentOf(answer: IncomingMessage): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const parts: Buffer[] = [];
  answer.on('data', (part: Buffer) => parts.push(part));
  answer.on('end', () => resolve(Buffer.concat(parts)));
  answer.on('error', reject);
  return promise;
}
