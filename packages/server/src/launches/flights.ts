import type { Fetched } from './sources/source.ts';

const late: Fetched = { kind: 'failed', failure: 'deadline' };

interface Waiter {
  readonly land: (fetched: Fetched) => void;
  readonly crash: (error: unknown) => void;
}

/**
 * Fetches in progress, so that a storm of launches asks a source once for each distinct value. Nothing is kept after a
 * fetch has ended: it is no cache. Whoever joins has been allowed on its own before.
 *
 * Each waiter gets a value of its own to destroy. A fetch doesn't belong to who began it: that one may leave without
 * ending it for the others.
 */
export class Flights {
  readonly #flights = new Map<string, Set<Waiter>>();

  /** How many fetches are in progress. */
  get size(): number {
    return this.#flights.size;
  }

  isFlying(key: string): boolean {
    return this.#flights.has(key);
  }

  /** Announces a fetch that {@link join} can be called for, from now until it has ended. */
  start(key: string, landed: Promise<Fetched>): void {
    const waiters = new Set<Waiter>();
    this.#flights.set(key, waiters);
    const end = (): void => {
      if (this.#flights.get(key) === waiters) this.#flights.delete(key);
    };
    landed.then(
      (fetched) => {
        end();
        handOut(fetched, waiters);
      },
      (error: unknown) => {
        end();
        for (const { crash } of waiters) crash(error);
      },
    );
  }

  /**
   * The own copy of what lands, or that it came too late when one of the signals aborts first. Call it in the same tick as
   * {@link start} or {@link isFlying}.
   */
  join(key: string, signals: readonly AbortSignal[]): Promise<Fetched> {
    const waiters = this.#flights.get(key);
    if (waiters === undefined) throw new TypeError('No such fetch is in progress');
    if (signals.some(({ aborted }) => aborted)) return Promise.resolve(late);
    const { promise, resolve, reject } = Promise.withResolvers<Fetched>();
    const forget = (): void => {
      for (const signal of signals) signal.removeEventListener('abort', leave);
    };
    const waiter: Waiter = {
      land(fetched) {
        forget();
        resolve(fetched);
      },
      crash(error) {
        forget();
        reject(error);
      },
    };
    const leave = (): void => {
      waiters.delete(waiter);
      waiter.land(late);
    };
    waiters.add(waiter);
    for (const signal of signals) signal.addEventListener('abort', leave, { once: true });
    return promise;
  }
}

/** The last one takes the original, so that a single waiter costs no copy. */
function handOut(fetched: Fetched, waiters: ReadonlySet<Waiter>): void {
  if (fetched.kind === 'value' && waiters.size === 0) fetched.value.destroy();
  let others = waiters.size;
  for (const { land } of waiters) {
    others -= 1;
    land(fetched.kind !== 'value' || others === 0 ? fetched : { ...fetched, value: fetched.value.copy() });
  }
}
