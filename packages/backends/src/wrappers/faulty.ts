import { StrongroomError } from '@strongroom/contract/core';
import type { ErrorCode } from '@strongroom/contract/errors';
import type { Backend } from '../backend.ts';
import { pause, untilAborted } from './deadline.ts';
import { type BackendCall, intercept } from './intercept.ts';

/**
 * - `delay`: the call is made after so many milliseconds.
 * - `throw`: the call isn't made.
 * - `cut`: the call is made and its answer lost: `backend_unavailable`. A write has happened.
 * - `hang`: the call isn't made, and ends with its signal.
 */
export type Fault =
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'throw'; readonly code: ErrorCode; readonly retryAfterSeconds?: number }
  | { readonly kind: 'cut' }
  | { readonly kind: 'hang' };

/** Injects faults, for tests; into `check` too, which then throws as no backend does. @param plan is asked at each call; `null`: it goes on as it is */
export function faulty(backend: Backend, plan: (call: BackendCall) => Fault | null): Backend {
  return intercept(backend, async (call, run, signal) => {
    const fault = plan(call);
    switch (fault?.kind) {
      case undefined:
        return run(signal);
      case 'delay':
        await pause(fault.ms, signal);
        return run(signal);
      case 'throw': {
        const { code, retryAfterSeconds } = fault;
        throw new StrongroomError(code, retryAfterSeconds === undefined ? {} : { retryAfterSeconds });
      }
      case 'cut':
        await run(signal);
        throw new StrongroomError('backend_unavailable', { detail: 'The answer was cut off' });
      case 'hang':
        return untilAborted(Promise.withResolvers<never>().promise, signal);
    }
  });
}
