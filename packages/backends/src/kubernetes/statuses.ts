import { StrongroomError } from '@strongroom/contract/core';
import type { ErrorCode } from '@strongroom/contract/errors';
import { withinReason } from '../retry-after.ts';
import type { ApiAnswer } from './api.ts';
import { own } from '../vault/json.ts';

interface Failure {
  readonly code: ErrorCode;
  /** Completes "Kubernetes …". */
  readonly what: string;
  readonly hint?: string;
}

/** The API server answered 401: the credential itself is not known, whatever it would be allowed. */
export class CredentialUnknown extends StrongroomError {}

/**
 * What a status means that is not the answer
 * (https://github.com/kubernetes/community/blob/main/contributors/devel/sig-architecture/api-conventions.md#http-status-codes).
 */
const failures: Readonly<Record<number, Failure>> = {
  400: { code: 'backend_malformed', what: 'did not take the request' },
  401: {
    code: 'backend_denied',
    what: 'does not know the credential',
    hint: 'Check the token or the certificate of the kubeconfig, and that it has not expired.',
  },
  403: {
    code: 'backend_denied',
    what: 'refused it',
    hint: 'Check the Role and its binding: strongroom k8s rbac prints what is needed.',
  },
  404: {
    code: 'state_conflict',
    what: 'has no such namespace',
    hint: 'Make the namespace, or set another one; the store makes none.',
  },
  405: { code: 'backend_malformed', what: 'does not know the request' },
  406: { code: 'backend_malformed', what: 'has no answer in JSON' },
  408: { code: 'backend_unavailable', what: 'gave up waiting' },
  409: { code: 'version_conflict', what: 'has another version of the object by now' },
  410: { code: 'version_conflict', what: 'does not keep that version any more' },
  413: { code: 'backend_limit', what: 'does not take a request of this size' },
  415: { code: 'backend_malformed', what: 'does not read JSON' },
  422: { code: 'validation_failed', what: 'does not take the object as it is' },
  429: { code: 'backend_throttled', what: 'asks to slow down' },
};

/** Reasons of a status that say more than its number. */
const reasons: Readonly<Record<string, Failure>> = {
  NamespaceTerminating: { code: 'state_conflict', what: 'is deleting the namespace' },
  FieldValueTooLong: { code: 'backend_limit', what: 'does not take an object of this size' },
  FieldValueForbidden: {
    code: 'state_conflict',
    what: 'does not allow that change of the object; it may be immutable',
  },
};

/**
 * The error for an answer, in our words: the text of the answer quotes what was sent.
 *
 * @param about what was asked for; completes the detail
 */
export function statusError(answer: ApiAnswer, about: string): StrongroomError {
  const { code, what, hint } = causeOf(answer) ?? rowOf(answer.status);
  const isPassing = code === 'backend_throttled' || code === 'backend_unavailable';
  const seconds = isPassing ? answer.retryAfterSeconds : undefined;
  const Thrown = answer.status === 401 ? CredentialUnknown : StrongroomError;
  return new Thrown(code, {
    detail: `Kubernetes ${what} (${about}).`,
    ...(hint === undefined ? {} : { hint }),
    ...(seconds === undefined ? {} : { retryAfterSeconds: withinReason(seconds) }),
  });
}

/** Success, and no answer of Kubernetes: a log-in page, another API. Holds nothing of it. */
export function malformed(about: string): StrongroomError {
  return new StrongroomError('backend_malformed', {
    detail: `What came from Kubernetes is not its answer (${about}).`,
  });
}

function rowOf(status: number): Failure {
  const row = failures[status];
  if (row !== undefined) return row;
  if (status >= 500) return { code: 'backend_unavailable', what: `failed with status ${status}` };
  return { code: 'backend_malformed', what: `answered with status ${status}, which is not its own` };
}

/** Only words that are known are taken from the answer. */
function causeOf({ status, body }: ApiAnswer): Failure | undefined {
  if (status !== 403 && status !== 422) return undefined;
  const causes = own(own(body, 'details'), 'causes');
  if (!Array.isArray(causes)) return undefined;
  for (const cause of causes as readonly unknown[]) {
    const reason = own(cause, 'reason');
    if (typeof reason === 'string' && Object.hasOwn(reasons, reason)) return reasons[reason];
  }
  return undefined;
}
