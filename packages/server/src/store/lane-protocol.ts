import type { EncodedEvent } from '../audit/record.ts';
import type { ErrorRecord } from './errors.ts';
import type { IdempotencyKey } from './store.ts';

/** A command on its way to the lane: plain data, so that it can go to the writer thread. */
export interface LaneRequest {
  readonly name: string;
  readonly args: unknown;
  readonly audit: readonly EncodedEvent[];
  readonly expectAuthorisationRevision: number | undefined;
  readonly idempotency: IdempotencyKey | undefined;
}

/** What became of it. `error` is a StrongroomError, or its record where it crossed a thread. */
export type LaneOutcome<Failure> =
  | { readonly ok: true; readonly result: unknown }
  | { readonly ok: false; readonly error: Failure };

/** Requests as they cross to the writer thread: all in one list, because each object costs both threads microseconds. */
export type PackedRequests = readonly unknown[];

/** Places of a request in {@link PackedRequests}; its audit events follow. */
const headLength = 5;

export function packRequests(requests: readonly LaneRequest[]): PackedRequests {
  const packed: unknown[] = [];
  for (const { name, args, audit, expectAuthorisationRevision, idempotency } of requests) {
    packed.push(name, args, expectAuthorisationRevision, idempotency, audit.length);
    for (const event of audit) packed.push(...event);
  }
  return packed;
}

export function unpackRequests(packed: PackedRequests): LaneRequest[] {
  const requests: LaneRequest[] = [];
  for (let at = 0; at < packed.length;) {
    const [name, args, expectAuthorisationRevision, idempotency, events] = packed.slice(at, at + headLength) as [
      string,
      unknown,
      number | undefined,
      IdempotencyKey | undefined,
      number,
    ];
    at += headLength;
    const audit: EncodedEvent[] = [];
    for (let event = 0; event < events; event += 1) {
      audit.push(packed.slice(at, at + eventLength) as unknown as EncodedEvent);
      at += eventLength;
    }
    requests.push({ name, args, audit, expectAuthorisationRevision, idempotency });
  }
  return requests;
}

const eventLength: EncodedEvent['length'] = 5;

/** What the writer thread answers to a batch. */
export interface BatchAnswer {
  /** Of each request in its order; of those that failed it says nothing. */
  readonly results: readonly unknown[];
  /** By their place among the requests. */
  readonly failures: readonly { readonly at: number; readonly error: ErrorRecord }[];
  /** Also of commands that were refused; `null` when it may be any. */
  readonly tablesWritten: readonly string[] | null;
}
