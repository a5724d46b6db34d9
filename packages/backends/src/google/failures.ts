import { StrongroomError } from '@strongroom/contract/core';
import type { ErrorCode } from '@strongroom/contract/errors';
import { withinReason } from '../retry-after.ts';
import { VendorFailure } from '../vendor-failure.ts';
import { own } from '../vault/json.ts';
import type { Exchange } from './exchange.ts';

interface Failure {
  readonly code: ErrorCode;
  /** Completes "Google …". */
  readonly what: string;
  readonly hint?: string;
}

/** https://grpc.io/docs/guides/status-codes/ */
export const status = { notFound: 5, failedPrecondition: 9 } as const;

const notItsOwn: Failure = { code: 'backend_malformed', what: 'answered with something that is not its own' };
const notTaken: Failure = {
  code: 'backend_malformed',
  what: 'did not take the request',
  hint: 'Check the project, the location, the labels and the endpoint.',
};
const failing: Failure = {
  code: 'backend_unavailable',
  what: 'failed, could not be reached, or TLS was not agreed on',
};
const denied: Failure = {
  code: 'backend_denied',
  what: 'refused it',
  hint: 'Check the roles of the identity: Secret Manager Secret Accessor reads, Secret Manager Viewer lists.',
};
const unknownIdentity: Failure = {
  code: 'backend_denied',
  what: 'does not accept the identity',
  hint: 'Check that the service account is not disabled, and its key not deleted.',
};
const throttled: Failure = { code: 'backend_throttled', what: 'asks to slow down' };

/** https://cloud.google.com/apis/design/errors#handling_errors; others are failures of the service or of the network. */
const failures: Readonly<Record<number, Failure>> = {
  3: notTaken,
  5: notTaken,
  6: notTaken,
  7: denied,
  8: throttled,
  9: notTaken,
  11: notTaken,
  12: notTaken,
  16: unknownIdentity,
};

/** Reasons that Google adds (google.rpc.ErrorInfo), in our words: https://cloud.google.com/apis/docs/error-info. */
const reasons: ReadonlyMap<string, string> = new Map([
  ['SERVICE_DISABLED', 'Enable the Secret Manager API in the project.'],
  ['BILLING_DISABLED', 'Enable billing of the project.'],
  ['CONSUMER_INVALID', 'Check the id of the project.'],
  ['CONSUMER_SUSPENDED', 'The project is suspended.'],
  ['VPC_SERVICE_CONTROLS', 'The perimeter of VPC Service Controls refuses the server.'],
]);

/**
 * How grpc-js begins what it says of an answer that it can't read. It has no codes of its own for that, but those that a server
 * has for other things.
 */
const ofTheReader = [
  'Response message parsing error',
  'Received message larger than max',
  'Received message that decompresses',
];

/** The status of an error that is Google's or of the way to it; `undefined` for what is neither. */
function statusOf(error: unknown): number | undefined {
  const code = error instanceof Error ? own(error, 'code') : undefined;
  return typeof code === 'number' ? code : undefined;
}

/** Whether Google itself says this status, and not something in its place. */
export function isSaid(error: unknown, code: number, { isForeign }: Exchange): boolean {
  return statusOf(error) === code && !isForeign;
}

/**
 * The error in our words. gRPC's own errors hold what Google said and headers, so nothing of them is kept.
 *
 * @param unreached why there was no connection, where that is known
 * @param about what was asked for; completes the detail
 */
export function googleFailure(
  error: unknown,
  exchange: Exchange,
  unreached: StrongroomError | null,
  about: string,
): StrongroomError {
  if (error instanceof StrongroomError) return error;
  const code = statusOf(error);
  if (code === undefined) return new StrongroomError('internal', { detail: `The SDK of Google failed (${about}).` });
  const details = own(error, 'details');
  if (typeof details === 'string' && ofTheReader.some((text) => details.startsWith(text)))
    return toError(notItsOwn, about);
  const failure = failures[code] ?? failing;
  if (exchange.isForeign && failure !== denied && failure !== unknownIdentity) return toError(notItsOwn, about);
  if (failure === failing && unreached !== null) return unreached;
  const reason = own(error, 'reason');
  const hint = typeof reason === 'string' && failure === denied ? reasons.get(reason) : undefined;
  return toError(hint === undefined ? failure : { ...failure, hint }, about, retryAfterOf(error));
}

/** The error of signing in, by the status of HTTP. @param hint what to check when it is refused */
export function signInFailure(httpStatus: number, about: string, hint: string): StrongroomError {
  const isRefusal = [400, 401, 403, 404].includes(httpStatus);
  if (isRefusal) return toError({ code: 'backend_denied', what: 'refused it', hint }, about, undefined, true);
  if (httpStatus === 429) return toError(throttled, about);
  return toError(httpStatus >= 500 ? { ...failing, what: 'failed' } : notItsOwn, about);
}

/** Success, and no answer of Google. Holds nothing of it. */
export function malformed(about: string): StrongroomError {
  return toError(notItsOwn, about);
}

/** Seconds of google.rpc.RetryInfo, rounded up, an hour at most. */
function retryAfterOf(error: unknown): number | undefined {
  const details = own(error, 'statusDetails');
  for (const detail of Array.isArray(details) ? (details as unknown[]) : []) {
    const delay: unknown =
      typeof detail === 'object' && detail !== null ? Reflect.get(detail, 'retryDelay') : undefined;
    if (typeof delay !== 'object' || delay === null) continue;
    const seconds = Number(Reflect.get(delay, 'seconds') ?? 0) + Number(Reflect.get(delay, 'nanos') ?? 0) / 1e9;
    if (seconds >= 0) return withinReason(seconds);
  }
  return undefined;
}

function toError(
  failure: Failure,
  about: string,
  retryAfterSeconds?: number,
  isOfIdentity = failure === unknownIdentity,
): VendorFailure {
  const { code, what, hint } = failure;
  const isPassing = code === 'backend_throttled' || code === 'backend_unavailable';
  return new VendorFailure(
    code,
    {
      detail: `Google ${what} (${about}).`,
      ...(hint === undefined ? {} : { hint }),
      ...(retryAfterSeconds === undefined || !isPassing ? {} : { retryAfterSeconds }),
    },
    isOfIdentity,
  );
}
