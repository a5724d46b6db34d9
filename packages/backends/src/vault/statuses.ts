import { StrongroomError } from '@strongroom/contract/core';
import type { ErrorCode } from '@strongroom/contract/errors';
import { retryAfterSeconds } from '../retry-after.ts';
import type { VaultAnswer } from './connection.ts';

interface Failure {
  readonly code: ErrorCode;
  /** Completes "Vault …". */
  readonly what: string;
  readonly hint?: string;
}

/**
 * What a status means that is not the answer (https://developer.hashicorp.com/vault/api-docs#http-status-codes). 404 comes
 * here when it isn't the engine's own way of saying that nothing is there.
 */
const failures: Readonly<Record<number, Failure>> = {
  400: {
    code: 'backend_malformed',
    what: 'did not take the request',
    hint: 'Check the path and the namespace. A KV engine that was just made answers like this for a moment.',
  },
  401: { code: 'backend_denied', what: 'or a proxy before it refused the credential' },
  403: { code: 'backend_denied', what: 'refused it' },
  404: {
    code: 'backend_malformed',
    what: 'has no secrets engine there, or it is not Vault',
    hint: 'Check the mount in the path /v1/MOUNT/data/PATH, and the namespace.',
  },
  405: { code: 'backend_malformed', what: 'does not know the request', hint: 'Check that the mount is a KV engine.' },
  408: { code: 'backend_unavailable', what: 'gave up waiting' },
  412: { code: 'backend_unavailable', what: 'has not caught up with its other nodes' },
  413: { code: 'backend_limit', what: 'does not take a request of this size' },
  429: { code: 'backend_throttled', what: 'asks to slow down' },
  472: { code: 'backend_sealed', what: 'is a disaster recovery secondary, which serves no secrets' },
};

/** A log-in is refused with 400 (AppRole), 401 or 403; a mount that isn't there with 403 or 404. */
const loginRefusals: ReadonlySet<number> = new Set([400, 401, 403, 404]);
const loginFailure: Failure = {
  code: 'backend_denied',
  what: 'refused the log-in',
  hint: 'Check the credential, the role and where the authentication method is mounted.',
};

/** @param about what was asked for; completes the detail */
export function statusError(answer: VaultAnswer, about: string): StrongroomError {
  return toError(answer, rowOf(answer.status), about);
}

/** `null` when it isn't a refusal of the log-in itself. */
export function loginRefusal(answer: VaultAnswer): StrongroomError | null {
  return loginRefusals.has(answer.status) ? toError(answer, loginFailure, '') : null;
}

/** Success, and no answer of Vault: a log-in page, another API. Holds nothing of it. */
export function malformed(about: string): StrongroomError {
  return new StrongroomError('backend_malformed', { detail: `What came from Vault is not its answer (${about}).` });
}

function rowOf(status: number): Failure {
  const row = failures[status];
  if (row !== undefined) return row;
  if (status >= 500) return { code: 'backend_unavailable', what: `failed with status ${status}` };
  return { code: 'backend_malformed', what: `answered with status ${status}, which is not its own` };
}

function toError(answer: VaultAnswer, { code, what, hint }: Failure, about: string): StrongroomError {
  const isPassing = code === 'backend_throttled' || code === 'backend_unavailable';
  const seconds = isPassing ? retryAfterSeconds((name) => answer.response.header(name)) : undefined;
  return new StrongroomError(code, {
    detail: about === '' ? `Vault ${what}.` : `Vault ${what} (${about}).`,
    ...(hint === undefined ? {} : { hint }),
    ...(seconds === undefined ? {} : { retryAfterSeconds: seconds }),
  });
}
