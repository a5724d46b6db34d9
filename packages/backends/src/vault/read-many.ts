import { StrongroomError } from '@strongroom/contract/core';
import type { ErrorCode } from '@strongroom/contract/errors';
import pLimit from 'p-limit';
import type { VaultCall } from './client.ts';

export const readsAtOnce = 16;

/** What concerns one key alone; anything else concerns all of them. */
const ofOneKey: ReadonlySet<ErrorCode> = new Set([
  'backend_denied',
  'backend_malformed',
  'backend_deleted',
  'backend_limit',
  'reference_malformed',
  'validation_failed',
]);

/** Reads keys one by one, some at once. What fails for all of them ends the rest. */
export async function readMany<Answer>(
  keys: readonly string[],
  call: VaultCall,
  read: (key: string, call: VaultCall) => Promise<Answer>,
): Promise<Map<string, Answer | StrongroomError>> {
  const answer = async (key: string, shared: VaultCall): Promise<Answer | StrongroomError> => {
    try {
      return await read(key, shared);
    } catch (error) {
      if (error instanceof StrongroomError && ofOneKey.has(error.code)) return error;
      throw error;
    }
  };
  const answers = await mapAtOnce(
    [...new Set(keys)],
    call,
    async (key, shared) => [key, await answer(key, shared)] as const,
  );
  return new Map(answers);
}

/** The results in the order of the items. The first failure ends the rest. */
export async function mapAtOnce<Item, Result>(
  items: readonly Item[],
  call: VaultCall,
  run: (item: Item, call: VaultCall) => Promise<Result>,
): Promise<Result[]> {
  const [only] = items;
  // The usual call: there is no rest to end.
  if (only !== undefined && items.length === 1) return [await run(only, call)];
  const limit = pLimit(readsAtOnce);
  const stop = new AbortController();
  // One mark for all: many refused keys are one more log-in.
  const shared: VaultCall = {
    signal: AbortSignal.any([call.signal, stop.signal]),
    get hasLoggedInAgain() {
      return call.hasLoggedInAgain;
    },
    set hasLoggedInAgain(has) {
      call.hasLoggedInAgain = has;
    },
  };
  try {
    return await Promise.all(items.map((item) => limit(() => run(item, shared))));
  } catch (error) {
    limit.clearQueue();
    stop.abort();
    throw error;
  }
}
