import type { HeldLease } from '../store/leases.ts';
import { withLease } from '../store/leases.ts';
import type { Store } from '../store/store.ts';
import type { Log } from './log.ts';

/** Work that one server of all those over a database does now and then. */
export interface PeriodicJob {
  /** Of the lease too; kebab-case. */
  readonly name: string;
  readonly everyMilliseconds: number;
  /** Must stop soon after `lease.signal` aborts. It runs again later, so it may stop anywhere. */
  readonly run: (lease: HeldLease) => Promise<void>;
}

const leaseMilliseconds = 30_000;
/** The first round comes soon after the start, but not while everything else starts too. */
const firstMilliseconds = 5_000;

/** Runs periodic jobs, each under a lease of its own, never two rounds of one at a time. */
export class Scheduler {
  readonly #store: Pick<Store, 'execute'>;
  readonly #holder: string;
  readonly #log: Log;
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #running = new Set<Promise<void>>();
  readonly #stop = new AbortController();

  /** @param holder unique per process start */
  constructor(store: Pick<Store, 'execute'>, holder: string, log: Log) {
    this.#store = store;
    this.#holder = holder;
    this.#log = log;
  }

  start(jobs: readonly PeriodicJob[]): void {
    for (const job of jobs) this.#schedule(job, Math.min(job.everyMilliseconds, firstMilliseconds));
  }

  /** Lets rounds that run come to their end. */
  async stop(): Promise<void> {
    this.#stop.abort();
    for (const timer of this.#timers) clearTimeout(timer);
    await Promise.all(this.#running);
  }

  #schedule(job: PeriodicJob, milliseconds: number): void {
    if (this.#stop.signal.aborted) return;
    // A tenth of jitter, so that servers started together don't ask together for ever.
    const wait = milliseconds * (0.95 + Math.random() * 0.1);
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      const round = this.#round(job).then((isDone) => {
        this.#running.delete(round);
        // Who holds the lease may be gone: a server that was killed lets go of it only when it expires.
        this.#schedule(job, isDone ? job.everyMilliseconds : Math.min(job.everyMilliseconds, leaseMilliseconds));
      });
      this.#running.add(round);
    }, wait).unref();
    this.#timers.add(timer);
  }

  /** @returns whether there was one; false: somebody else has the lease */
  async #round(job: PeriodicJob): Promise<boolean> {
    try {
      const { held } = await withLease(this.#store, `job.${job.name}`, this.#holder, leaseMilliseconds, (lease) =>
        job.run({ ...lease, signal: AbortSignal.any([lease.signal, this.#stop.signal]) }),
      );
      return held;
    } catch (error) {
      this.#log.warn({ job: job.name, error }, 'background work failed; it is tried again');
      return true;
    }
  }
}
