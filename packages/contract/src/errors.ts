/**
 * The one error table. Call sites name a code, never a status; the HTTP layer, the OpenAPI document, the SDK and the
 * command line's exit codes all read this table (RFC 9457 problem details).
 *
 * `hint` says what the reader can do next. It is static text: it can't carry a value.
 */
export const errorTable = {
  // The request itself
  request_malformed: {
    status: 400,
    title: 'The request could not be read',
    retryable: false,
    hint: 'Send one JSON document in UTF-8, without duplicate keys, at most the documented depth and size.',
  },
  validation_failed: {
    status: 422,
    title: 'The request is not valid',
    retryable: false,
    hint: 'See errors[] for each field and what it expects.',
  },
  media_type_unsupported: {
    status: 415,
    title: 'The media type is not supported',
    retryable: false,
    hint: 'Send Content-Type: application/json.',
  },
  host_not_allowed: {
    status: 421,
    title: 'This host name is not served here',
    retryable: false,
    hint: 'Use the address the server printed, or add the name to STRONGROOM_HOSTS.',
  },
  method_not_allowed: {
    status: 405,
    title: 'The method is not allowed here',
    retryable: false,
    hint: 'See /v1/openapi.json for the methods of this route.',
  },
  limit_exceeded: {
    status: 413,
    title: 'A limit was exceeded',
    retryable: false,
    hint: 'The detail names the limit and its size.',
  },
  headers_too_large: {
    status: 431,
    title: 'The headers are too large',
    retryable: false,
    hint: 'Send at most 16 KiB of request line and headers.',
  },
  request_timeout: {
    status: 408,
    title: 'The request did not arrive in time',
    retryable: true,
    hint: 'Send the whole request without pauses, then try again.',
  },
  cursor_invalid: {
    status: 422,
    title: 'The cursor is not valid',
    retryable: false,
    hint: 'Start again without a cursor; a cursor belongs to one caller and one filter.',
  },
  reference_malformed: {
    status: 422,
    title: 'The reference is not valid',
    retryable: false,
    hint: 'Write secret://domain/managed/KEY, secret://global/managed/KEY or secret://domain/INTEGRATION/PATH#FIELD.',
  },
  egress_denied: {
    status: 422,
    title: 'The address is not allowed',
    retryable: false,
    hint: 'An operator can allow it with STRONGROOM_EGRESS_ALLOW.',
  },

  // Who is calling
  unauthenticated: {
    status: 401,
    title: 'Sign in first',
    retryable: false,
    hint: 'Run strongroom login, or set STRONGROOM_TOKEN.',
  },
  credentials_invalid: {
    status: 401,
    title: 'The credentials are not valid',
    retryable: false,
    hint: 'Check the name and the password or the link; links work once and for ten minutes.',
  },
  throttled: {
    status: 429,
    title: 'Too many attempts',
    retryable: true,
    hint: 'Wait for the time in Retry-After and try again.',
  },
  csrf_failed: {
    status: 403,
    title: 'The request did not come from this console',
    retryable: false,
    hint: 'Reload the page and try again.',
  },

  // What the caller may
  not_found: {
    status: 404,
    title: 'Not found, or not yours',
    retryable: false,
    hint: 'Check the name, or ask somebody who manages access; strongroom explain shows the chain.',
  },
  permission_missing: {
    status: 403,
    title: 'A permission is missing',
    retryable: false,
    hint: 'The detail names the permission; strongroom explain shows who can grant it.',
  },
  feature_disabled: {
    status: 403,
    title: 'This feature is turned off',
    retryable: false,
    hint: 'An administrator can turn it on with features.secretsV2.enabled.',
  },

  // State
  already_exists: {
    status: 409,
    title: 'The name is taken',
    retryable: false,
    hint: 'Choose another name, or change the existing one.',
  },
  key_clash: {
    status: 409,
    title: 'The key clashes with another key',
    retryable: false,
    hint: 'Keys are unique after case folding; the detail names the other key.',
  },
  soft_deleted: {
    status: 409,
    title: 'The key is held by a deleted secret',
    retryable: false,
    hint: 'Restore it with secret restore, or purge it with secret purge, then create it.',
  },
  in_use: {
    status: 409,
    title: 'It is still in use',
    retryable: false,
    hint: 'See where it is used; repeat with force to delete it all the same.',
  },
  state_conflict: {
    status: 409,
    title: 'The current state does not allow this',
    retryable: false,
    hint: 'The detail says which state it is in.',
  },
  version_conflict: {
    status: 409,
    title: 'Somebody else changed it at the same time',
    retryable: true,
    hint: 'Read it again and repeat the change.',
  },
  revision_mismatch: {
    status: 412,
    title: 'It was changed since you read it',
    retryable: false,
    hint: 'Read it again and repeat the change with the new ETag.',
  },
  idempotency_mismatch: {
    status: 422,
    title: 'The idempotency key was used for another request',
    retryable: false,
    hint: 'Use a fresh Idempotency-Key for a different request.',
  },
  replayed_issue: {
    status: 409,
    title: 'This credential was issued before',
    retryable: false,
    hint: 'A credential is shown once; the detail names its id. Revoke it and issue another.',
  },
  last_admin: {
    status: 409,
    title: 'The last platform administrator stays',
    retryable: false,
    hint: 'Make somebody else PLATFORM_ADMIN first.',
  },
  delivery_bound: {
    status: 409,
    title: 'The launch is bound to another key',
    retryable: false,
    hint: 'Start a new launch; if you did not resolve this one before, tell your administrator.',
  },
  launch_expired: { status: 409, title: 'The launch has expired', retryable: false, hint: 'Start a new launch.' },
  log_gone: {
    status: 410,
    title: 'The log is not there any more',
    retryable: false,
    hint: 'The run itself still says how it ended. Logs are kept for a time, and the oldest go first beyond a quota.',
  },
  not_configured: {
    status: 404,
    title: 'Nothing is configured there',
    retryable: false,
    hint: 'Configure it first; the detail says what.',
  },

  // References, launch
  reference_unresolved: {
    status: 422,
    title: 'A reference does not resolve',
    retryable: false,
    hint: 'errors[] names each field, reference, cause and who can fix it.',
  },
  launch_refused: {
    status: 422,
    title: 'The launch was refused',
    retryable: false,
    hint: 'errors[] names each field, reference, cause and who can fix it.',
  },
  launch_failed: {
    status: 500,
    title: 'The workload could not be started',
    retryable: false,
    hint: 'Check that the command exists and may be executed by the job user.',
  },
  runner_unavailable: {
    status: 409,
    title: 'The runner is not available',
    retryable: false,
    hint: 'strongroom doctor says which runners this server has.',
  },
  destination_refused: {
    status: 403,
    title: 'The secret may not be sent there',
    retryable: false,
    hint: 'Type the value anew, or ask somebody with MANAGE_SECRETS to change its destinations.',
  },

  // Backends
  backend_unavailable: {
    status: 503,
    title: 'The backend is not reachable',
    retryable: true,
    hint: 'Try again; the detail names the source and the step that failed.',
  },
  backend_denied: {
    status: 502,
    title: 'The backend refused',
    retryable: false,
    hint: 'Check the policy of the credential at the backend.',
  },
  backend_sealed: { status: 503, title: 'The backend is sealed', retryable: true, hint: 'Unseal it, then try again.' },
  backend_throttled: { status: 503, title: 'The backend asks to slow down', retryable: true, hint: 'Try again later.' },
  backend_malformed: {
    status: 502,
    title: 'The backend sent something unreadable',
    retryable: false,
    hint: 'Check that the address belongs to the backend and not to a proxy or a log-in page.',
  },
  backend_limit: {
    status: 413,
    title: 'The backend does not take a value of this size',
    retryable: false,
    hint: 'The detail names the limit.',
  },
  backend_deleted: {
    status: 409,
    title: 'The version was deleted in the backend',
    retryable: false,
    hint: 'Undelete it there, or write a new version.',
  },
  not_supported: {
    status: 422,
    title: 'The backend cannot do this',
    retryable: false,
    hint: 'The capabilities of each backend are in its documentation.',
  },

  // The server
  audit_unavailable: {
    status: 503,
    title: 'The audit record cannot be written',
    retryable: true,
    hint: 'No value is released without one. Check the disk or the database; strongroom doctor helps.',
  },
  storage_unavailable: {
    status: 503,
    title: 'The store is not available',
    retryable: true,
    hint: 'Try again; /readyz names what is wrong.',
  },
  storage_full: {
    status: 503,
    title: 'The disk is nearly full',
    retryable: true,
    hint: 'Free space in the data directory; reads and audit go on.',
  },
  key_unavailable: {
    status: 503,
    title: 'A key is not available',
    retryable: false,
    hint: 'strongroom doctor says which key is missing.',
  },
  deadline_exceeded: { status: 503, title: 'It took too long', retryable: true, hint: 'Try again.' },
  not_ready: {
    status: 503,
    title: 'The server is not ready',
    retryable: true,
    hint: 'errors[] names each dependency that is missing; strongroom doctor says more.',
  },
  shutting_down: { status: 503, title: 'The server is stopping', retryable: true, hint: 'Try again in a moment.' },
  server_unreachable: {
    status: 503,
    title: 'The server cannot be reached',
    retryable: true,
    hint: 'Check STRONGROOM_URL, and that the server runs there: npm start, or strongroom serve.',
  },
  internal: {
    status: 500,
    title: 'Something went wrong on our side',
    retryable: false,
    hint: 'The log has the request id.',
  },
} as const satisfies Record<string, ErrorRow>;

export interface ErrorRow {
  /** HTTP status (RFC 9110). */
  readonly status: number;
  /** One sentence; the same for every occurrence (RFC 9457 §3.1.3). */
  readonly title: string;
  /** Whether the same request may succeed later without a change. */
  readonly retryable: boolean;
  /** What the reader can do next. */
  readonly hint: string;
}

export type ErrorCode = keyof typeof errorTable;

/** One bad field: `pointer` is an RFC 6901 JSON pointer into the request body, or the name of a parameter. */
export interface FieldError {
  readonly pointer: string;
  readonly message: string;
  /** The reference concerned, canonical form, where there is one. */
  readonly reference?: string;
  /** A code of the error table for this field alone (for a launch: why this reference did not resolve). */
  readonly code?: ErrorCode;
  /** Who can fix it: names of principals or roles the caller may list. */
  readonly fixableBy?: readonly string[];
}

export interface ErrorOptions {
  /** What happened in this occurrence. Never holds a value: names, keys, limits and causes only. */
  readonly detail?: string;
  /** Replaces the table's hint when this occurrence can name something more exact. */
  readonly hint?: string;
  readonly errors?: readonly FieldError[];
  /** Seconds; becomes `Retry-After`. */
  readonly retryAfterSeconds?: number;
  /** Logged by its name and code, never serialised. */
  readonly cause?: unknown;
}

/** The only error that leaves a module of Strongroom on purpose; anything else becomes `internal`. */
export class StrongroomError extends Error {
  override readonly name = 'StrongroomError';
  readonly code: ErrorCode;
  readonly detail: string | undefined;
  readonly hint: string;
  readonly errors: readonly FieldError[] | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(code: ErrorCode, options: ErrorOptions = {}) {
    super(options.detail ?? errorTable[code].title, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.detail = options.detail;
    this.hint = options.hint ?? errorTable[code].hint;
    this.errors = options.errors;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }

  get status(): number {
    return errorTable[this.code].status;
  }

  get retryable(): boolean {
    return errorTable[this.code].retryable;
  }
}

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(errorTable, text);
}
