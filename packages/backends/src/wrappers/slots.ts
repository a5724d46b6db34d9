import { deadlineExceeded } from './deadline.ts';

/** So much work at once; the rest waits in order. */
export class Slots {
  #free: number;
  /** Each takes a slot, or answers `false` when it doesn't need one any more. */
  readonly #waiting: (() => boolean)[] = [];

  constructor(atOnce: number) {
    this.#free = atOnce;
  }

  /**
   * The work's outcome, or `deadline_exceeded` at once when the signal aborts: work that waits is not begun then, work that
   * ignores the signal keeps its slot until it ends.
   */
  run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    if (signal.aborted) return Promise.reject(deadlineExceeded());
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const giveUp = (): void => reject(deadlineExceeded());
    const succeed = (result: T): void => {
      resolve(result);
      end();
    };
    const fail = (error: unknown): void => {
      reject(error);
      end();
    };
    const end = (): void => {
      signal.removeEventListener('abort', giveUp);
      this.#give();
    };
    const begin = (): boolean => {
      if (signal.aborted) return false;
      // What it throws before there is a promise is its outcome, too.
      void (async () => work())().then(succeed, fail);
      return true;
    };
    signal.addEventListener('abort', giveUp, { once: true });
    if (this.#free > 0) {
      this.#free -= 1;
      begin();
    } else this.#waiting.push(begin);
    return promise;
  }

  /** A slot that was taken goes to the next who still needs it. */
  #give(): void {
    for (;;) {
      const begin = this.#waiting.shift();
      if (begin === undefined) {
        this.#free += 1;
        return;
      }
      if (begin()) return;
    }
  }
}
