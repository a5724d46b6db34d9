import { StrongroomError } from '@strongroom/contract/errors';
import { isRecord, problemToError, unreachable } from './errors.ts';
import type { RouteRow } from './route-table.ts';
import type { CallOptions, RawAnswer } from './route-types.ts';

/** Bytes of a JSON answer; no answer of the API comes near. */
const maxAnswerBytes = 64 * 1024 * 1024;

/** What is used of `fetch`. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export interface TransportOptions {
  /** Checked by `checkServerAddress`. */
  readonly address: string;
  readonly token?: string | (() => Promise<string>);
  readonly timeoutMilliseconds: number;
  readonly fetch: Fetch;
  readonly userAgent?: string;
}

/** The parts of any call; their types were checked by the method's own. */
export interface AnyInput extends CallOptions {
  readonly params?: unknown;
  readonly query?: unknown;
  readonly body?: unknown;
}

export interface Answer {
  readonly status: number;
  readonly requestId: string | undefined;
  /** The revision in `ETag`. */
  readonly revision: number | undefined;
  readonly data: unknown;
}

/**
 * Makes one call. Redirects are refused: the token would go to wherever they lead. Nothing is repeated.
 *
 * @throws StrongroomError the server's, `server_unreachable`, or `deadline_exceeded`
 */
export async function send(options: TransportOptions, row: RouteRow, input: AnyInput): Promise<Answer> {
  const url = `${options.address}${fillPath(row.path, input.params)}${queryText(input.query)}`;
  const deadline = new AbortController();
  const milliseconds = input.timeoutMilliseconds ?? options.timeoutMilliseconds;
  const timer = setTimeout(() => deadline.abort(), milliseconds);
  const signal = input.signal === undefined ? deadline.signal : AbortSignal.any([input.signal, deadline.signal]);
  try {
    const response = await options.fetch(url, {
      method: row.method,
      headers: headersOf(options, await tokenFor(options, row), row, input),
      redirect: 'error',
      credentials: 'omit',
      cache: 'no-store',
      signal,
      ...(input.body === undefined ? {} : { body: JSON.stringify(input.body) }),
    });
    const requestId = response.headers.get('x-request-id') ?? undefined;
    const revision = revisionOf(response.headers.get('etag'));
    if (!response.ok) throw problemToError(response.status, response.headers, await readText(response));
    const data = row.raw === true ? rawAnswer(response) : await readData(row, response);
    return { status: response.status, requestId, revision, data };
  } catch (error) {
    throw asStrongroomError(error, options.address, deadline.signal.aborted ? milliseconds : undefined, input.signal);
  } finally {
    clearTimeout(timer);
  }
}

async function tokenFor({ token }: TransportOptions, row: RouteRow): Promise<string | undefined> {
  if (row.isPublic === true) return undefined;
  return typeof token === 'function' ? token() : token;
}

function headersOf(
  options: TransportOptions,
  token: string | undefined,
  row: RouteRow,
  input: AnyInput,
): Record<string, string> {
  // fetch would quote a header that it refuses.
  if (token !== undefined && !/^[\x21-\x7e]{1,8192}$/.test(token)) {
    throw new StrongroomError('unauthenticated', { detail: 'The token holds characters that no token has.' });
  }
  return {
    accept: row.raw === true ? '*/*' : 'application/json, application/problem+json',
    ...(options.userAgent === undefined ? {} : { 'user-agent': options.userAgent }),
    ...(token === undefined || row.isPublic === true ? {} : { authorization: `Bearer ${token}` }),
    ...(input.body === undefined ? {} : { 'content-type': 'application/json' }),
    ...(input.ifMatch === undefined ? {} : { 'if-match': `"${input.ifMatch}"` }),
    ...(row.idempotent === true ? { 'idempotency-key': input.idempotencyKey ?? crypto.randomUUID() } : {}),
  };
}

function fillPath(path: string, params: unknown): string {
  const given = isRecord(params) ? params : {};
  return path.replaceAll(/\{([A-Za-z]+)\}/g, (_, name: string) => {
    const value = given[name];
    const text = typeof value === 'string' ? value : '';
    // A URL would take these for steps up the path.
    if (text === '' || text === '.' || text === '..' || !text.isWellFormed()) {
      throw new StrongroomError('validation_failed', { errors: [{ pointer: name, message: 'is not a name' }] });
    }
    return encodeURIComponent(text);
  });
}

function queryText(query: unknown): string {
  if (!isRecord(query)) return '';
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item !== undefined) search.append(name, String(item));
    }
  }
  return search.size === 0 ? '' : `?${search.toString()}`;
}

function revisionOf(etag: string | null): number | undefined {
  const text = /^"(\d{1,15})"$/.exec(etag ?? '')?.[1];
  return text === undefined ? undefined : Number(text);
}

async function readData(row: RouteRow, response: Response): Promise<unknown> {
  if (row.empty === true) {
    await response.body?.cancel();
    return undefined;
  }
  const text = await readText(response);
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // The parser's error quotes the answer.
    throw unreachable('The answer is not JSON; something else than Strongroom, or a proxy, is at the address.');
  }
}

async function readText(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let bytes = 0;
  let text = '';
  for await (const chunk of chunksOf(response)) {
    bytes += chunk.byteLength;
    if (bytes > maxAnswerBytes) throw unreachable(`The answer is longer than ${maxAnswerBytes} bytes.`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

async function* chunksOf(response: Response): AsyncGenerator<Uint8Array> {
  if (response.body === null) return;
  const reader = response.body.getReader();
  let isDone = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      isDone = done;
      if (done) return;
      yield value;
    }
  } finally {
    if (!isDone) await reader.cancel();
  }
}

function rawAnswer(response: Response): RawAnswer {
  return {
    mediaType: response.headers.get('content-type') ?? 'application/octet-stream',
    chunks: guarded(chunksOf(response)),
    text: () => readText(response),
  };
}

/** A stream that breaks off says so in our words. */
async function* guarded(chunks: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* chunks;
  } catch (error) {
    if (error instanceof StrongroomError || isAbort(error)) throw error;
    throw unreachable('The connection broke before the end of the answer.');
  }
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}

/** fetch's own errors carry what was sent; only a code of the system leaves. */
function asStrongroomError(
  error: unknown,
  address: string,
  timedOutMilliseconds: number | undefined,
  callerSignal: AbortSignal | undefined,
): unknown {
  if (error instanceof StrongroomError) return error;
  if (callerSignal?.aborted === true) return callerSignal.reason;
  if (timedOutMilliseconds !== undefined) {
    return new StrongroomError('deadline_exceeded', {
      detail: `${address} did not answer within ${timedOutMilliseconds / 1000} s.`,
    });
  }
  const cause = error instanceof Error ? error.cause : undefined;
  const code = isRecord(cause) && typeof cause['code'] === 'string' ? cause['code'] : undefined;
  if (cause instanceof Error && /redirect/i.test(cause.message)) {
    return unreachable(`${address} redirects elsewhere, and redirects are not followed.`);
  }
  return unreachable(
    code === undefined ? `${address} could not be reached.` : `${address} could not be reached (${code}).`,
  );
}
