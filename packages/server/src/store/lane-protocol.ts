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

/**
 * Requests as they cross to the writer thread: all in one list, because each object costs both threads microseconds. Arguments
 * that are a list lie in it, too, so that a command that is run often can make do without an object.
 */
export type PackedRequests = readonly unknown[];

/** Places of a request in {@link PackedRequests}; its arguments follow, then its audit events. */
const headLength = 5;
/** Says that the arguments are one thing, not a list. */
const noList = -1;

export function packRequests(requests: readonly LaneRequest[]): PackedRequests {
  const packed: unknown[] = [];
  for (const { name, args, audit, expectAuthorisationRevision, idempotency } of requests) {
    const isList = Array.isArray(args);
    packed.push(name, isList ? args.length : noList, expectAuthorisationRevision, idempotency, audit.length);
    if (isList) for (const argument of args) packed.push(argument);
    else packed.push(args);
    for (const event of audit) for (const part of event) packed.push(part);
  }
  return packed;
}

export function unpackRequests(packed: PackedRequests): LaneRequest[] {
  const requests: LaneRequest[] = [];
  for (let at = 0; at < packed.length;) {
    const listLength = packed[at + 1] as number;
    const argsAt = at + headLength;
    const auditAt = argsAt + (listLength === noList ? 1 : listLength);
    const end = auditAt + (packed[at + 4] as number) * eventLength;
    const audit: EncodedEvent[] = [];
    for (let eventAt = auditAt; eventAt < end; eventAt += eventLength)
      audit.push(packed.slice(eventAt, eventAt + eventLength) as unknown as EncodedEvent);
    requests.push({
      name: packed[at] as string,
      args: listLength === noList ? packed[argsAt] : packed.slice(argsAt, auditAt),
      audit,
      expectAuthorisationRevision: packed[at + 2] as number | undefined,
      idempotency: packed[at + 3] as IdempotencyKey | undefined,
    });
    at = end;
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
