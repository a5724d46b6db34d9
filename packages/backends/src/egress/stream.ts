import type { Dispatcher } from 'undici';
import { EgressError, reasonOf } from './errors.ts';

/** The beginning of an answer whose body has no end of its own. Whoever has it reads the chunks or calls `cancel`. */
export interface EgressStream {
  readonly status: number;
  /** Each is the reader's own. Fails with an `EgressError`, as all of egress; ends early without error after `cancel`. */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Closes the connection. Idempotent. */
  cancel(): void;
}

export interface StreamLimits {
  /** Until the answer begins. */
  readonly beginMilliseconds: number;
  /** Between two chunks, and from the beginning to the first: a connection that is cut without a word ends by it. */
  readonly idleMilliseconds: number;
}

/** Bytes that wait for the reader before the connection is held up. */
const maxQueuedBytes = 1024 * 1024;

/** Takes one answer chunk by chunk. Every error that leaves is ours. */
export class StreamReader implements Dispatcher.DispatchHandler {
  readonly begun: Promise<EgressStream>;
  readonly #label: string;
  readonly #limits: StreamLimits;
  readonly #callers: AbortSignal;
  readonly #begin = Promise.withResolvers<EgressStream>();
  readonly #onAbort = (): void => this.#stop(this.#callers.reason);
  #controller: Dispatcher.DispatchController | undefined;
  #timer: NodeJS.Timeout;
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #end: { readonly error: Error | null } | undefined;
  #wake: () => void = () => undefined;

  /** @param callers ends it, with its reason when that is ours */
  constructor(label: string, limits: StreamLimits, callers: AbortSignal) {
    this.#label = label;
    this.#limits = limits;
    this.#callers = callers;
    this.begun = this.#begin.promise;
    this.#timer = setTimeout(() => this.#stop(this.#tooLate('did not answer')), limits.beginMilliseconds);
    callers.addEventListener('abort', this.#onAbort, { once: true });
    if (callers.aborted) this.#onAbort();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#end !== undefined) controller.abort(this.#end.error ?? this.#cut());
  }

  onResponseStart(_controller: unknown, status: number, headers: Record<string, string | string[] | undefined>): void {
    if (status < 200) return;
    if (status >= 300 && status < 400)
      return this.#stop(this.#malformed(`answered with a redirect (${status}), which is not followed`));
    const encoding = headers['content-encoding'] ?? 'identity';
    if (String(encoding).toLowerCase() !== 'identity')
      return this.#stop(this.#malformed('answered in a compressed form that was not asked for'));
    this.#awaitChunk();
    this.#begin.resolve({ status, chunks: this.#chunks(), cancel: () => this.#finish(null) });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    // What came is read by somebody slower: that is no silence of the other side.
    this.#awaitChunk();
    // A copy: the chunk is a part of the socket's buffer.
    this.#queue.push(Buffer.from(chunk));
    this.#queuedBytes += chunk.length;
    if (this.#queuedBytes > maxQueuedBytes) {
      clearTimeout(this.#timer);
      controller.pause();
    }
    this.#wake();
  }

  onResponseEnd(): void {
    this.#settle(null);
  }

  onResponseError(_controller: unknown, error: Error): void {
    this.fail(error);
  }

  /** Takes whatever was thrown and keeps its code alone. */
  fail(error: unknown): void {
    this.#settle(error instanceof EgressError ? error : this.#cut(reasonOf(error)));
  }

  async *#chunks(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        const chunk = this.#queue.shift();
        if (chunk !== undefined) {
          this.#queuedBytes -= chunk.length;
          if (this.#controller?.paused === true && this.#queuedBytes === 0) {
            this.#awaitChunk();
            this.#controller.resume();
          }
          yield chunk;
          continue;
        }
        if (this.#end !== undefined) {
          if (this.#end.error !== null) throw this.#end.error;
          return;
        }
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      this.#finish(null);
    }
  }

  #awaitChunk(): void {
    clearTimeout(this.#timer);
    const { idleMilliseconds } = this.#limits;
    this.#timer = setTimeout(() => this.#stop(this.#tooLate('fell silent')), idleMilliseconds);
  }

  #stop(reason: unknown): void {
    this.#finish(reason instanceof EgressError ? reason : this.#givenUp());
  }

  #finish(error: Error | null): void {
    if (this.#end !== undefined) return;
    this.#settle(error);
    this.#controller?.abort(error ?? this.#givenUp());
  }

  #settle(error: Error | null): void {
    if (this.#end !== undefined) return;
    this.#end = { error };
    clearTimeout(this.#timer);
    this.#callers.removeEventListener('abort', this.#onAbort);
    this.#begin.reject(error ?? this.#cut());
    this.#wake();
  }

  #tooLate(what: string): EgressError {
    return new EgressError('backend_unavailable', 'answer', {
      detail: `${this.#label} ${what} in time.`,
      reason: 'ETIMEDOUT',
    });
  }

  #givenUp(): EgressError {
    return new EgressError('deadline_exceeded', 'answer', {
      detail: `${this.#label}: the call was given up before it ended.`,
    });
  }

  #cut(reason?: string): EgressError {
    return new EgressError('backend_unavailable', 'answer', {
      detail: `${this.#label} closed the connection before its answer was whole.`,
      ...(reason === undefined ? {} : { reason }),
    });
  }

  #malformed(what: string): EgressError {
    return new EgressError('backend_malformed', 'answer', { detail: `${this.#label} ${what}.` });
  }
}
