import { hash } from 'node:crypto';
import type { Socket } from 'node:net';
import type { Agent, buildConnector, Dispatcher } from 'undici';
import { type ConnectParts, openSocket, startTls } from './connect.ts';
import { startDeadline } from './deadline.ts';
import type { UseRules } from './policy.ts';
import { type CheckedUrl, parseTarget } from './target.ts';

/** Requests share connections only where all of this is equal. */
export interface AgentRules {
  readonly rules: UseRules;
  readonly ca: string | undefined;
  /** Its answer goes on until somebody ends it: it has a connection of its own, beside those that requests wait for. */
  readonly isStream?: boolean;
}

export interface OutgoingRequest {
  readonly url: CheckedUrl;
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body: Buffer | null;
}

/** Takes what comes of a request, also when it can't be begun. */
export interface AnswerHandler extends Dispatcher.DispatchHandler {
  fail(error: unknown): void;
}

/** What undici asks its connector for. */
interface ConnectorOptions {
  readonly hostname: string;
  readonly port: string;
  readonly protocol: string;
}

const maxAgents = 64;
const connectionsPerOrigin = 16;
const connectMilliseconds = 5_000;
const maxHeaderBytes = 16 * 1024;

/** Connections that are kept open for a while, apart by what they trust and where they may go. */
export class AgentPool {
  readonly #parts: ConnectParts;
  readonly #shutdown: AbortSignal;
  /** The least recently used first. */
  readonly #agents = new Map<string, Promise<Agent>>();
  /** Digests of the CAs in use: a few, asked for with each request. */
  readonly #digests = new Map<string, string>();

  constructor(parts: ConnectParts, shutdown: AbortSignal) {
    this.#parts = parts;
    this.#shutdown = shutdown;
  }

  /** Starts a request; what comes of it is the collector's. */
  async dispatch(request: OutgoingRequest, rules: AgentRules, collector: AnswerHandler): Promise<void> {
    const { url, method, headers, body } = request;
    try {
      const agent = await this.#agent(rules);
      // What is before the path of a URL in its one spelling.
      const origin = url.href.slice(0, -url.path.length);
      agent.dispatch({ origin, path: url.path, method, headers, body }, collector);
    } catch (error) {
      collector.fail(error);
    }
  }

  async close(): Promise<void> {
    const agents = [...this.#agents.values()];
    this.#agents.clear();
    await Promise.all(agents.map(async (agent) => (await agent).destroy()));
  }

  #agent({ rules, ca, isStream = false }: AgentRules): Promise<Agent> {
    const digest = ca === undefined ? '' : this.#digestOf(ca);
    const key = JSON.stringify([digest, rules.requireLoopback, rules.vendor, isStream]);
    const agent = this.#agents.get(key) ?? this.#create(rules, ca, isStream ? null : connectionsPerOrigin);
    this.#agents.delete(key);
    this.#agents.set(key, agent);
    for (const [oldest, unused] of this.#agents) {
      if (this.#agents.size <= maxAgents) break;
      this.#agents.delete(oldest);
      void unused.then((old) => old.close());
    }
    return agent;
  }

  #digestOf(ca: string): string {
    const known = this.#digests.get(ca);
    if (known !== undefined) return known;
    if (this.#digests.size >= maxAgents) this.#digests.clear();
    const digest = hash('sha256', ca);
    this.#digests.set(ca, digest);
    return digest;
  }

  /** @param connections `null`: as many as are asked for */
  async #create(rules: UseRules, ca: string | undefined, connections: number | null): Promise<Agent> {
    // Loaded at the first request: a server without backends has no use for it.
    const { Agent } = await import('undici');
    return new Agent({
      connect: (options, done) => void this.#answer(options, rules, ca, done),
      connections,
      pipelining: 1,
      allowH2: false,
      maxHeaderSize: maxHeaderBytes,
      // The collector's deadline is for the whole.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  async #answer(
    options: ConnectorOptions,
    rules: UseRules,
    ca: string | undefined,
    done: buildConnector.Callback,
  ): Promise<void> {
    let socket: Socket;
    try {
      socket = await this.#connect(options, rules, ca);
    } catch (error) {
      return done(error as Error, null);
    }
    done(null, socket);
  }

  /** In the place of undici's connector, so that what it connects to is what was checked, for addresses as for names. */
  async #connect({ hostname, port, protocol }: ConnectorOptions, rules: UseRules, ca: string | undefined) {
    const isEncrypted = protocol === 'https:';
    const target = parseTarget(hostname, port === '' ? (isEncrypted ? 443 : 80) : Number(port));
    using deadline = startDeadline(connectMilliseconds, target.label, [this.#shutdown]);
    const socket = await openSocket(this.#parts, target, rules, deadline.signal);
    if (!isEncrypted) return socket;
    deadline.step = 'tls';
    return await startTls(
      socket,
      target,
      { ...(ca === undefined ? {} : { ca }), protocol: 'http/1.1' },
      deadline.signal,
    );
  }
}
