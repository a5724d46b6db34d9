import type { SecretValue } from '@strongroom/crypto';
import type { EgressResponse, EgressStream, StreamLimits } from '../egress/index.ts';
import { retryAfterSeconds } from '../retry-after.ts';

export type ApiMethod = 'GET' | 'POST' | 'PUT' | 'DELETE';

export interface ApiRequest {
  readonly method: ApiMethod;
  /** From `/api` or `/apis` on, with its query. */
  readonly path: string;
  /** JSON. Destroyed when the request has ended. */
  readonly body?: SecretValue;
}

export interface ApiAnswer {
  readonly status: number;
  /** Parsed JSON; `undefined` where there is no body. Plaintext may be in it. */
  readonly body: unknown;
  readonly retryAfterSeconds: number | undefined;
}

/**
 * The way to the API server of one cluster, as somebody. Every status but 1xx and 3xx is an answer. Throws `EgressError`:
 *
 * - `backend_unavailable`: not reached, TLS failed (`step: 'tls'`), cut off, or too slow
 * - `backend_malformed`: a redirect, an answer that is compressed, too large or no JSON
 * - `backend_denied` (`step: 'address'`): the credential could not be had
 * - `validation_failed` (`step: 'address'`): there is no such kubeconfig, or it can't be used
 * - `deadline_exceeded`: the caller's signal ended it
 */
export interface ApiConnection {
  /** Whether the certificate of the server is checked. */
  readonly verifiesTls: boolean;
  send(request: ApiRequest, signal: AbortSignal): Promise<ApiAnswer>;
  /**
   * A GET whose answer is read while it comes: a watch, a log. It ends with the signal, after a silence, or with the answer.
   * Statuses are answers here, too; whoever doesn't read the chunks cancels.
   */
  stream(path: string, limits: StreamLimits, signal: AbortSignal): Promise<EgressStream>;
  close(): Promise<void>;
}

/** An object has 1 MiB of values, in base64, and metadata. */
export const maxAnswerBytes = 8 * 1024 * 1024;

/** The answer that is in a response, which the caller destroys. @throws EgressError `backend_malformed` */
export function answerOf(response: EgressResponse): ApiAnswer {
  const { status } = response;
  // What the API server has no path for, a kind that is not installed, it answers with a text.
  const isUnknownPath = status === 404 && response.header('content-type')?.startsWith('text/plain') === true;
  return {
    status,
    body: isUnknownPath || response.byteLength === 0 ? undefined : response.json(),
    retryAfterSeconds: retryAfterSeconds((name) => response.header(name)),
  };
}
