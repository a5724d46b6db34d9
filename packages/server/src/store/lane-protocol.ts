import type { AuditEvent } from '../audit/event.ts';
import type { ErrorRecord } from './errors.ts';
import type { IdempotencyKey } from './store.ts';

/** A command on its way to the lane: plain data, so that it can go to the writer thread. */
export interface LaneRequest {
  readonly name: string;
  readonly args: unknown;
  readonly audit: readonly AuditEvent[];
  readonly expectAuthorisationRevision: number | undefined;
  readonly idempotency: IdempotencyKey | undefined;
}

/** What became of it. `error` is a StrongroomError, or its record where it crossed a thread. */
export type LaneOutcome<Failure> =
  | { readonly ok: true; readonly result: unknown }
  | { readonly ok: false; readonly error: Failure };

/** What the writer thread answers to a batch. */
export interface BatchAnswer {
  readonly outcomes: readonly LaneOutcome<ErrorRecord>[];
  /** Also of commands that were refused; `null` when it may be any. */
  readonly tablesWritten: readonly string[] | null;
}
