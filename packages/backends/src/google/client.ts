import type { SecretManagerServiceClient } from '@google-cloud/secret-manager';
import { StrongroomError } from '@strongroom/contract/core';
import type { CallOptions } from 'google-gax';
import type { Egress } from '../egress/index.ts';
import { VendorFailure } from '../vendor-failure.ts';
import { untilAborted } from '../wrappers/deadline.ts';
import type { AccessTokens } from './access-tokens.ts';
import { checkEndpoint, type Endpoint } from './endpoint.ts';
import type { Exchange } from './exchange.ts';
import { googleFailure, isSaid, status } from './failures.ts';
import { callOptions, createSdk, type Sdk } from './sdk.ts';
import { Tunnel } from './tunnel.ts';

export interface GoogleClientParts {
  readonly egress: Egress;
  readonly endpoint: Endpoint;
  readonly tokens: AccessTokens;
  readonly ca: string | undefined;
}

type Run<Answer> = (sdk: SecretManagerServiceClient, options: CallOptions) => Promise<Answer>;

/** What Google says of a secret that can't be had, where that is no failure: there is none, or not in this state. */
export type Absence = 'absent' | 'not-enabled';

interface Opened {
  readonly tunnel: Tunnel;
  readonly sdk: Sdk;
}

/** A connection on which nothing came for so long, while a call waited to its end, is taken for dead. */
const silentMilliseconds = 2_000;

/** The SDK's client, with our identity, connections and errors. */
export class GoogleClient {
  readonly #parts: GoogleClientParts;
  #opened: Promise<Opened> | undefined;
  #isClosed = false;

  constructor(parts: GoogleClientParts) {
    this.#parts = parts;
  }

  /**
   * One request, a second one with another token when Google did not take the first.
   *
   * @param about what is asked for; completes the detail of errors
   * @throws StrongroomError for everything but the answer and what Google says of a secret that can't be had
   */
  async call<Answer extends object>(about: string, signal: AbortSignal, run: Run<Answer>): Promise<Answer | Absence> {
    const { tokens } = this.#parts;
    this.#assertUsable(signal);
    const token = await untilAborted(tokens.current(), signal);
    try {
      return await this.#attempt(about, signal, token, run);
    } catch (error) {
      if (!(error instanceof VendorFailure) || !error.isOfIdentity) throw error;
      tokens.drop(token);
    }
    return this.#attempt(about, signal, await untilAborted(tokens.current(), signal), run);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    // What could not be opened was said to the call that wanted it, and has nothing to close.
    const [opened] = await Promise.allSettled([this.#opened]);
    this.#opened = undefined;
    if (opened.status === 'rejected' || opened.value === undefined) return;
    const { sdk, tunnel } = opened.value;
    await sdk.client.close();
    await tunnel.close();
  }

  async #attempt<Answer extends object>(
    about: string,
    signal: AbortSignal,
    token: string,
    run: Run<Answer>,
  ): Promise<Answer | Absence> {
    const { sdk, tunnel } = await untilAborted(this.#open(), signal);
    const exchange: Exchange = { isForeign: false };
    const startedAt = performance.now();
    try {
      return await untilAborted(run(sdk.client, callOptions(token, exchange, signal)), signal);
    } catch (error) {
      if (isSaid(error, status.notFound, exchange)) return 'absent';
      if (isSaid(error, status.failedPrecondition, exchange)) return 'not-enabled';
      const isSilent = tunnel.heardAt < startedAt && performance.now() - startedAt > silentMilliseconds;
      const isDead = signal.aborted && isSilent;
      if (isDead) tunnel.drop();
      sdk.renew(isDead);
      throw googleFailure(error, exchange, tunnel.failure, about);
    }
  }

  #open(): Promise<Opened> {
    if (this.#isClosed) throw closed();
    this.#opened ??= this.#connect().catch((error: unknown) => {
      this.#opened = undefined;
      throw error;
    });
    return this.#opened;
  }

  async #connect(): Promise<Opened> {
    const { egress, endpoint, ca } = this.#parts;
    const { host, port, rules } = endpoint;
    // What goes through is TLS, of which the tunnel knows nothing.
    // It lasts as long as the client; the library limits each message.
    const lasting = { allowPlaintext: true, maxBytes: Number.POSITIVE_INFINITY };
    const connection = { host, port, ...rules, ...lasting };
    const tunnel = await Tunnel.open((signal) => egress.connectTcp({ ...connection, signal }));
    return { tunnel, sdk: createSdk({ host, port, path: tunnel.path, ca }) };
  }

  #assertUsable(signal: AbortSignal): void {
    const { egress, endpoint } = this.#parts;
    if (signal.aborted) throw new StrongroomError('deadline_exceeded', { detail: 'Google: the call was given up.' });
    if (this.#isClosed) throw closed();
    checkEndpoint(endpoint, egress);
  }
}

function closed(): StrongroomError {
  return new StrongroomError('shutting_down', { detail: 'The connection to Google is closed.' });
}
