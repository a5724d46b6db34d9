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
    const { bucket, counted } = this.#find(key);
    this.#counts.set(bucket, counted + 1);
    if (counted >= perMinute) throw this.#over(perMinute, what);
  }

  /** Counts none. @throws StrongroomError `throttled` when the next one would be over `perMinute` */
  requireRoom(key: string, perMinute: number, what = 'requests'): void {
    if (this.#find(key).counted >= perMinute) throw this.#over(perMinute, what);
  }

  #find(key: string): { readonly bucket: string; readonly counted: number } {
    const now = this.#now();
    if (now >= this.#windowEnds) {
      this.#counts = new Map();
      this.#windowEnds = now + windowMilliseconds;
    }
    const isKnown = this.#counts.has(key) || this.#counts.size < this.#maxKeys;
    const bucket = isKnown ? key : 'everybody else';
    return { bucket, counted: this.#counts.get(bucket) ?? 0 };
  }

  #over(perMinute: number, what: string): StrongroomError {
    return new StrongroomError('throttled', {
      detail: `More than ${perMinute} ${what} in a minute.`,
      retryAfterSeconds: Math.ceil((this.#windowEnds - this.#now()) / 1000),
    });
  }
}
