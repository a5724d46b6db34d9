import { AsyncLocalStorage } from 'node:async_hooks';
import type { StrongroomError } from '@strongroom/contract/core';

/**
 * What became of the last request of one piece of work. The SDK's errors hold the request and the answer, those of its
 * sign-in neither says what happened nor keeps our errors: they are made from this.
 */
export interface Exchange {
  /** Why there was no answer. */
  failure?: StrongroomError;
  status?: number;
  retryAfterSeconds?: number | undefined;
  /** Codes of the answer's error, outer and inner. */
  codes?: readonly string[];
  /** Of a page: where the next one is. */
  nextLink?: unknown;
}

const current = new AsyncLocalStorage<Exchange>();

/** Does work and keeps what its last request came to. */
export function recorded<T>(work: (exchange: Exchange) => Promise<T>): Promise<T> {
  const exchange: Exchange = {};
  return current.run(exchange, () => work(exchange));
}

export function record(outcome: Exchange): void {
  const exchange = current.getStore();
  if (exchange === undefined) return;
  delete exchange.failure;
  delete exchange.status;
  delete exchange.codes;
  delete exchange.nextLink;
  Object.assign(exchange, outcome);
}
