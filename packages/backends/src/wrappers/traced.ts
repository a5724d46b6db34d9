import { StrongroomError } from '@strongroom/contract/core';
import type { ErrorCode } from '@strongroom/contract/errors';
import type { Backend } from '../backend.ts';
import { type BackendMethod, intercept } from './intercept.ts';

/** A call that has ended. Fit for labels of metrics: all but the numbers are of small, closed sets, and no key is named. */
export interface TracedCall {
  /** The backend's type. */
  readonly type: string;
  readonly method: BackendMethod;
  /** `absent`: a `get` of what is not there. `internal`: something that isn't one of our errors was thrown. */
  readonly outcome: 'ok' | 'absent' | ErrorCode;
  readonly durationMs: number;
  /** How many keys it was about. */
  readonly keyCount: number;
}

/** Tells of every call when it has ended. @param onCall must not throw */
export function traced(backend: Backend, onCall: (call: TracedCall) => void): Backend {
  return intercept(backend, async ({ method, keys }, run, signal) => {
    const startedAt = performance.now();
    const told = (outcome: TracedCall['outcome']) => {
      const durationMs = performance.now() - startedAt;
      onCall({ type: backend.type, method, outcome, durationMs, keyCount: keys.length });
    };
    try {
      const result = await run(signal);
      told(method === 'get' && result === null ? 'absent' : 'ok');
      return result;
    } catch (error) {
      told(error instanceof StrongroomError ? error.code : 'internal');
      throw error;
    }
  });
}
