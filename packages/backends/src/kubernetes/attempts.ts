import { setTimeout as wait } from 'node:timers/promises';
import { StrongroomError } from '@strongroom/contract/core';
import type { Expectation } from '../backend.ts';
import { EgressError } from '../egress/errors.ts';

const mostAttempts = 20;
/** Writers that came at the same time come apart. */
const pauseMilliseconds = 15;

/**
 * Reads, changes and writes until nobody else wrote in between; each attempt begins with what is there by then.
 *
 * @throws StrongroomError `version_conflict` when others always came first
 */
export async function attempt<Result>(
  signal: AbortSignal,
  once: () => Promise<{ readonly done: Result } | 'conflict'>,
): Promise<Result> {
  for (let attempts = 1; attempts <= mostAttempts; attempts += 1) {
    const outcome = await once();
    if (outcome !== 'conflict') return outcome.done;
    await pause(Math.random() * pauseMilliseconds * attempts, signal);
  }
  throw conflict('Others wrote the Secret all the time.');
}

/** @param found of the entry that is there; `null` when there is none */
export function assertExpected(
  expect: Expectation,
  found: { readonly version: string | null; readonly intentId?: string | undefined } | null,
): void {
  const isAsExpected = {
    any: () => true,
    absent: () => found === null,
    version: () => found !== null && expect.kind === 'version' && found.version === expect.version,
    intent: () => found !== null && expect.kind === 'intent' && found.intentId === expect.intentId,
  }[expect.kind]();
  if (!isAsExpected) throw conflict('The Secret does not have what the write expects.');
}

export function conflict(detail: string): StrongroomError {
  return new StrongroomError('version_conflict', { detail });
}

async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  try {
    await wait(milliseconds, undefined, { signal });
  } catch {
    if (signal.reason instanceof StrongroomError) throw signal.reason;
    throw new EgressError('deadline_exceeded', 'answer', { detail: 'The write was given up before it ended.' });
  }
}
