import type { ErrorCode } from '@strongroom/sdk';

/** What the shell gets to know. `run` passes its child's code on instead, 128 + n when a signal n ended it. */
export const exitCode = {
  done: 0,
  /** A fault of ours or the server's. */
  fault: 1,
  usage: 2,
  signedOut: 3,
  /** Not found or not allowed. */
  refused: 4,
  conflict: 5,
  /** A reference did not resolve. */
  unresolved: 6,
  /** Refused by a check: preflight, verify. */
  check: 7,
} as const;

/** What a shell expects of a program that Ctrl-C ended: 128 + SIGINT. */
export const interruptedCode = 130;

/** The exit code of each error; a new code of the table does not compile until it is here. */
export const exitCodeOfError: Readonly<Record<ErrorCode, number>> = {
  request_malformed: exitCode.fault,
  validation_failed: exitCode.usage,
  media_type_unsupported: exitCode.fault,
  host_not_allowed: exitCode.refused,
  method_not_allowed: exitCode.fault,
  limit_exceeded: exitCode.usage,
  headers_too_large: exitCode.usage,
  request_timeout: exitCode.fault,
  cursor_invalid: exitCode.usage,
  reference_malformed: exitCode.unresolved,
  egress_denied: exitCode.refused,

  unauthenticated: exitCode.signedOut,
  credentials_invalid: exitCode.signedOut,
  throttled: exitCode.fault,
  csrf_failed: exitCode.signedOut,

  not_found: exitCode.refused,
  permission_missing: exitCode.refused,
  feature_disabled: exitCode.refused,

  already_exists: exitCode.conflict,
  key_clash: exitCode.conflict,
  soft_deleted: exitCode.conflict,
  in_use: exitCode.conflict,
  state_conflict: exitCode.conflict,
  version_conflict: exitCode.conflict,
  revision_mismatch: exitCode.conflict,
  idempotency_mismatch: exitCode.conflict,
  replayed_issue: exitCode.conflict,
  last_admin: exitCode.conflict,
  delivery_bound: exitCode.conflict,
  launch_expired: exitCode.conflict,
  log_gone: exitCode.refused,
  not_configured: exitCode.refused,

  reference_unresolved: exitCode.unresolved,
  launch_refused: exitCode.unresolved,
  launch_failed: exitCode.fault,
  runner_unavailable: exitCode.conflict,
  destination_refused: exitCode.refused,

  backend_unavailable: exitCode.fault,
  backend_denied: exitCode.fault,
  backend_sealed: exitCode.fault,
  backend_throttled: exitCode.fault,
  backend_malformed: exitCode.fault,
  backend_limit: exitCode.usage,
  backend_deleted: exitCode.conflict,
  not_supported: exitCode.usage,

  audit_unavailable: exitCode.fault,
  storage_unavailable: exitCode.fault,
  storage_full: exitCode.fault,
  key_unavailable: exitCode.fault,
  deadline_exceeded: exitCode.fault,
  not_ready: exitCode.fault,
  shutting_down: exitCode.fault,
  server_unreachable: exitCode.fault,
  internal: exitCode.fault,
};
