import { StrongroomError } from '@strongroom/contract/core';

export interface Deadline {
  readonly signal: AbortSignal;
  /** Of the monotonic clock, milliseconds. */
  readonly endsAt: number;
}

/** Does work whose signal aborts with the caller's, or after so many milliseconds. Leaves no timer behind. */
export async function withDeadline<T>(
  signal: AbortSignal,
  ms: number,
  work: (deadline: Deadline) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const abort = () => controller.abort();
  const timer = setTimeout(abort, ms);
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort, { once: true });
  try {
    return await work({ signal: controller.signal, endsAt: performance.now() + ms });
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}

/**
 * The work's outcome, or `deadline_exceeded` at once when the signal aborts. The work goes on then if it ignores the signal;
 * how it ends is of no interest any more.
 */
export async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = () => reject(deadlineExceeded());
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([promise, work]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** Waits, or ends with `deadline_exceeded` when the signal aborts. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), ms);
  try {
    await untilAborted(promise, signal);
  } finally {
    clearTimeout(timer);
  }
}

export function deadlineExceeded(): StrongroomError {
  return new StrongroomError('deadline_exceeded', { detail: 'The backend did not answer in time' });
}
