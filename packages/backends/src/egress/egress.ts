import { setMaxListeners } from 'node:events';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { SecretValue } from '@strongroom/crypto';
import { AnswerLimit } from './answer-limit.ts';
import { type ConnectParts, openSocket, startTls, type TlsOptions } from './connect.ts';
import { Deadline } from './deadline.ts';
import { denied, EgressError } from './errors.ts';
import { Policy, type UseRules } from './policy.ts';
import { ConnectionPools, type Place } from './pools.ts';
import { isProxyUrl } from './proxy.ts';
import { type Headers, readHeaders } from './request-headers.ts';
import { resolveBySystem, type Resolve } from './resolve.ts';
import { type EgressResponse, ResponseCollector } from './response.ts';
import { type EgressStream, type StreamLimits, StreamReader } from './stream.ts';
import { checkPath, type CheckedUrl, parseTarget, parseUrl, type Target } from './target.ts';

export interface EgressOptions {
  /** Entries of STRONGROOM_EGRESS_ALLOW; see `parseAllowEntry`. */
  readonly allow: readonly string[];
  /** STRONGROOM_EGRESS_PROXY: http or https, with user and password where it wants them. */
  readonly proxy?: URL | undefined;
  /** Addresses of this machine are allowed: the embedded install, which listens on loopback only. */
  readonly allowLoopback: boolean;
  /** `resolveBySystem` by default. */
  readonly resolve?: Resolve;
}

export interface AddressRules {
  /**
   * Suffixes of host names that belong to the vendor of the backend (`.vault.azure.net`), from the program and never from a
   * user: on port 443 they may have private addresses (PrivateLink), and they count as listed for the proxy.
   */
  readonly vendor?: readonly string[];
  /** Plaintext beyond this machine; only for what carries no value and no credential. */
  readonly allowPlaintext?: boolean;
}

export interface UrlRules extends AddressRules {
  /** Without colon, lower case: `['https', 'http']`. */
  readonly schemes: readonly string[];
}

export interface EndpointRules extends AddressRules {
  /** PEM certificates to trust instead of the well-known ones. */
  readonly ca?: string;
  /** Sent with each request. */
  readonly headers?: Headers;
}

/** What differs between requests to one endpoint. */
export interface SendOptions {
  /** `GET` by default; any token, e.g. `LIST`. */
  readonly method?: string;
  readonly headers?: Headers;
  readonly body?: SecretValue | Uint8Array | string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** For all of it, from the look-up of the name to the last byte; 10,000 by default. */
  readonly deadlineMilliseconds?: number;
  /** Of the answer's body; 4 MiB by default. */
  readonly maxBytes?: number | undefined;
}

export interface RequestOptions extends AddressRules, TlsOptions, SendOptions {}

/** A place that many requests go to, read and checked once. */
export interface Endpoint {
  /**
   * As `request` of the guard.
   *
   * @param path what comes after the endpoint's own path, with the query
   */
  request(path: string, options?: SendOptions): Promise<EgressResponse>;
}

export type StreamOptions = Omit<RequestOptions, 'deadlineMilliseconds' | 'maxBytes' | 'body'>;

export interface ConnectOptions extends AddressRules {
  readonly host: string;
  readonly port: number;
  /** TLS from the first byte. Without it the connection is plaintext, which needs `allowPlaintext` beyond this machine. */
  readonly tls?: TlsOptions;
  readonly signal?: AbortSignal;
  /** Until the connection stands; 10,000 by default. */
  readonly deadlineMilliseconds?: number;
  /** Of all that the other side sends, TLS's own bytes included; 1 MiB by default. More ends the connection. */
  readonly maxBytes?: number;
}

export interface StartTlsOptions extends TlsOptions {
  /** The host the connection was opened to. */
  readonly host: string;
  readonly port: number;
  readonly signal?: AbortSignal;
  readonly deadlineMilliseconds?: number;
}

/**
 * The only way to an address that somebody typed. Every method throws `EgressError`:
 *
 * - `egress_denied`: the address may not be reached; nothing was connected, and where the text decides nothing was looked up
 * - `backend_unavailable`: no such name, not reached, TLS failed (`step: 'tls'`), cut off, or too slow
 * - `backend_malformed`: a redirect, a compressed or too large answer, or none of HTTP
 * - `deadline_exceeded`: the caller's signal ended it (or the signal's reason, when that is a StrongroomError)
 *
 * No error holds a header, a body, a path, or an address that was looked up.
 */
export interface Egress {
  /** Reads a URL strictly and decides what its text decides; what a name leads to is decided when connecting. Opens nothing. */
  checkUrl(text: string, rules: UrlRules): CheckedUrl;
  /** The same for a host and a port. */
  checkHost(host: string, port: number, rules?: AddressRules): void;
  /**
   * One HTTP/1.1 request to an `https:` URL, or to an `http:` URL on this machine. Never follows a redirect, never asks for
   * compression, never retries. Statuses of 400 and more are answers, not errors.
   *
   * @throws StrongroomError `validation_failed` for a header that can't be sent
   */
  request(url: string, options?: RequestOptions): Promise<EgressResponse>;
  /**
   * For many requests to one place: what its text decides is decided here, what a name leads to with each connection.
   *
   * @param url ends with a slash
   * @throws StrongroomError as `checkUrl`, and for a header as `request`
   */
  endpoint(url: string, rules?: EndpointRules): Endpoint;
  /**
   * A `request` whose answer is read while it comes: the limits are for its beginning and for each silence, not for the whole,
   * and the caller's signal ends it at any time. It has a connection of its own.
   */
  stream(url: string, limits: StreamLimits, options?: StreamOptions): Promise<EgressStream>;
  /** A connection for other protocols. The caller closes it; one that breaks closes by itself, whoever listens by then. */
  connectTcp(options: ConnectOptions): Promise<Socket>;
  /** TLS over a connection of `connectTcp` (STARTTLS, RFC 3207, RFC 4511 §4.14); destroys it when it fails. */
  startTls(socket: Socket, options: StartTlsOptions): Promise<TLSSocket>;
  /** Whether a connection of `connectTcp` or `startTls` ended because more came than its `maxBytes`. */
  isCutOff(socket: Socket): boolean;
  /** Ends connections and everything under way. */
  close(): Promise<void>;
}

const defaultDeadlineMilliseconds = 10_000;
const defaultMaxBytes = 4 * 1024 * 1024;
const defaultConnectionBytes = 1024 * 1024;

/** @throws AllowEntryError for an entry that can't be read; TypeError for a proxy that is none */
export function createEgress(options: EgressOptions): Egress {
  const { proxy } = options;
  if (proxy !== undefined && !isProxyUrl(proxy))
    throw new TypeError('The proxy is no URL http://host:port or https://host:port');
  const policy = new Policy({ ...options, hasProxy: proxy !== undefined });
  const parts: ConnectParts = { policy, proxy, resolve: options.resolve ?? resolveBySystem };
  const shutdown = new AbortController();
  // One listener for each piece of work under way.
  setMaxListeners(0, shutdown.signal);
  const pools = new ConnectionPools(parts, shutdown.signal);
  const limits = new WeakMap<Socket, AnswerLimit>();

  const check = (target: Target, rules: UseRules): Target => {
    policy.checkTarget(target, rules);
    return target;
  };
  const assertOpen = ({ label }: Target): void => {
    if (shutdown.signal.aborted)
      throw new EgressError('shutting_down', 'address', { detail: `${label} is not called any more.` });
  };
  const begin = (target: Target, limits: { signal?: AbortSignal; deadlineMilliseconds?: number }): Deadline => {
    assertOpen(target);
    return new Deadline(limits.deadlineMilliseconds ?? defaultDeadlineMilliseconds, target.label, [
      shutdown.signal,
      ...(limits.signal === undefined ? [] : [limits.signal]),
    ]);
  };
  const placeOf = (text: string, rules: AddressRules, how: { readonly ca?: string; readonly isStream?: boolean }) => {
    const { url, target } = parseUrl(text, ['https', 'http']);
    const used = useRules(rules, url.scheme === 'https');
    check(target, used);
    return { url, place: pools.place(url, target, used, how) };
  };
  const send = (
    place: Place,
    path: string,
    headers: Record<string, string>,
    { method, body: sent, signal, deadlineMilliseconds, maxBytes }: SendOptions,
  ): Promise<EgressResponse> => {
    const { target } = place;
    assertOpen(target);
    const request = { path, method: readMethod(method), headers, body: bodyBytes(sent) };
    // The shutdown ends the connections, and what goes over them.
    const callers = signal === undefined ? [] : [signal];
    const deadline = new Deadline(deadlineMilliseconds ?? defaultDeadlineMilliseconds, target.label, callers);
    const collector = new ResponseCollector(target.label, maxBytes ?? defaultMaxBytes, deadline);
    if (deadline.reason === undefined) pools.dispatch(place, request, collector);
    const { body } = request;
    return body === null ? collector.done : collector.done.finally(() => body.fill(0));
  };
  const secure = async (socket: Socket, target: Target, tls: TlsOptions, signal: AbortSignal): Promise<TLSSocket> => {
    const secured = heard(await startTls(socket, target, tls, signal));
    const limit = limits.get(socket);
    if (limit === undefined) return secured;
    limit.carry(secured);
    limits.set(secured, limit);
    return secured;
  };

  return {
    checkUrl(text, rules) {
      const { url, target } = parseUrl(text, rules.schemes);
      check(target, useRules(rules, url.scheme !== 'http'));
      return url;
    },
    checkHost(host, port, rules = {}) {
      check(parseTarget(host, port), useRules({ allowPlaintext: true, ...rules }, false));
    },
    async request(text, request = {}) {
      const { url, place } = placeOf(text, request, request);
      return send(place, url.path, readHeaders(request.headers ?? {}), request);
    },
    endpoint(text, rules = {}) {
      const { url, place } = placeOf(text, rules, rules);
      if (!/^[^?]*\/$/.test(url.path)) throw denied(`The path of ${place.target.label} does not end with a slash.`);
      const shared = readHeaders(rules.headers ?? {});
      return {
        async request(below, request = {}) {
          const path = url.path + below;
          checkPath(path);
          const { headers } = request;
          return send(place, path, headers === undefined ? shared : { ...shared, ...readHeaders(headers) }, request);
        },
      };
    },
    async stream(text, limits, request = {}) {
      const { url, place } = placeOf(text, request, { ...request, isStream: true });
      const callers = request.signal === undefined ? [] : [request.signal];
      const headers = readHeaders(request.headers ?? {});
      const reader = new StreamReader(place.target.label, limits, AbortSignal.any([shutdown.signal, ...callers]));
      pools.dispatch(place, { path: url.path, method: readMethod(request.method), headers, body: null }, reader);
      return reader.begun;
    },
    async connectTcp(request) {
      const rules = useRules(request, request.tls !== undefined);
      const target = check(parseTarget(request.host, request.port), rules);
      using deadline = begin(target, request);
      const socket = heard(await openSocket(parts, target, rules, deadline.signal));
      limits.set(socket, new AnswerLimit(socket, target.label, request.maxBytes ?? defaultConnectionBytes));
      if (request.tls === undefined) return socket;
      deadline.step = 'tls';
      return await secure(socket, target, request.tls, deadline.signal);
    },
    async startTls(socket, request) {
      const target = parseTarget(request.host, request.port);
      using deadline = begin(target, request);
      deadline.step = 'tls';
      return await secure(socket, target, request, deadline.signal);
    },
    isCutOff: (socket) => limits.get(socket)?.isExceeded === true,
    async close() {
      shutdown.abort(new EgressError('shutting_down', 'reachable', { detail: 'The server is stopping.' }));
      await pools.close();
    },
  };
}

/** An error that nobody listens for ends the process, and the other side may cause one before the caller's library has begun. */
function heard<Connection extends Socket>(socket: Connection): Connection {
  return socket.on('error', () => undefined);
}

function useRules({ vendor = [], allowPlaintext = false }: AddressRules, isEncrypted: boolean): UseRules {
  return { vendor, requireLoopback: !isEncrypted && !allowPlaintext };
}

/** A copy that may be zeroed afterwards. */
function bodyBytes(body: RequestOptions['body']): Buffer | null {
  if (body === undefined) return null;
  if (typeof body === 'string') return Buffer.from(body, 'utf8');
  if (body instanceof Uint8Array) return Buffer.from(body);
  const bytes = body.reveal();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function readMethod(method = 'GET'): string {
  if (!/^[A-Z]{3,16}$/.test(method)) throw new TypeError('A method is a word of capital letters');
  return method;
}
