import { StrongroomError } from '@strongroom/contract/core';
import type { SecretValue } from '@strongroom/crypto';
import type { IssuedToken, SignIn } from './sign-in.ts';

/** A token of the cache. Later ones have greater numbers. */
export interface CachedToken {
  readonly value: SecretValue;
  readonly number: number;
}

interface Kept extends CachedToken {
  readonly endsAt: number;
  usesLeft: number;
}

/** What one call of the backend has done so far about refusals. */
export interface CallState {
  hasLoggedInAgain: boolean;
}

const longestMilliseconds = 60_000;
/** Of a log-in, whose callers may have gone. */
const logInMilliseconds = 15_000;
const maxDenied = 1000;

/**
 * The token of one backend: logged in for once by however many wait, kept for 80 % of its lease and at most a minute.
 * A new revision of an integration is a new backend, so an edit begins without a token.
 */
export class TokenCache {
  readonly #signIn: SignIn;
  /** Milliseconds of a clock that nobody sets. */
  readonly #clock: () => number;
  readonly #closing = new AbortController();
  #token: Kept | undefined;
  #flight: Promise<Kept> | undefined;
  #count = 0;
  /** Paths that a fresh token was refused for: another log-in would not help. */
  #denied = new Set<string>();

  constructor(signIn: SignIn, clock: () => number = () => performance.now()) {
    this.#signIn = signIn;
    this.#clock = clock;
  }

  /** The one there is, for one request; `undefined` when there is none. @throws StrongroomError `shutting_down` */
  kept(): CachedToken | undefined {
    this.assertOpen();
    const kept = this.#token;
    if (kept === undefined || kept.usesLeft <= 0 || this.#clock() >= kept.endsAt) return undefined;
    kept.usesLeft -= 1;
    return kept;
  }

  /**
   * The one there is, or that of a log-in.
   *
   * @throws StrongroomError what the log-in throws; `deadline_exceeded` when the signal ends first; `shutting_down`
   */
  async current(signal: AbortSignal): Promise<CachedToken> {
    const kept = this.kept();
    if (kept !== undefined) return kept;
    const token = await abortable(this.#logIn(), signal);
    token.usesLeft -= 1;
    return token;
  }

  /**
   * After a refusal: the token to try once more with, or `null` when another one would change nothing. A call of the
   * backend logs in again once at most, and not for a path that was refused to a fresh token before.
   */
  async afterRefusal(
    refused: CachedToken,
    path: string,
    call: CallState,
    signal: AbortSignal,
  ): Promise<CachedToken | null> {
    if (!this.#signIn.isRenewable) return null;
    if ((this.#token?.number ?? 0) > refused.number || this.#flight !== undefined) return this.current(signal);
    if (call.hasLoggedInAgain || this.#denied.has(path)) return null;
    call.hasLoggedInAgain = true;
    this.#token = undefined;
    return this.current(signal);
  }

  /** A token that was just issued is refused for the path, too: it is the policy. */
  noteDenied(path: string, token: CachedToken): void {
    if (token.number === this.#token?.number && this.#denied.size < maxDenied) this.#denied.add(path);
  }

  /** @throws StrongroomError `shutting_down`; tokens that were given out are gone, too */
  assertOpen(): void {
    if (this.#closing.signal.aborted) throw closed();
  }

  close(): void {
    this.#closing.abort(closed());
    this.#token?.value.destroy();
    this.#token = undefined;
  }

  /** One log-in at a time. It goes on when one of its callers leaves, and ends by itself. */
  #logIn(): Promise<Kept> {
    this.#flight ??= this.#obtain().finally(() => {
      this.#flight = undefined;
    });
    return this.#flight;
  }

  async #obtain(): Promise<Kept> {
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(logInMilliseconds)]);
    const startedAt = this.#clock();
    const issued = await abortable(this.#signIn.obtain(signal), signal);
    this.#count += 1;
    this.#denied = new Set();
    const kept: Kept = {
      value: issued.value,
      number: this.#count,
      endsAt: startedAt + keptMilliseconds(issued),
      usesLeft: issued.uses === 0 ? Infinity : issued.uses,
    };
    this.#token = kept;
    return kept;
  }
}

function keptMilliseconds({ leaseSeconds }: IssuedToken): number {
  return leaseSeconds === 0 ? longestMilliseconds : Math.min(leaseSeconds * 800, longestMilliseconds);
}

function closed(): StrongroomError {
  return new StrongroomError('shutting_down', { detail: 'This connection to Vault was closed.' });
}

/** The result, unless the signal ends first. */
async function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => {
    const reason: unknown = signal.reason;
    const isOurs = reason instanceof StrongroomError;
    reject(isOurs ? reason : new StrongroomError('deadline_exceeded', { detail: 'Vault: the log-in took too long.' }));
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, work]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
