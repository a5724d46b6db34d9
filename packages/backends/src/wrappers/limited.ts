import { StrongroomError } from '@strongroom/contract/core';
import type { ErrorCode } from '@strongroom/contract/errors';
import type { Backend, CheckLine } from '../backend.ts';
import { type Deadline, pause, withDeadline } from './deadline.ts';
import { type BackendMethod, intercept } from './intercept.ts';
import { RetryBudget } from './retry-budget.ts';
import { Slots } from './slots.ts';

export interface LimitedOptions {
  /** Requests at once; 16 by default. What exceeds it waits, within its deadline. */
  readonly maxConcurrent?: number;
  /** Milliseconds for a call with all its waiting and retries; 10,000 by default. */
  readonly deadlineMs?: number;
  /** Requests for one call at most; 3 by default. */
  readonly maxAttempts?: number;
  /** The first retry waits up to so many milliseconds, the next up to twice that; 100 by default. */
  readonly backoffMs?: number;
  /** Milliseconds that a retry waits at most, unless the backend asks for more; 2,000 by default. */
  readonly maxBackoffMs?: number;
  /** Shared with other backends, or one of its own. */
  readonly budget?: RetryBudget;
  /** From 0 to 1. */
  readonly random?: () => number;
}

/** Troubles that may be over at the next try. */
const transient: ReadonlySet<ErrorCode> = new Set(['backend_throttled', 'backend_unavailable']);
/** Milliseconds after the deadline within which a tried connection can still say where it stood. */
const checkGraceMs = 500;
/** Of a tried connection, which says itself what took too long. */
const patient = new AbortController().signal;
/** Trying these again changes nothing. */
const idempotent: ReadonlySet<BackendMethod> = new Set(['get', 'getMany', 'versions', 'list']);

/**
 * Keeps a backend from being overrun, and its callers from waiting without end:
 *
 * - So many requests at once; many keys are asked for in requests of the backend's batch size, each of which counts.
 * - A deadline for each call. A call that ignores its signal keeps its place among the requests until it ends, and its caller
 *   is told all the same.
 * - Reads that meet `backend_throttled` or `backend_unavailable` are tried again after a random part of a growing pause
 *   (full jitter) or after the pause that the backend asks for, when its budget and the deadline allow it.
 *
 * When some of the requests for many keys fail, their keys have the error as their answer; when all fail, it is thrown.
 */
export function limited(backend: Backend, options: LimitedOptions = {}): Backend {
  const { deadlineMs = 10_000, budget = new RetryBudget() } = options;
  const slots = new Slots(options.maxConcurrent ?? 16);
  const retry = retryRules(options);

  const request = async <T>(method: BackendMethod, run: () => Promise<T>, deadline: Deadline): Promise<T> => {
    budget.earn();
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await slots.run(run, deadline.signal);
      } catch (error) {
        const waitMs = idempotent.has(method) ? retry(error, attempt) : null;
        if (waitMs === null || waitMs >= deadline.endsAt - performance.now() || !budget.spend()) throw error;
        await pause(waitMs, deadline.signal);
      }
    }
  };

  const limitedCalls = intercept(backend, ({ method }, run, signal) =>
    withDeadline(signal, deadlineMs, (deadline) => request(method, () => run(deadline.signal), deadline)),
  );
  const manyRequests = <Answer>(
    method: BackendMethod,
    keys: readonly string[],
    batch: number,
    signal: AbortSignal,
    ask: (chunk: readonly string[], signal: AbortSignal) => Promise<ReadonlyMap<string, Answer>>,
  ): Promise<ReadonlyMap<string, Answer | StrongroomError>> =>
    withDeadline(signal, deadlineMs, async (deadline) => {
      const distinct = keys.length === 1 ? keys : [...new Set(keys)];
      if (distinct.length > 0 && distinct.length <= batch)
        return request(method, () => ask(distinct, deadline.signal), deadline);
      const chunks = chunksOf(distinct, batch);
      const outcomes = await Promise.allSettled(
        chunks.map((chunk) => request(method, () => ask(chunk, deadline.signal), deadline)),
      );
      return merged(chunks, outcomes);
    });
  const versions = backend.versions?.bind(backend);
  return {
    ...limitedCalls,
    ...(versions === undefined
      ? {}
      : {
          versions: (keys, { signal }) =>
            manyRequests('versions', keys, backend.capabilities.versionBatch ?? 1, signal, (chunk, within) =>
              versions(chunk, { signal: within }),
            ),
        }),
    check: ({ signal }) =>
      withDeadline(signal, deadlineMs, (deadline) =>
        linesInTime(
          slots.run(() => backend.check({ signal: deadline.signal }), patient),
          deadline.signal,
        ),
      ),
    getMany: (keys, { signal }) =>
      manyRequests('getMany', keys, backend.capabilities.batch, signal, (chunk, within) =>
        backend.getMany(chunk, { signal: within }),
      ),
  };
}

/** A tried connection says itself which step took too long; only of one that does not, this is said for it. */
async function linesInTime(lines: Promise<readonly CheckLine[]>, signal: AbortSignal): Promise<readonly CheckLine[]> {
  const { promise: late, resolve } = Promise.withResolvers<readonly CheckLine[]>();
  const line = { step: 'reachable', outcome: 'failed', code: 'deadline_exceeded' } as const;
  let timer: NodeJS.Timeout | undefined;
  const abort = () => {
    timer = setTimeout(() => resolve([{ ...line, message: 'The backend did not answer in time' }]), checkGraceMs);
  };
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([lines, late]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}

/** Milliseconds until the next try, `null` when there is none. */
function retryRules(options: LimitedOptions): (error: unknown, attempt: number) => number | null {
  const { maxAttempts = 3, backoffMs = 100, maxBackoffMs = 2000, random = Math.random } = options;
  return (error, attempt) => {
    if (!(error instanceof StrongroomError) || !transient.has(error.code) || attempt >= maxAttempts) return null;
    const jitterMs = random() * Math.min(maxBackoffMs, backoffMs * 2 ** (attempt - 1));
    return (error.retryAfterSeconds ?? 0) * 1000 + jitterMs;
  };
}

function chunksOf(keys: readonly string[], size: number): string[][] {
  const chunks: string[][] = [];
  for (let start = 0; start < keys.length; start += size) chunks.push(keys.slice(start, start + size));
  return chunks;
}

function merged<Answer>(
  chunks: readonly (readonly string[])[],
  outcomes: readonly PromiseSettledResult<ReadonlyMap<string, Answer>>[],
): Map<string, Answer | StrongroomError> {
  const answers = new Map<string, Answer | StrongroomError>();
  const failures: unknown[] = [];
  for (const [index, outcome] of outcomes.entries()) {
    if (outcome.status === 'fulfilled') {
      for (const [key, answer] of outcome.value) answers.set(key, answer);
      continue;
    }
    const failure: unknown = outcome.reason;
    failures.push(failure);
    const isShared = !(failure instanceof StrongroomError) || failure.code === 'deadline_exceeded';
    if (isShared || failures.length === outcomes.length) throw failure;
    for (const key of chunks[index] ?? []) answers.set(key, failure);
  }
  return answers;
}
