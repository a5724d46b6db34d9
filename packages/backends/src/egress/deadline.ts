import { StrongroomError } from '@strongroom/contract/core';
import { EgressError, type EgressStep } from './errors.ts';

/**
 * The end of a piece of work: its own time or one of its callers' signals, whichever comes first. Whoever starts one disposes
 * of it when the work has ended.
 */
export class Deadline implements Disposable {
  /** How far the work is; says in the error where the time went. */
  step: EgressStep = 'reachable';
  readonly #label: string;
  readonly #milliseconds: number;
  readonly #callers: readonly AbortSignal[];
  readonly #timer: NodeJS.Timeout;
  readonly #onCallerAbort = (): void => {
    const reason: unknown = this.#callers.find((caller) => caller.aborted)?.reason;
    this.#end(givenUp(this.#label, this.step, reason));
  };
  #reason: StrongroomError | undefined;
  #onEnd: ((reason: StrongroomError) => void) | undefined;
  #controller: AbortController | undefined;

  /** @param label `host:port` for the message */
  constructor(milliseconds: number, label: string, callers: readonly AbortSignal[]) {
    this.#milliseconds = milliseconds;
    this.#label = label;
    this.#callers = callers;
    this.#timer = setTimeout(expire, milliseconds, this);
    for (const caller of callers) {
      caller.addEventListener('abort', this.#onCallerAbort, { once: true });
      if (caller.aborted) this.#onCallerAbort();
    }
  }

  /** What to throw once it has come. */
  get reason(): StrongroomError | undefined {
    return this.#reason;
  }

  /** The same as a signal, for what takes one; its reason is what to throw. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /** Calls the one listener when it comes; never when it has come. */
  onEnd(listener: (reason: StrongroomError) => void): void {
    this.#onEnd = listener;
  }

  expire(): void {
    this.#end(tooLate(this.#label, this.step, this.#milliseconds));
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#onEnd = undefined;
    for (const caller of this.#callers) caller.removeEventListener('abort', this.#onCallerAbort);
  }

  #end(reason: StrongroomError): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    clearTimeout(this.#timer);
    this.#controller?.abort(reason);
    this.#onEnd?.(reason);
  }
}

function expire(deadline: Deadline): void {
  deadline.expire();
}

function tooLate(label: string, step: EgressStep, milliseconds: number): EgressError {
  const what =
    step === 'answer' ? 'did not answer in full' : step === 'tls' ? 'did not finish TLS' : 'could not be reached';
  return new EgressError('backend_unavailable', step, {
    detail: `${label} ${what} within ${milliseconds} ms.`,
    reason: 'ETIMEDOUT',
  });
}

function givenUp(label: string, step: EgressStep, reason: unknown): StrongroomError {
  return reason instanceof StrongroomError
    ? reason
    : new EgressError('deadline_exceeded', step, { detail: `${label}: the call was given up before it ended.` });
}
