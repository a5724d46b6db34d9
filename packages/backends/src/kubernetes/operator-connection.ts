import { createHash } from 'node:crypto';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { KubeConfig } from '@kubernetes/client-node';
import { Agent, buildConnector } from 'undici';
import { Deadline } from '../egress/deadline.ts';
import { EgressError, printable, reasonOf } from '../egress/errors.ts';
import { type EgressResponse, ResponseCollector } from '../egress/response.ts';
import { type EgressStream, type StreamLimits, StreamReader } from '../egress/stream.ts';
import { type ApiAnswer, type ApiConnection, type ApiRequest, answerOf, maxAnswerBytes } from './api.ts';

export interface OperatorAccess {
  /** The ServiceAccount of this pod. */
  readonly inCluster: boolean;
  /** Empty: `~/.kube/config`. */
  readonly kubeconfigPath: string;
}

interface Credentials {
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: TlsSettings;
  /** Tells apart what connections may be shared for. */
  readonly trust: string;
}

interface TlsSettings {
  readonly ca?: Buffer | string;
  readonly cert?: Buffer | string;
  readonly key?: Buffer | string;
  readonly servername?: string;
  readonly rejectUnauthorized: boolean;
}

/** What `KubeConfig.applyToHTTPSOptions` fills in. */
interface HttpsOptions {
  headers?: Record<string, unknown>;
  auth?: string | null;
  ca?: Buffer | string;
  cert?: Buffer | string;
  key?: Buffer | string;
  servername?: string;
  rejectUnauthorized?: boolean;
}

const requestMilliseconds = 10_000;
const connectMilliseconds = 5_000;
const connectionsAtOnce = 16;
const maxHeaderBytes = 16 * 1024;
/** Files of tokens and certificates are read anew after it: a cluster changes them while the server runs. */
const credentialsMilliseconds = 10_000;

/** Codes of a connection that didn't come to TLS. */
const unreachable: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refused the connection',
  ENOTFOUND: 'has a name that there is not',
  EAI_AGAIN: 'has a name that could not be looked up',
  EHOSTUNREACH: 'could not be reached',
  ENETUNREACH: 'could not be reached',
  ETIMEDOUT: 'could not be reached',
  ECONNRESET: 'closed the connection',
  EPIPE: 'closed the connection',
  UND_ERR_CONNECT_TIMEOUT: 'could not be reached in time',
};

/**
 * The API server that the operator named, in a kubeconfig of their own or by running the server in the cluster. The client
 * library reads the kubeconfig and signs in. Requests are made here: the generated API leaves out what it doesn't know of an
 * object (a key `__proto__`, a new field of metadata), which a write then takes away; its errors quote the answer.
 */
export class OperatorConnection implements ApiConnection {
  readonly #access: OperatorAccess;
  readonly #now: () => number;
  readonly #root: string;
  #config: Promise<KubeConfig> | undefined;
  #credentials: { readonly until: number; readonly made: Promise<Credentials> } | undefined;
  readonly #agents = new Map<'requests' | 'streams', { readonly trust: string; readonly agent: Agent }>();
  #verifiesTls = true;
  #isClosed = false;

  /** @param root stands before the paths of a pod's files; for tests */
  constructor(access: OperatorAccess, now: () => number, root = '') {
    this.#access = access;
    this.#now = now;
    this.#root = root;
  }

  get verifiesTls(): boolean {
    return this.#verifiesTls;
  }

  async send(request: ApiRequest, signal: AbortSignal): Promise<ApiAnswer> {
    const { body: sent } = request;
    const body = sent === undefined ? null : Buffer.from(sent.reveal().buffer);
    sent?.destroy();
    try {
      const response = await this.#dispatch(request, body, signal);
      try {
        return answerOf(response);
      } finally {
        response.destroy();
      }
    } finally {
      body?.fill(0);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#agents.values()].map(({ agent }) => agent.destroy()));
  }

  async stream(path: string, limits: StreamLimits, signal: AbortSignal): Promise<EgressStream> {
    this.#requireOpen();
    const server = serverOf(await orAborted(this.#kubeConfig(), signal));
    const credentials = await orAborted(this.#currentCredentials(), signal);
    const label = printable(server.host);
    const reader = new StreamReader(label, limits, signal);
    try {
      const headers = { ...credentials.headers, ...ownHeaders, accept: '*/*' };
      const agent = this.#agentFor('streams', credentials, label);
      agent.dispatch({ origin: server.origin, path: pathOf(server, path), method: 'GET', headers }, reader);
    } catch (error) {
      reader.fail(error);
    }
    const stream = await reader.begun;
    if (stream.status === 401) this.#credentials = undefined;
    return stream;
  }

  async #dispatch(request: ApiRequest, body: Buffer | null, signal: AbortSignal): Promise<EgressResponse> {
    this.#requireOpen();
    using deadline = new Deadline(requestMilliseconds, 'Kubernetes', [signal]);
    deadline.signal.throwIfAborted();
    const server = serverOf(await orAborted(this.#kubeConfig(), deadline.signal));
    const credentials = await orAborted(this.#currentCredentials(), deadline.signal);
    const label = printable(server.host);
    const collector = new ResponseCollector(label, maxAnswerBytes, deadline);
    try {
      this.#agentFor('requests', credentials, label).dispatch(
        {
          origin: server.origin,
          path: pathOf(server, request.path),
          method: request.method,
          headers: {
            ...credentials.headers,
            ...ownHeaders,
            accept: 'application/json',
            ...(body === null ? {} : { 'content-type': 'application/json' }),
          },
          body,
        },
        collector,
      );
    } catch (error) {
      collector.fail(error);
    }
    const answer = await collector.done;
    // A token that was exchanged meanwhile is read by the next call.
    if (answer.status === 401) this.#credentials = undefined;
    return answer;
  }

  #requireOpen(): void {
    if (this.#isClosed)
      throw new EgressError('backend_unavailable', 'reachable', { detail: 'The store in Kubernetes was closed.' });
  }

  #kubeConfig(): Promise<KubeConfig> {
    this.#config ??= this.#load().catch((error: unknown) => {
      this.#config = undefined;
      throw error;
    });
    return this.#config;
  }

  async #load(): Promise<KubeConfig> {
    const { KubeConfig } = await import('@kubernetes/client-node');
    const config = new KubeConfig();
    const { inCluster, kubeconfigPath } = this.#access;
    const path = kubeconfigPath === '' ? join(homedir(), '.kube', 'config') : kubeconfigPath;
    const source = inCluster ? 'the environment of this pod' : `the kubeconfig ${path}`;
    try {
      if (inCluster) config.loadFromCluster(this.#root);
      else config.loadFromFile(path);
    } catch (error) {
      // The parser quotes the file, in which tokens are.
      throw unusable(`${source} can not be read${codeOf(error)}`);
    }
    const cluster = config.getCurrentCluster();
    if (cluster === null || config.getCurrentUser() === null)
      throw unusable(`${source} has no current context with a cluster and a user`);
    if (cluster.proxyUrl !== undefined) throw unusable(`${source} names a proxy, which is not supported`);
    serverOf(config, source);
    this.#verifiesTls = !cluster.skipTLSVerify;
    return config;
  }

  #currentCredentials(): Promise<Credentials> {
    const now = this.#now();
    if (this.#credentials !== undefined && now < this.#credentials.until) return this.#credentials.made;
    const made = this.#readCredentials();
    const credentials = { until: now + credentialsMilliseconds, made };
    this.#credentials = credentials;
    made.catch(() => {
      if (this.#credentials === credentials) this.#credentials = undefined;
    });
    return made;
  }

  async #readCredentials(): Promise<Credentials> {
    const config = await this.#kubeConfig();
    const options: HttpsOptions = {};
    try {
      await config.applyToHTTPSOptions(options as Parameters<KubeConfig['applyToHTTPSOptions']>[0]);
    } catch (error) {
      // A program that signs in may have printed anything.
      throw new EgressError('backend_denied', 'address', {
        detail: `The credential for Kubernetes could not be had${codeOf(error)}.`,
        hint: 'Check the files that the kubeconfig names, or the ServiceAccount of the pod.',
      });
    }
    const { ca, cert, key, servername } = options;
    const tls: TlsSettings = {
      rejectUnauthorized: options.rejectUnauthorized !== false,
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(servername === undefined ? {} : { servername }),
    };
    const digest = createHash('sha256');
    for (const part of [ca, cert, key, servername, String(tls.rejectUnauthorized)]) {
      const bytes = Buffer.from(part ?? '');
      digest.update(`${bytes.length}:`).update(bytes);
    }
    return { headers: headersOf(options), tls, trust: digest.digest('hex') };
  }

  /** Connections are kept while they are for the same trust. Streams have one each, beside those that requests wait for. */
  #agentFor(use: 'requests' | 'streams', { tls, trust }: Credentials, label: string): Agent {
    const known = this.#agents.get(use);
    if (known?.trust === trust) return known.agent;
    const old = known?.agent;
    const connect = buildConnector({ ...tls, allowH2: false, timeout: connectMilliseconds });
    const agent = new Agent({
      connect: (options, done) =>
        connect(options, (...[error, socket]) =>
          error === null ? done(null, socket) : done(connectError(label, error), null),
        ),
      connections: use === 'streams' ? null : connectionsAtOnce,
      pipelining: 1,
      allowH2: false,
      maxHeaderSize: maxHeaderBytes,
      // The deadline is for the whole.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    this.#agents.set(use, { trust, agent });
    // Ends when its requests have.
    void old?.close();
    return agent;
  }
}

const ownHeaders = { 'accept-encoding': 'identity', 'user-agent': 'strongroom' } as const;

function pathOf(server: URL, path: string): string {
  return `${server.pathname.replace(/\/$/, '')}${path}`;
}

/** The first of both; what comes later is dropped. */
function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
    if (signal.aborted) onAbort();
  });
}

function serverOf(config: KubeConfig, source = 'the configuration'): URL {
  const server = config.getCurrentCluster()?.server ?? '';
  if (!URL.canParse(server)) throw unusable(`${source} has no address of a server`);
  const url = new URL(server);
  const isLocal = /^(?:localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])$/.test(url.hostname);
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLocal)) return url;
  throw unusable(`the server in ${source} has no TLS, and is not on this machine`);
}

function headersOf({ headers = {}, auth }: HttpsOptions): Record<string, string> {
  const read = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value).trim()] as const);
  const basic = typeof auth === 'string' ? [['authorization', `Basic ${Buffer.from(auth).toString('base64')}`]] : [];
  return Object.fromEntries([...basic, ...read]) as Record<string, string>;
}

function connectError(label: string, error: Error): EgressError {
  const reason = reasonOf(error instanceof AggregateError ? error.errors[0] : error);
  const what = unreachable[reason ?? ''];
  return new EgressError('backend_unavailable', what === undefined ? 'tls' : 'reachable', {
    detail: `${label} ${what ?? 'has a certificate that is not trusted, or TLS could not be agreed on'}.`,
    ...(what === undefined ? { hint: 'Check the kubeconfig’s server and its certificate authority.' } : {}),
    ...(reason === undefined ? {} : { reason }),
  });
}

function unusable(what: string): EgressError {
  return new EgressError('validation_failed', 'address', {
    detail: `The store in Kubernetes can not be used: ${what}.`,
    hint: 'Set kubeconfigPath to a kubeconfig that works, or inCluster in a pod.',
  });
}

function codeOf(error: unknown): string {
  const reason = reasonOf(error);
  return reason === undefined ? '' : ` (${reason})`;
}
