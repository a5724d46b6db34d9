/** Requests saved up beyond which nothing is added, in calls: a quiet hour must not pay for a storm of retries. */
const defaultMostCalls = 100;
const defaultCallsPerRetry = 5;

export interface RetryBudgetOptions {
  /** Calls that pay for one retry; 5 by default: at most 1.2 requests a call. */
  readonly callsPerRetry?: number;
  /** Calls that are remembered at most; 100 by default: at most 20 retries at once. */
  readonly mostCalls?: number;
}

/**
 * Retries as a share of the calls, for all that hold the same budget. It starts empty, so that the share holds from the first
 * call on: a backend that fails for everybody gets at most that much more to do, whoever retries.
 */
export class RetryBudget {
  readonly #callsPerRetry: number;
  readonly #mostCalls: number;
  #calls = 0;

  constructor({ callsPerRetry = defaultCallsPerRetry, mostCalls = defaultMostCalls }: RetryBudgetOptions = {}) {
    this.#callsPerRetry = callsPerRetry;
    this.#mostCalls = mostCalls;
  }

  /** Counts a call. */
  earn(): void {
    this.#calls = Math.min(this.#mostCalls, this.#calls + 1);
  }

  /** Takes a retry, if there is one. */
  spend(): boolean {
    if (this.#calls < this.#callsPerRetry) return false;
    this.#calls -= this.#callsPerRetry;
    return true;
  }
}
