import { StrongroomError } from '@strongroom/contract/core';
import { EgressError, type EgressStep } from './errors.ts';

/** The end of a piece of work: its own time or one of its callers' signals, whichever comes first. The signal's reason is what to throw. */
export interface Deadline extends Disposable {
  readonly signal: AbortSignal;
  /** How far it is; says in the error where the time went. */
  step: EgressStep;
}

/** @param label `host:port` for the message */
export function startDeadline(milliseconds: number, label: string, callers: readonly AbortSignal[]): Deadline {
  const controller = new AbortController();
  const onCallerAbort = (): void => {
    const reason: unknown = callers.find((caller) => caller.aborted)?.reason;
    controller.abort(givenUp(label, deadline.step, reason));
  };
  const timer = setTimeout(() => controller.abort(tooLate(label, deadline.step, milliseconds)), milliseconds);
  const deadline: Deadline = {
    signal: controller.signal,
    step: 'reachable',
    [Symbol.dispose]: () => {
      clearTimeout(timer);
      for (const caller of callers) caller.removeEventListener('abort', onCallerAbort);
    },
  };
  for (const caller of callers) caller.addEventListener('abort', onCallerAbort, { once: true });
  if (callers.some((caller) => caller.aborted)) onCallerAbort();
  return deadline;
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
