import { StrongroomError } from '@strongroom/contract/core';
import type { SecretValue } from '@strongroom/crypto';
import type { VaultAnswer, VaultConnection, VaultMethod } from './connection.ts';
import { explained, failureOf } from './failures.ts';
import type { CachedToken, CallState, TokenCache } from './token-cache.ts';

/** One call of a backend, over as many requests as it takes. */
export interface VaultCall extends CallState {
  readonly signal: AbortSignal;
}

export function startCall(signal: AbortSignal): VaultCall {
  if (signal.aborted) throw new StrongroomError('deadline_exceeded', { detail: 'Vault: the call was given up.' });
  return { signal, hasLoggedInAgain: false };
}

export interface ClientRequest {
  readonly query?: string;
  readonly body?: SecretValue;
  readonly maxBytes?: number;
  /** For the detail of errors: what is asked for. */
  readonly about: string;
  /** Statuses that are answers for the caller; everything else above 299 is thrown. */
  readonly answers?: readonly number[];
}

/** Requests with a token, which is had anew once when it is refused. */
export class VaultClient {
  readonly connection: VaultConnection;
  readonly tokens: TokenCache;

  constructor(connection: VaultConnection, tokens: TokenCache) {
    this.connection = connection;
    this.tokens = tokens;
  }

  /** @throws StrongroomError for everything but success and the statuses that the caller takes as answers */
  async send(method: VaultMethod, path: string, request: ClientRequest, call: VaultCall): Promise<VaultAnswer> {
    const token = this.tokens.kept() ?? (await this.tokens.current(call.signal));
    let answer = await this.#sendWith(token, method, path, request, call);
    if (answer.status === 403) answer = (await this.#sendAgain(token, method, path, request, call)) ?? answer;
    if (answer.status < 300 || request.answers?.includes(answer.status) === true) return answer;
    throw await failureOf(answer, request.about, this.connection, call.signal);
  }

  /** `null` where another token would change nothing. */
  async #sendAgain(
    refused: CachedToken,
    method: VaultMethod,
    path: string,
    request: ClientRequest,
    call: VaultCall,
  ): Promise<VaultAnswer | null> {
    const token = await this.tokens.afterRefusal(refused, path, call, call.signal);
    if (token === null) return null;
    const again = await this.#sendWith(token, method, path, request, call);
    if (again.status === 403) this.tokens.noteDenied(path, token);
    return again;
  }

  async #sendWith(
    { value }: CachedToken,
    method: VaultMethod,
    path: string,
    { query, body, maxBytes }: ClientRequest,
    { signal }: VaultCall,
  ): Promise<VaultAnswer> {
    this.tokens.assertOpen();
    try {
      return await this.connection.send(method, path, { signal, token: value, query, body, maxBytes });
    } catch (error) {
      throw await explained(error, this.connection, signal);
    }
  }
}
