import { SecretValue } from '@strongroom/crypto';
import type { Fetched } from './sources/source.ts';

const late: Fetched = { kind: 'failed', failure: 'deadline' };

interface Flight {
  readonly landed: Promise<Fetched>;
  waiters: number;
}

/**
 * Fetches in progress, so that a storm of launches asks a source once for each distinct value. Nothing is kept after a
 * fetch has ended: it is no cache. Whoever joins has been allowed on its own before.
 *
 * Each waiter gets a value of its own to destroy. A fetch doesn't belong to who began it: that one may leave without
 * ending it for the others.
 */
export class Flights {
  readonly #flights = new Map<string, Flight>();

  /** How many fetches are in progress. */
  get size(): number {
    return this.#flights.size;
  }

  isFlying(key: string): boolean {
    return this.#flights.has(key);
  }

  /** Announces a fetch that {@link join} can be called for, from now until it has ended. */
  start(key: string, landed: Promise<Fetched>): void {
    const flight: Flight = { landed, waiters: 0 };
    this.#flights.set(key, flight);
    const end = (): void => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    };
    landed.then(end, end);
  }

  /** The own copy of what lands. Call it in the same tick as {@link start} or {@link isFlying}. */
  async join(key: string, signal: AbortSignal): Promise<Fetched> {
    const flight = this.#flights.get(key);
    if (flight === undefined) throw new TypeError('No such fetch is in progress');
    if (signal.aborted) return late;
    flight.waiters += 1;
    const own = flight.landed.then((fetched) => {
      flight.waiters -= 1;
      if (fetched.kind !== 'value') return fetched;
      // The last one takes the original, so that a single waiter costs no copy.
      const mine = flight.waiters === 0 ? fetched : { ...fetched, value: copyOf(fetched.value) };
      if (!signal.aborted) return mine;
      mine.value.destroy();
      return late;
    });
    return unlessAborted(own, signal);
  }
}

function copyOf(value: SecretValue): SecretValue {
  const bytes = value.reveal();
  try {
    return SecretValue.fromBytes(bytes);
  } finally {
    bytes.fill(0);
  }
}

async function unlessAborted(own: Promise<Fetched>, signal: AbortSignal): Promise<Fetched> {
  const { promise, resolve } = Promise.withResolvers<Fetched>();
  const leave = (): void => resolve(late);
  signal.addEventListener('abort', leave, { once: true });
  try {
    return await Promise.race([own, promise]);
  } finally {
    signal.removeEventListener('abort', leave);
  }
}

/** At most `limit` tasks at once; the rest wait in order. */
export class Gate {
  readonly #limit: number;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#limit) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running += 1;
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}
