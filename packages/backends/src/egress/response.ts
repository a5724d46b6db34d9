import { SecretValue } from '@strongroom/crypto';
import type { Dispatcher } from 'undici';
import type { Deadline } from './deadline.ts';
import { EgressError, reasonOf } from './errors.ts';

/** A whole answer; any status but 1xx and 3xx. */
export interface EgressResponse {
  readonly status: number;
  /** By lower-case name; what came several times is joined by `, `. */
  readonly headers: ReadonlyMap<string, string>;
  /** Whoever has it destroys it. */
  readonly body: SecretValue;
  /**
   * The body as JSON (UTF-8, RFC 8259). What's in it is plaintext.
   *
   * @throws EgressError `backend_malformed` without a word of it: an HTML page, another type, invalid UTF-8
   */
  json(): unknown;
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true });

/** Collects one answer under its caps. Every error that leaves is ours. */
export class ResponseCollector implements Dispatcher.DispatchHandler {
  readonly done: Promise<EgressResponse>;
  readonly #label: string;
  readonly #maxBytes: number;
  readonly #deadline: Deadline;
  readonly #settle: PromiseWithResolvers<EgressResponse>;
  #controller: Dispatcher.DispatchController | undefined;
  #status = 0;
  #headers: ReadonlyMap<string, string> = new Map();
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(label: string, maxBytes: number, deadline: Deadline) {
    this.#label = label;
    this.#maxBytes = maxBytes;
    this.#deadline = deadline;
    this.#settle = Promise.withResolvers();
    this.done = this.#settle.promise;
    deadline.signal.addEventListener('abort', () => this.#stop(deadline.signal.reason as Error), { once: true });
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // Not sent yet: what was given up while it waited for a connection never is.
    if (this.#deadline.signal.aborted) controller.abort(this.#deadline.signal.reason as Error);
    this.#deadline.step = 'answer';
  }

  onResponseStart(_controller: unknown, status: number, headers: Record<string, string | string[] | undefined>): void {
    if (status < 200) return;
    this.#status = status;
    this.#headers = new Map(
      Object.entries(headers).map(([name, value]) => [
        name.toLowerCase(),
        Array.isArray(value) ? value.join(', ') : (value ?? ''),
      ]),
    );
    if (status < 400 && status >= 300)
      return this.#stop(this.#malformed(`answered with a redirect (${status}), which is not followed`));
    const encoding = this.#headers.get('content-encoding') ?? 'identity';
    if (encoding.toLowerCase() !== 'identity')
      return this.#stop(this.#malformed('answered in a compressed form that was not asked for'));
    if (Number(this.#headers.get('content-length') ?? 0) > this.#maxBytes) this.#stop(this.#tooLarge());
  }

  onResponseData(_controller: unknown, chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#maxBytes) return this.#stop(this.#tooLarge());
    // A copy: the chunk is a part of the socket's buffer.
    this.#chunks.push(Buffer.from(chunk));
  }

  onResponseEnd(): void {
    const body = bodyOf(this.#chunks);
    this.#forget();
    const answer: EgressResponse = {
      status: this.#status,
      headers: this.#headers,
      body,
      json: () => this.#parse(body),
    };
    // undici gives the connection free in the next turn of the loop; who asks again before that opens another one.
    queueMicrotask(() => setImmediate(() => this.#settle.resolve(answer)));
  }

  onResponseError(_controller: unknown, error: Error): void {
    this.fail(error);
  }

  /** Takes whatever was thrown and keeps its code alone. */
  fail(error: unknown): void {
    this.#forget();
    this.#settle.reject(error instanceof EgressError ? error : this.#explain(error));
  }

  #stop(error: Error): void {
    this.#forget();
    // Ours first: aborting reports, too.
    this.#settle.reject(error);
    this.#controller?.abort(error);
  }

  #forget(): void {
    for (const chunk of this.#chunks) chunk.fill(0);
    this.#chunks = [];
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
    return new EgressError('backend_malformed', 'answer', {
      detail: `${this.#label} ${what}.`,
      ...(reason === undefined ? {} : { reason }),
    });
  }

  #tooLarge(): EgressError {
    return this.#malformed(`answered with more than ${this.#maxBytes} bytes`);
  }

  #parse(body: SecretValue): unknown {
    const bytes = body.reveal();
    try {
      return JSON.parse(strictUtf8.decode(bytes)) as unknown;
    } catch {
      // The parser quotes its input.
      throw this.#malformed('did not answer with JSON');
    } finally {
      bytes.fill(0);
    }
  }
}

/** A copy; the chunks stay as they are. */
function bodyOf(chunks: readonly Buffer[]): SecretValue {
  const [only] = chunks;
  if (only !== undefined && chunks.length === 1) return SecretValue.fromBytes(only);
  const whole = Buffer.concat(chunks);
  try {
    return SecretValue.fromBytes(whole);
  } finally {
    whole.fill(0);
  }
}
