import { isRestError } from '@azure/core-rest-pipeline';
import { StrongroomError } from '@strongroom/contract/core';
import type { ErrorCode } from '@strongroom/contract/errors';
import { VendorFailure } from '../vendor-failure.ts';
import type { Exchange } from './exchange.ts';

interface Failure {
  readonly code: ErrorCode;
  /** Completes "Azure …". */
  readonly what: string;
  readonly hint?: string;
}

const notTaken: Failure = {
  code: 'backend_malformed',
  what: 'did not take the request',
  hint: 'Check that the address is that of a vault.',
};
const notItsOwn: Failure = { code: 'backend_malformed', what: 'answered with something that is not its own' };

/** https://learn.microsoft.com/azure/key-vault/general/rest-error-codes */
const failures: Readonly<Record<number, Failure>> = {
  401: {
    code: 'backend_denied',
    what: 'does not accept the identity',
    hint: 'Check that the application and the vault are in the same tenant.',
  },
  403: {
    code: 'backend_denied',
    what: 'refused it',
    hint: 'Check the access policies or roles of the vault (Get, List), and its firewall.',
  },
  408: { code: 'backend_unavailable', what: 'gave up waiting' },
  413: { code: 'backend_limit', what: 'does not take a request of this size' },
  429: { code: 'backend_throttled', what: 'asks to slow down' },
};

const refusedSignIn: Failure = {
  code: 'backend_denied',
  what: 'refused to sign the application in',
  hint: 'Check the tenant, the client id, and that its secret or certificate has not expired.',
};

/**
 * The error of a request to the vault, in our words.
 *
 * @param about what was asked for; completes the detail
 */
export function vaultFailure(error: unknown, exchange: Exchange, about: string): StrongroomError {
  if (error instanceof StrongroomError) return error;
  if (exchange.failure !== undefined) return exchange.failure;
  const { status } = exchange;
  if (status === undefined) return new StrongroomError('internal', { detail: `The SDK of Azure failed (${about}).` });
  // Not an answer that the SDK handed on, but one that it did not go along with: a challenge for another domain.
  if (status === 401 && !isTokenRefused(error, exchange))
    return toError(notItsOwn, 'its challenge is for another domain', exchange);
  return toError(failures[status] ?? byRange(status), about, exchange, status === 401);
}

/** The vault did not take the token that it was shown, before its time was over or for good. */
export function isTokenRefused(error: unknown, { status }: Exchange): boolean {
  return status === 401 && isRestError(error);
}

/** The error of signing in. @param isAmbient the identity is the server's own */
export function signInFailure(exchange: Exchange, isAmbient: boolean): StrongroomError {
  const about = 'signing in';
  const { failure, status } = exchange;
  if (failure !== undefined) return failure;
  if (isAmbient && status === undefined)
    return new VendorFailure(
      'key_unavailable',
      {
        detail: 'The server has no such identity at Azure.',
        hint: 'Its operator gives it one: a managed identity of the machine, or a workload identity of its ServiceAccount.',
      },
      true,
    );
  const isRefusal = status === undefined || status === 400 || status === 401 || status === 403;
  if (isRefusal) return toError(refusedSignIn, about, exchange, true);
  return toError(failures[status] ?? byRange(status), about, exchange);
}

/** Success, and no answer of Azure. Holds nothing of it. */
export function malformed(about: string): StrongroomError {
  return toError(notItsOwn, about, {});
}

function byRange(status: number): Failure {
  if (status >= 500) return { code: 'backend_unavailable', what: 'failed' };
  return status >= 400 ? notTaken : notItsOwn;
}

function toError(
  { code, what, hint }: Failure,
  about: string,
  { retryAfterSeconds }: Exchange,
  isOfIdentity = false,
): VendorFailure {
  const isPassing = code === 'backend_throttled' || code === 'backend_unavailable';
  return new VendorFailure(
    code,
    {
      detail: `Azure ${what} (${about}).`,
      ...(hint === undefined ? {} : { hint }),
      ...(retryAfterSeconds === undefined || !isPassing ? {} : { retryAfterSeconds }),
    },
    isOfIdentity,
  );
}
