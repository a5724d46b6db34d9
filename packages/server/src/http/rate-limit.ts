import { StrongroomError } from '@strongroom/contract';

const windowMilliseconds = 60_000;

/**
 * Requests a minute and key, in fixed windows, in this process alone: protection from one caller's loop, not a quota.
 * Keys beyond `maxKeys` within one window share a count, so that memory is bounded whoever calls.
 */
export class RateLimit {
  #counts = new Map<string, number>();
  #windowEnds = 0;
  readonly #maxKeys: number;
  readonly #now: () => number;

  constructor(options: { readonly maxKeys?: number; readonly now?: () => number } = {}) {
    this.#maxKeys = options.maxKeys ?? 100_000;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Counts one. @param what in the words of the detail @throws StrongroomError `throttled` when it is over `perMinute`, with the seconds to wait */
  count(key: string, perMinute: number, what = 'requests'): void {
    const now = this.#now();
    if (now >= this.#windowEnds) {
      this.#counts = new Map();
      this.#windowEnds = now + windowMilliseconds;
    }
    const known = this.#counts.get(key);
    const bucket = known === undefined && this.#counts.size >= this.#maxKeys ? 'everybody else' : key;
    const count = (bucket === key ? (known ?? 0) : (this.#counts.get(bucket) ?? 0)) + 1;
    this.#counts.set(bucket, count);
    if (count > perMinute)
      throw new StrongroomError('throttled', {
        detail: `More than ${perMinute} ${what} in a minute.`,
        retryAfterSeconds: Math.ceil((this.#windowEnds - now) / 1000),
      });
  }
}
