import { deadlineExceeded } from './deadline.ts';

/** So much work at once; the rest waits in order. */
export class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(atOnce: number) {
    this.#free = atOnce;
  }

  /**
   * The work's outcome, or `deadline_exceeded` at once when the signal aborts: work that waits is not begun then, work that
   * ignores the signal keeps its slot until it ends.
   */
  run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const giveUp = (): void => reject(deadlineExceeded());
    const end = (): void => {
      signal.removeEventListener('abort', giveUp);
      this.#next();
    };
    const begin = (): void => {
      if (signal.aborted) return end();
      work().then(
        (result) => {
          resolve(result);
          end();
        },
        (error: unknown) => {
          reject(error);
          end();
        },
      );
    };
    if (signal.aborted) giveUp();
    else {
      signal.addEventListener('abort', giveUp, { once: true });
      if (this.#free > 0) {
        this.#free -= 1;
        begin();
      } else this.#waiting.push(begin);
    }
    return promise;
  }

  #next(): void {
    const begin = this.#waiting.shift();
    if (begin === undefined) this.#free += 1;
    else begin();
  }
}
