import { hash } from 'node:crypto';
import type { Socket } from 'node:net';
import type { buildConnector, Dispatcher, Pool } from 'undici';
import { type ConnectParts, openSocket, startTls } from './connect.ts';
import { Deadline } from './deadline.ts';
import type { EgressError } from './errors.ts';
import type { UseRules } from './policy.ts';
import type { CheckedUrl, Target } from './target.ts';

/** Where requests go and how; they share connections only where all of this is equal. */
export interface Place {
  readonly target: Target;
  readonly rules: UseRules;
  readonly ca: string | undefined;
  readonly isEncrypted: boolean;
  /** Its answers go on until somebody ends them: each has a connection of its own, beside those that requests wait for. */
  readonly isStream: boolean;
  /** Scheme, host and port in their one spelling. */
  readonly origin: string;
  /** Equal for equal places alone. */
  readonly key: string;
}

export interface OutgoingRequest {
  /** With the query. */
  readonly path: string;
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body: Buffer | null;
}

/** Takes what comes of a request, also when it can't be begun. */
export interface AnswerHandler extends Dispatcher.DispatchHandler {
  fail(error: unknown): void;
}

interface Kept {
  readonly pool: Pool;
  lastUse: number;
}

const maxPools = 256;
const maxDigests = 64;
const connectionsPerPlace = 16;
const connectMilliseconds = 5_000;
const maxHeaderBytes = 16 * 1024;

/** Connections that are kept open for a while, apart by where they go and what they trust. */
export class ConnectionPools {
  readonly #parts: ConnectParts;
  readonly #shutdown: AbortSignal;
  readonly #pools = new Map<string, Kept>();
  /** Digests of the CAs in use: a few, asked for with each request. */
  readonly #digests = new Map<string, string>();
  #PoolOfUndici: typeof Pool | undefined;
  #uses = 0;

  /** @param shutdown its reason is an EgressError */
  constructor(parts: ConnectParts, shutdown: AbortSignal) {
    this.#parts = parts;
    this.#shutdown = shutdown;
  }

  /** The place of a URL that was read and checked, as was its target by these rules. */
  place(
    url: CheckedUrl,
    target: Target,
    rules: UseRules,
    how: { readonly ca?: string; readonly isStream?: boolean },
  ): Place {
    const { ca, isStream = false } = how;
    // What is before the path of a URL in its one spelling.
    const origin = url.href.slice(0, -url.path.length);
    const digest = ca === undefined ? '' : this.#digestOf(ca);
    const key = JSON.stringify([origin, digest, rules.requireLoopback, rules.vendor, isStream]);
    return { target, rules, ca, isEncrypted: url.scheme === 'https', isStream, origin, key };
  }

  /** Starts a request; what comes of it is the handler's. */
  dispatch(place: Place, request: OutgoingRequest, handler: AnswerHandler): void {
    if (this.#PoolOfUndici === undefined)
      this.#load().then(
        () => this.#start(place, request, handler),
        (error: unknown) => handler.fail(error),
      );
    else this.#start(place, request, handler);
  }

  /** Ends what is under way with the reason of the shutdown. */
  async close(): Promise<void> {
    const pools = [...this.#pools.values()];
    this.#pools.clear();
    await Promise.all(pools.map(({ pool }) => pool.destroy(this.#shutdown.reason as EgressError)));
  }

  /** At the first request: a server without backends has no use for it. */
  async #load(): Promise<void> {
    const { Pool } = await import('undici');
    this.#PoolOfUndici = Pool;
  }

  #start(place: Place, request: OutgoingRequest, handler: AnswerHandler): void {
    try {
      this.#shutdown.throwIfAborted();
      const kept = this.#pools.get(place.key) ?? this.#create(place);
      kept.lastUse = this.#uses += 1;
      kept.pool.dispatch(request, handler);
    } catch (error) {
      handler.fail(error);
    }
  }

  #create(place: Place): Kept {
    if (this.#PoolOfUndici === undefined) throw new TypeError('The client is not loaded');
    const pool = new this.#PoolOfUndici(place.origin, {
      connect: (_options, done) => void this.#answer(place, done),
      // `null`: as many as are asked for.
      connections: place.isStream ? null : connectionsPerPlace,
      pipelining: 1,
      allowH2: false,
      maxHeaderSize: maxHeaderBytes,
      // The collector's deadline is for the whole.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    const kept = { pool, lastUse: 0 };
    if (this.#pools.size >= maxPools) this.#dropOldest();
    this.#pools.set(place.key, kept);
    return kept;
  }

  /** What is under way in it comes to its end. */
  #dropOldest(): void {
    let oldest: readonly [string, Kept] | undefined;
    for (const entry of this.#pools) if (oldest === undefined || entry[1].lastUse < oldest[1].lastUse) oldest = entry;
    if (oldest === undefined) return;
    this.#pools.delete(oldest[0]);
    void oldest[1].pool.close();
  }

  #digestOf(ca: string): string {
    const known = this.#digests.get(ca);
    if (known !== undefined) return known;
    if (this.#digests.size >= maxDigests) this.#digests.clear();
    const digest = hash('sha256', ca);
    this.#digests.set(ca, digest);
    return digest;
  }

  async #answer(place: Place, done: buildConnector.Callback): Promise<void> {
    let socket: Socket;
    try {
      socket = await this.#connect(place);
    } catch (error) {
      return done(error as Error, null);
    }
    done(null, socket);
  }

  /** In the place of undici's connector, so that what it connects to is what was checked, for addresses as for names. */
  async #connect({ target, rules, ca, isEncrypted }: Place): Promise<Socket> {
    using deadline = new Deadline(connectMilliseconds, target.label, [this.#shutdown]);
    const socket = await openSocket(this.#parts, target, rules, deadline.signal);
    if (!isEncrypted) return socket;
    deadline.step = 'tls';
    const tls = { ...(ca === undefined ? {} : { ca }), protocol: 'http/1.1' };
    return await startTls(socket, target, tls, deadline.signal);
  }
}
