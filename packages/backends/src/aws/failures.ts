import { StrongroomError } from '@strongroom/contract/core';
import type { ErrorCode } from '@strongroom/contract/errors';
import { retryAfterSeconds } from '../retry-after.ts';
import { VendorFailure } from '../vendor-failure.ts';

interface Failure {
  readonly code: ErrorCode;
  /** Completes "AWS …". */
  readonly what: string;
  readonly hint?: string;
}

/** What an answer says that is no error for whoever asks for a secret. */
export type Absence = 'absent' | 'deleted';

const denied: Failure = {
  code: 'backend_denied',
  what: 'refused it',
  hint: 'Check the policies of the identity, of the secret and of its key in KMS.',
};
const unknownIdentity: Failure = {
  code: 'backend_denied',
  what: 'does not know the credential',
  hint: 'Check the access key and its secret; a temporary credential may have expired.',
};
const skewed: Failure = {
  code: 'backend_denied',
  what: 'refused the time of the request',
  hint: 'Check the clock of the server.',
};
const throttled: Failure = { code: 'backend_throttled', what: 'asks to slow down' };
const failing: Failure = { code: 'backend_unavailable', what: 'failed' };
const notTaken: Failure = {
  code: 'backend_malformed',
  what: 'did not take the request',
  hint: 'Check the region and the endpoint.',
};

/**
 * By the name of the error, as AWS gives it:
 * https://docs.aws.amazon.com/secretsmanager/latest/apireference/CommonErrors.html, API_GetSecretValue.html,
 * https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html,
 * https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html
 */
const failures: ReadonlyMap<string, Failure> = new Map<string, Failure>([
  ...['AccessDeniedException', 'AccessDenied', 'NotAuthorized', 'OptInRequired', 'RegionDisabledException'].map(
    (name) => [name, denied] as const,
  ),
  ...[
    'UnrecognizedClientException',
    'InvalidClientTokenId',
    'InvalidSignatureException',
    'SignatureDoesNotMatch',
    'IncompleteSignature',
    'IncompleteSignatureException',
    'MissingAuthenticationToken',
    'MissingAuthenticationTokenException',
    'ExpiredToken',
    'ExpiredTokenException',
  ].map((name) => [name, unknownIdentity] as const),
  ...['RequestExpired', 'RequestTimeTooSkewed'].map((name) => [name, skewed] as const),
  ...['ThrottlingException', 'Throttling', 'TooManyRequestsException', 'RequestLimitExceeded', 'SlowDown'].map(
    (name) => [name, throttled] as const,
  ),
  ...['InternalServiceError', 'InternalFailure', 'ServiceUnavailable', 'KMSInternalException'].map(
    (name) => [name, failing] as const,
  ),
  ...['InvalidParameterException', 'InvalidNextTokenException', 'ValidationException', 'ValidationError'].map(
    (name) => [name, notTaken] as const,
  ),
  [
    'DecryptionFailure',
    {
      code: 'backend_denied',
      what: 'could not decrypt the secret with its key',
      hint: 'Check that the key in KMS is enabled and that the identity may use it.',
    },
  ],
]);

const absences: ReadonlyMap<string, Absence> = new Map([
  ['ResourceNotFoundException', 'absent'],
  // Of reading, the only state that does not allow it.
  ['InvalidRequestException', 'deleted'],
]);

/** Credentials that a role gave, after their time. */
const expired: ReadonlySet<string> = new Set(['ExpiredToken', 'ExpiredTokenException']);

/** What AWS says of a secret by an error; `null` when it is another one. */
export function absenceOf(name: string | undefined): Absence | null {
  return name === undefined ? null : (absences.get(name) ?? null);
}

/** The name of an error that AWS answered with, if it is one that is known; the answer's own text is nothing to go by. */
export function errorName(error: unknown): string | undefined {
  if (!isFromAnswer(error) || !('name' in error) || typeof error.name !== 'string') return undefined;
  return failures.has(error.name) || absences.has(error.name) ? error.name : undefined;
}

export function isExpired(error: unknown): boolean {
  return expired.has(errorName(error) ?? '');
}

/** A role that could not be assumed, or a default chain without an identity. */
export function identityFailure(error: StrongroomError, hint: string): VendorFailure {
  const isRefusal = error.code === 'backend_denied';
  const options = { detail: error.message, hint: isRefusal ? hint : error.hint };
  return new VendorFailure(error.code, options, isRefusal || error.code === 'key_unavailable');
}

/**
 * The error in our words. The SDK's own errors hold the answer and parts of the request, so nothing of them is kept.
 *
 * @param about what was asked for; completes the detail
 */
export function awsFailure(error: unknown, about: string): StrongroomError {
  if (error instanceof StrongroomError) return error;
  if (!isFromAnswer(error)) return new StrongroomError('internal', { detail: `The SDK of AWS failed (${about}).` });
  const { headers } = error.$response;
  const known = failures.get(errorName(error) ?? '');
  return toError(
    known ?? byStatus(error.$response.statusCode),
    about,
    retryAfterSeconds((name) => headers[name]),
  );
}

/** Of one secret among many, by the name that the answer has for it. */
export function failureByName(name: string | undefined, about: string): StrongroomError {
  return toError(failures.get(name ?? '') ?? notOurs(), about);
}

/** Success, and no answer of AWS: a log-in page, another API. Holds nothing of it. */
export function malformed(about: string): StrongroomError {
  return toError(notOurs(), about);
}

interface FromAnswer extends Error {
  readonly $response: { readonly statusCode: number; readonly headers: Readonly<Record<string, string>> };
}

/** The SDK hangs the answer on its errors, also on those of reading it. */
function isFromAnswer(error: unknown): error is FromAnswer {
  if (!(error instanceof Error) || !('$response' in error)) return false;
  const { $response: response } = error;
  return typeof response === 'object' && response !== null && 'statusCode' in response;
}

function byStatus(status: number): Failure {
  if (status === 429) return throttled;
  if (status === 401 || status === 403) return denied;
  if (status >= 500) return failing;
  if (status === 413) return { code: 'backend_limit', what: 'does not take a request of this size' };
  return status >= 400 ? notTaken : notOurs();
}

function notOurs(): Failure {
  return { code: 'backend_malformed', what: 'answered with something that is not its own' };
}

function toError(failure: Failure, about: string, pauseSeconds?: number): VendorFailure {
  const { code, what, hint } = failure;
  const isPassing = code === 'backend_throttled' || code === 'backend_unavailable';
  return new VendorFailure(
    code,
    {
      detail: `AWS ${what} (${about}).`,
      ...(hint === undefined ? {} : { hint }),
      ...(pauseSeconds === undefined || !isPassing ? {} : { retryAfterSeconds: pauseSeconds }),
    },
    failure === unknownIdentity || failure === skewed,
  );
}
