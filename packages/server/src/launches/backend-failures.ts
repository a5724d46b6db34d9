import { type ErrorCode, StrongroomError } from '@strongroom/contract';
import type { Failure } from './outcomes.ts';

/** What an error of a backend, or of opening it, means for a reference. Everything else is an outage, never an absence. */
const failures: Readonly<Partial<Record<ErrorCode, Failure>>> = {
  backend_unavailable: 'source-unavailable',
  backend_denied: 'source-denied',
  backend_sealed: 'source-sealed',
  backend_throttled: 'source-throttled',
  backend_malformed: 'source-malformed',
  backend_limit: 'invalid-value',
  backend_deleted: 'deleted',
  deadline_exceeded: 'deadline',
  egress_denied: 'source-denied',
  key_unavailable: 'key-unavailable',
  // Deleted since it was decided on.
  not_found: 'source-unknown',
  // No key of this kind of backend.
  validation_failed: 'missing',
  reference_malformed: 'missing',
};

/** @throws what is no error of ours: its text must not go anywhere */
export function failureOf(error: unknown): {
  readonly kind: 'failed';
  readonly failure: Failure;
  readonly detail: string;
} {
  if (!(error instanceof StrongroomError)) throw error;
  return { kind: 'failed', failure: failures[error.code] ?? 'source-unavailable', detail: error.message };
}

/** What is no statement about a secret. */
const outages: ReadonlySet<Failure> = new Set<Failure>([
  'source-unavailable',
  'source-denied',
  'source-sealed',
  'source-throttled',
  'source-malformed',
  'deadline',
  'key-unavailable',
]);

/** What an error of a whole source means for each reference to it: why it could not be read, and never that something isn't there. */
export function outageOf(error: StrongroomError): ReturnType<typeof failureOf> {
  const failed = failureOf(error);
  return outages.has(failed.failure) ? failed : { ...failed, failure: 'source-unavailable' };
}
