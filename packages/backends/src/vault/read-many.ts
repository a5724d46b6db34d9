import type { StrongroomError } from '@strongroom/contract/core';
import { answerOrError, mapAtOnce as mapSignalled } from '../at-once.ts';
import type { VaultCall } from './client.ts';

export const readsAtOnce = 16;

/** Reads keys one by one, some at once. What fails for all of them ends the rest. */
export async function readMany<Answer>(
  keys: readonly string[],
  call: VaultCall,
  read: (key: string, call: VaultCall) => Promise<Answer>,
): Promise<Map<string, Answer | StrongroomError>> {
  const distinct = keys.length === 1 ? keys : [...new Set(keys)];
  const answers = await mapAtOnce(distinct, call, (key, shared) => answerOrError(() => read(key, shared)));
  return new Map(distinct.map((key, index) => [key, answers[index] as Answer | StrongroomError]));
}

/** The results in the order of the items. The first failure ends the rest. */
export async function mapAtOnce<Item, Result>(
  items: readonly Item[],
  call: VaultCall,
  run: (item: Item, call: VaultCall) => Promise<Result>,
): Promise<Result[]> {
  return mapSignalled(items, readsAtOnce, call.signal, (item, signal) =>
    run(item, signal === call.signal ? call : within(call, signal)),
  );
}

/** A part of a call, ended by its own signal, too. One mark for all parts: many refused keys are one more log-in. */
function within(call: VaultCall, signal: AbortSignal): VaultCall {
  return {
    signal,
    get hasLoggedInAgain() {
      return call.hasLoggedInAgain;
    },
    set hasLoggedInAgain(has) {
      call.hasLoggedInAgain = has;
    },
  };
}
