import { StrongroomError } from '@strongroom/contract';
import { Slots } from '../slots.ts';
import type { RouteRequest } from './route-request.ts';

const maxSweepMilliseconds = 1_000;

/** The requests under way: their deadline, and the end of all of them when the server stops. */
export class InFlight {
  readonly #requests = new Slots<RouteRequest>();
  readonly #deadlineMilliseconds: number;
  readonly #fail: (request: RouteRequest, error: StrongroomError) => void;
  #sweeper: NodeJS.Timeout | undefined;
  #isStopping = false;
  #onEmpty: (() => void) | undefined;

  /** @param fail answers a request that has no answer yet */
  constructor(deadlineMilliseconds: number, fail: (request: RouteRequest, error: StrongroomError) => void) {
    this.#deadlineMilliseconds = deadlineMilliseconds;
    this.#fail = fail;
  }

  get size(): number {
    return this.#requests.size;
  }

  get isStopping(): boolean {
    return this.#isStopping;
  }

  /** @returns what to call when it is over */
  add(request: RouteRequest): () => void {
    const slot = this.#requests.add(request);
    // One timer for all instead of one each.
    this.#sweeper ??= setInterval(
      () => this.#expire(),
      Math.min(maxSweepMilliseconds, this.#deadlineMilliseconds),
    ).unref();
    return () => {
      this.#requests.take(slot);
      if (this.#requests.size === 0) this.#onEmpty?.();
    };
  }

  /** Refuses new requests, ends streams at once, and resolves when the others are answered or the time is over. */
  async stop(graceMilliseconds: number): Promise<void> {
    this.#isStopping = true;
    for (const request of this.#requests.all())
      if (request.isAnswered) request.abort(new StrongroomError('shutting_down'));
    if (this.#requests.size > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, graceMilliseconds);
      this.#onEmpty = resolve;
      await promise;
      clearTimeout(timer);
    }
    clearInterval(this.#sweeper);
    for (const request of this.#requests.all()) this.#end(request, new StrongroomError('shutting_down'));
  }

  #expire(): void {
    const latest = performance.now() - this.#deadlineMilliseconds;
    for (const request of this.#requests.all())
      if (request.startedAt <= latest && !request.isAnswered)
        this.#end(request, new StrongroomError('deadline_exceeded'));
  }

  #end(request: RouteRequest, error: StrongroomError): void {
    request.abort(error);
    if (!request.isAnswered) this.#fail(request, error);
  }
}
