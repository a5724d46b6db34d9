import { type ErrorCode, StrongroomError, type FieldError } from '@strongroom/contract/core';

/** An error as it crosses a thread: structured clone would drop its class and its fields. */
export interface ErrorRecord {
  readonly code: ErrorCode;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
  readonly errors: readonly FieldError[] | undefined;
  readonly retryAfterSeconds: number | undefined;
  /** For the log; commands and queries never see a value, so none can be in it. */
  readonly cause: { readonly name: string; readonly message: string; readonly stack: string | undefined } | undefined;
}

/** Anything that is not a StrongroomError becomes `internal`, with the original as its cause. */
export function toErrorRecord(error: unknown): ErrorRecord {
  const known = asStrongroomError(error);
  const { cause } = known;
  return {
    code: known.code,
    detail: known.detail,
    hint: known.hint,
    errors: known.errors,
    retryAfterSeconds: known.retryAfterSeconds,
    cause: cause instanceof Error ? { name: cause.name, message: cause.message, stack: cause.stack } : undefined,
  };
}

export function fromErrorRecord(record: ErrorRecord): StrongroomError {
  let cause: Error | undefined;
  if (record.cause !== undefined) {
    cause = new Error(record.cause.message);
    cause.name = record.cause.name;
    if (record.cause.stack !== undefined) cause.stack = record.cause.stack;
  }
  return new StrongroomError(record.code, {
    ...(record.detail !== undefined && { detail: record.detail }),
    ...(record.hint !== undefined && { hint: record.hint }),
    ...(record.errors !== undefined && { errors: record.errors }),
    ...(record.retryAfterSeconds !== undefined && { retryAfterSeconds: record.retryAfterSeconds }),
    ...(cause !== undefined && { cause }),
  });
}

/** What a command's failure is called towards its caller. */
export function asStrongroomError(error: unknown): StrongroomError {
  if (error instanceof StrongroomError) return error;
  if (isUniqueViolation(error)) return new StrongroomError('version_conflict', { cause: error });
  // https://www.postgresql.org/docs/current/errcodes-appendix.html: query_canceled, by the statement timeout
  if (codeOf(error) === '57014') return new StrongroomError('deadline_exceeded', { cause: error });
  return new StrongroomError('internal', { cause: error });
}

/** https://www.sqlite.org/rescode.html: SQLITE_CONSTRAINT_UNIQUE, SQLITE_CONSTRAINT_PRIMARYKEY */
const sqliteUnique: ReadonlySet<unknown> = new Set([2067, 1555]);

/**
 * Whether a statement failed because a row with this key is already there, on either database. A command that leaves it
 * unmapped fails with `version_conflict`.
 */
export function isUniqueViolation(error: unknown): boolean {
  // https://www.postgresql.org/docs/current/errcodes-appendix.html: unique_violation
  if (codeOf(error) === '23505') return true;
  return codeOf(error) === 'ERR_SQLITE_ERROR' && sqliteUnique.has((error as { errcode?: unknown }).errcode);
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
