import { setMaxListeners } from 'node:events';

/** Each listener that is added is compared with those that are there. */
const mostUses = 100;

/** Ends of pieces of work that all have the same time: a signal for many of them, in the place of one timer for each. */
export class SharedDeadline {
  readonly #milliseconds: number;
  readonly #shareMilliseconds: number;
  #current: { readonly signal: AbortSignal; readonly sharedUntil: number; uses: number } | undefined;

  /** @param shareMilliseconds who begins within this time shares a signal, and has so much more time at most */
  constructor(milliseconds: number, shareMilliseconds = 1_000) {
    this.#milliseconds = milliseconds;
    this.#shareMilliseconds = shareMilliseconds;
  }

  /** Aborts that many milliseconds from now, or a little later. Nobody else aborts it, and it keeps no process alive. */
  get signal(): AbortSignal {
    const now = performance.now();
    if (this.#current === undefined || now >= this.#current.sharedUntil || this.#current.uses >= mostUses) {
      const controller = new AbortController();
      setMaxListeners(0, controller.signal);
      setTimeout(() => controller.abort(), this.#milliseconds + this.#shareMilliseconds).unref();
      this.#current = { signal: controller.signal, sharedUntil: now + this.#shareMilliseconds, uses: 0 };
    }
    this.#current.uses += 1;
    return this.#current.signal;
  }
}
