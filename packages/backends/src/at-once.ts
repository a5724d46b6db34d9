import { StrongroomError } from '@strongroom/contract/core';
import type { ErrorCode } from '@strongroom/contract/errors';
import pLimit from 'p-limit';

/** What concerns one key alone; anything else concerns all of them. */
const ofOneKey: ReadonlySet<ErrorCode> = new Set([
  'backend_denied',
  'backend_malformed',
  'backend_deleted',
  'backend_limit',
  'reference_malformed',
  'validation_failed',
]);

/** The results in the order of the items, so many at once. The first failure ends the rest. */
export async function mapAtOnce<Item, Result>(
  items: readonly Item[],
  atOnce: number,
  signal: AbortSignal,
  run: (item: Item, signal: AbortSignal) => Promise<Result>,
): Promise<Result[]> {
  const [only] = items;
  // The usual call: there is no rest to end.
  if (only !== undefined && items.length === 1) return [await run(only, signal)];
  const limit = pLimit(atOnce);
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  try {
    return await Promise.all(items.map((item) => limit(() => run(item, both))));
  } catch (error) {
    limit.clearQueue();
    stop.abort();
    throw error;
  }
}

/** An answer, or the error when it concerns just this key. */
export async function answerOrError<T>(read: () => T | Promise<T>): Promise<T | StrongroomError> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof StrongroomError && ofOneKey.has(error.code)) return error;
    throw error;
  }
}
