import { SecretValue } from '@strongroom/crypto';
import type { Dispatcher } from 'undici';
import type { Deadline } from './deadline.ts';
import { EgressError, reasonOf } from './errors.ts';

/** A whole answer; any status but 1xx and 3xx. Whoever has it destroys it. */
export interface EgressResponse {
  readonly status: number;
  /** By lower-case name; what came several times is joined by `, `. */
  readonly headers: ReadonlyMap<string, string>;
  /** Length of the body in bytes. */
  readonly byteLength: number;
  /** The same value each time; destroyed with the answer. */
  readonly body: SecretValue;
  /** One of the {@link headers}, by its lower-case name. */
  header(name: string): string | undefined;
  /**
   * The body as JSON (UTF-8, RFC 8259). What's in it is plaintext.
   *
   * @throws EgressError `backend_malformed` without a word of it: an HTML page, another type, invalid UTF-8
   */
  json(): unknown;
  /** Zeroes the body. */
  destroy(): void;
}

type RawHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

const strictUtf8 = new TextDecoder('utf-8', { fatal: true });
const firstBufferBytes = 16 * 1024;
const nothing = Buffer.alloc(0);

/** Collects one answer under its caps, and ends its deadline with it. Every error that leaves is ours. */
export class ResponseCollector implements Dispatcher.DispatchHandler {
  readonly done: Promise<EgressResponse>;
  readonly #label: string;
  readonly #maxBytes: number;
  readonly #deadline: Deadline;
  readonly #settle: PromiseWithResolvers<EgressResponse>;
  #controller: Dispatcher.DispatchController | undefined;
  #status = 0;
  #headers: RawHeaders = {};
  #buffer: Buffer = nothing;
  #bytes = 0;

  constructor(label: string, maxBytes: number, deadline: Deadline) {
    this.#label = label;
    this.#maxBytes = maxBytes;
    this.#deadline = deadline;
    this.#settle = Promise.withResolvers();
    this.done = this.#settle.promise;
    if (deadline.reason === undefined) deadline.onEnd((reason) => this.#stop(reason));
    else this.#stop(deadline.reason);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // Not sent yet: what was given up while it waited for a connection never is.
    if (this.#deadline.reason !== undefined) controller.abort(this.#deadline.reason);
    this.#deadline.step = 'answer';
  }

  onResponseStart(_controller: unknown, status: number, headers: RawHeaders): void {
    if (status < 200) return;
    this.#status = status;
    this.#headers = headers;
    if (status < 400 && status >= 300)
      return this.#stop(this.#malformed(`answered with a redirect (${status}), which is not followed`));
    const encoding = joined(headers['content-encoding']) ?? 'identity';
    if (encoding.toLowerCase() !== 'identity')
      return this.#stop(this.#malformed('answered in a compressed form that was not asked for'));
    if (Number(joined(headers['content-length']) ?? 0) > this.#maxBytes) this.#stop(this.#tooLarge());
  }

  onResponseData(_controller: unknown, chunk: Buffer): void {
    const bytes = this.#bytes + chunk.length;
    if (bytes > this.#maxBytes) return this.#stop(this.#tooLarge());
    // The usual answer is whole at once. Nobody else has the buffer of the socket that it lies in.
    if (this.#bytes === 0 && Number(joined(this.#headers['content-length'])) === chunk.length) this.#buffer = chunk;
    else this.#append(chunk, bytes);
    this.#bytes = bytes;
  }

  onResponseEnd(): void {
    this.#deadline[Symbol.dispose]();
    const answer = new CollectedResponse(
      this.#label,
      this.#status,
      this.#headers,
      this.#buffer.subarray(0, this.#bytes),
    );
    this.#buffer = nothing;
    // undici gives the connection free in the next turn of the loop; who asks again before that opens another one.
    process.nextTick(setImmediate, this.#settle.resolve, answer);
  }

  onResponseError(_controller: unknown, error: Error): void {
    this.fail(error);
  }

  /** Takes whatever was thrown and keeps its code alone. */
  fail(error: unknown): void {
    this.#reject(error instanceof EgressError ? error : this.#explain(error));
  }

  #stop(error: Error): void {
    // Ours first: aborting reports, too.
    this.#reject(error);
    this.#controller?.abort(error);
  }

  #reject(error: Error): void {
    this.#deadline[Symbol.dispose]();
    this.#buffer.fill(0);
    this.#buffer = nothing;
    this.#bytes = 0;
    this.#settle.reject(error);
  }

  /** One buffer, however small the pieces are. */
  #append(chunk: Buffer, bytes: number): void {
    if (bytes > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(firstBufferBytes, bytes, this.#buffer.length * 2));
      this.#buffer.copy(larger, 0, 0, this.#bytes);
      this.#buffer.fill(0);
      this.#buffer = larger;
    }
    chunk.copy(this.#buffer, this.#bytes);
  }

  #explain(error: unknown): EgressError {
    const reason = reasonOf(error);
    if (reason === 'UND_ERR_HEADERS_OVERFLOW')
      return this.#malformed('answered with headers that are too large', reason);
    // Its codes are a matter of the parser; it keeps the bytes that it could not read.
    if (error instanceof Error && error.name === 'HTTPParserError')
      return this.#malformed('did not answer in HTTP/1.1', reason);
    return new EgressError('backend_unavailable', this.#deadline.step, {
      detail: `${this.#label} closed the connection before its answer was whole.`,
      ...(reason === undefined ? {} : { reason }),
    });
  }

  #malformed(what: string, reason?: string): EgressError {
    return malformed(this.#label, what, reason);
  }

  #tooLarge(): EgressError {
    return this.#malformed(`answered with more than ${this.#maxBytes} bytes`);
  }
}

class CollectedResponse implements EgressResponse {
  readonly status: number;
  readonly byteLength: number;
  readonly #label: string;
  readonly #rawHeaders: RawHeaders;
  readonly #bytes: Buffer;
  #headers: ReadonlyMap<string, string> | undefined;
  #body: SecretValue | undefined;

  /** @param bytes nobody else's */
  constructor(label: string, status: number, headers: RawHeaders, bytes: Buffer) {
    this.status = status;
    this.byteLength = bytes.length;
    this.#label = label;
    this.#rawHeaders = headers;
    this.#bytes = bytes;
  }

  get headers(): ReadonlyMap<string, string> {
    this.#headers ??= new Map(Object.entries(this.#rawHeaders).map(([name, value]) => [name, joined(value) ?? '']));
    return this.#headers;
  }

  get body(): SecretValue {
    this.#body ??= SecretValue.fromBytes(this.#bytes);
    return this.#body;
  }

  header(name: string): string | undefined {
    return Object.hasOwn(this.#rawHeaders, name) ? joined(this.#rawHeaders[name]) : undefined;
  }

  json(): unknown {
    try {
      return JSON.parse(strictUtf8.decode(this.#bytes)) as unknown;
    } catch {
      // The parser quotes its input.
      throw malformed(this.#label, 'did not answer with JSON');
    }
  }

  destroy(): void {
    this.#bytes.fill(0);
    this.#body?.destroy();
  }
}

function joined(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'string' || value === undefined ? value : value.join(', ');
}

function malformed(label: string, what: string, reason?: string): EgressError {
  return new EgressError('backend_malformed', 'answer', {
    detail: `${label} ${what}.`,
    ...(reason === undefined ? {} : { reason }),
  });
}
