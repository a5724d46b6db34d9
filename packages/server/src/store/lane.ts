import { StrongroomError } from '@strongroom/contract';
import { encodeEvent } from '../audit/record.ts';
import type { LaneOutcome, LaneRequest } from './lane-protocol.ts';
import type { ExecuteOptions } from './store.ts';

const defaultDeadlineMilliseconds = 5_000;
/** Commands in one transaction: bounds how long the first of them waits for the others. */
const maxBatch = 256;
/** So many wait for one commit rather than for two. */
const alwaysTogether = 8;
/** Commands waiting; more are refused at once, because they could not be done within their deadline. */
const maxQueued = 20_000;

const noEvents: LaneRequest['audit'] = [];

interface Pending {
  readonly request: LaneRequest;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: StrongroomError) => void;
  /** As `performance.now()` says it. */
  readonly expiresAt: number;
  isSettled: boolean;
}

/** Runs a batch and answers in its order. Rejects when nothing is known of the whole batch. */
export type BatchExecutor = (requests: readonly LaneRequest[]) => Promise<readonly LaneOutcome<StrongroomError>[]>;

/**
 * The queue before the one writer. Commands that arrive while a batch is being written collect for the next ones, so that the
 * cost of a durable commit is shared.
 */
export class WriteLane {
  readonly #execute: BatchExecutor;
  readonly #deadline: number;
  #queue: Pending[] = [];
  #inFlight: readonly Pending[] = [];
  /** How many the batch before had. */
  #lastBatch = 0;
  #isScheduled = false;
  #stopped: StrongroomError | undefined;
  #timer: NodeJS.Timeout | undefined;
  #wakesAt = Number.POSITIVE_INFINITY;
  readonly #idle = Promise.withResolvers<void>();

  /** @param deadline milliseconds that a write has that brings no deadline of its own */
  constructor(execute: BatchExecutor, deadline = defaultDeadlineMilliseconds) {
    this.#execute = execute;
    this.#deadline = deadline;
  }

  /** @throws StrongroomError as `Store.execute` */
  submit(name: string, args: unknown, options: ExecuteOptions = {}): Promise<unknown> {
    if (this.#stopped !== undefined) return Promise.reject(this.#stopped);
    if (this.#queue.length >= maxQueued) {
      return Promise.reject(new StrongroomError('storage_unavailable', { detail: 'Too many writes are waiting.' }));
    }
    return new Promise((resolve, reject) => {
      const request: LaneRequest = {
        name,
        args,
        audit: options.audit === undefined ? noEvents : options.audit.map(encodeEvent),
        expectAuthorisationRevision: options.expectAuthorisationRevision,
        idempotency: options.idempotency,
      };
      const expiresAt = performance.now() + (options.deadlineMilliseconds ?? this.#deadline);
      this.#queue.push({ request, resolve, reject, expiresAt, isSettled: false });
      this.#wakeAt(expiresAt);
      this.#schedule();
    });
  }

  /** Refuses what comes from now on; resolves when everything accepted is answered. */
  async close(): Promise<void> {
    this.#stopped ??= new StrongroomError('shutting_down');
    this.#settleIdle();
    await this.#idle.promise;
  }

  /** The writer is gone: nothing waiting can be done, and nothing more is accepted. */
  fail(error: StrongroomError): void {
    this.#stopped = error;
    const all = [...this.#inFlight, ...this.#queue];
    this.#inFlight = [];
    this.#queue = [];
    for (const pending of all) settle(pending, { ok: false, error });
    this.#settleIdle();
  }

  #schedule(): void {
    if (this.#isScheduled || this.#inFlight.length > 0) return;
    this.#isScheduled = true;
    // Not at once: whatever this turn of the event loop still submits belongs to the same batch.
    setImmediate(() => {
      this.#isScheduled = false;
      void this.#pump();
    });
  }

  async #pump(): Promise<void> {
    while (this.#queue.length > 0 && this.#inFlight.length === 0) {
      const batch = this.#next();
      if (batch.length === 0) continue;
      this.#inFlight = batch;
      const outcomes = await this.#outcomes(batch);
      if (this.#inFlight !== batch) return;
      this.#inFlight = [];
      for (const [index, pending] of batch.entries()) {
        settle(pending, outcomes[index] ?? { ok: false, error: new StrongroomError('internal') });
      }
    }
    this.#settleIdle();
  }

  /**
   * Half of those that are on their way round, so that the writer has the other half to do while their callers get their
   * answers and ask for more. Taken all at once they would come back all at once, and each side would wait for the other.
   */
  #next(): readonly Pending[] {
    const waiting = this.#queue;
    const half = Math.ceil((waiting.length + this.#lastBatch) / 2);
    const size = Math.min(Math.max(half, alwaysTogether), maxBatch);
    this.#queue = waiting.slice(size);
    const batch = waiting.length > size ? waiting.slice(0, size) : waiting;
    this.#lastBatch = batch.length;
    return batch.some(({ isSettled }) => isSettled) ? batch.filter(({ isSettled }) => !isSettled) : batch;
  }

  async #outcomes(batch: readonly Pending[]): Promise<readonly LaneOutcome<StrongroomError>[]> {
    try {
      return await this.#execute(batch.map((pending) => pending.request));
    } catch (cause) {
      // Arguments that can't be cloned spoil a batch before it is sent; only their own command is to blame.
      if (batch.length > 1 && isCloneFailure(cause)) {
        const outcomes = [];
        for (const pending of batch) outcomes.push(...(await this.#outcomes([pending])));
        return outcomes;
      }
      const error = cause instanceof StrongroomError ? cause : new StrongroomError('internal', { cause });
      return batch.map(() => ({ ok: false, error }));
    }
  }

  /** One timer for all that wait, set for the earliest deadline; that one is mostly long answered. */
  #wakeAt(time: number): void {
    if (time >= this.#wakesAt) return;
    clearTimeout(this.#timer);
    this.#wakesAt = time;
    this.#timer = setTimeout(() => this.#expire(), time - performance.now());
    // What waits is waiting for a thread or a connection, which keep the process.
    this.#timer.unref();
  }

  #expire(): void {
    this.#wakesAt = Number.POSITIVE_INFINITY;
    const now = performance.now();
    const detail = 'The write could not be made durable in time.';
    for (const pending of [...this.#inFlight, ...this.#queue]) {
      if (pending.isSettled) continue;
      if (pending.expiresAt > now) this.#wakeAt(pending.expiresAt);
      else settle(pending, { ok: false, error: new StrongroomError('audit_unavailable', { detail }) });
    }
  }

  #settleIdle(): void {
    if (this.#stopped !== undefined && this.#queue.length === 0 && this.#inFlight.length === 0) this.#idle.resolve();
  }
}

function settle(pending: Pending, outcome: LaneOutcome<StrongroomError>): void {
  if (pending.isSettled) return;
  pending.isSettled = true;
  if (outcome.ok) pending.resolve(outcome.result);
  else pending.reject(outcome.error);
}

function isCloneFailure(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'DataCloneError';
}
