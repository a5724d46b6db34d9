import { type ErrorCode, type ErrorOptions, isErrorCode, StrongroomError } from '@strongroom/contract/errors';
import type { FieldError } from '@strongroom/contract/errors';

export { type ErrorCode, type FieldError, StrongroomError } from '@strongroom/contract/errors';

/** An error as the server answered it: one of the table's codes, with the id under which the server's log has it. */
export class ServerError extends StrongroomError {
  readonly requestId: string | undefined;

  constructor(code: ErrorCode, options: ErrorOptions & { readonly requestId?: string }) {
    super(code, options);
    this.requestId = options.requestId;
  }
}

/** What stands in the way of an answer: the network, a proxy, another program at the address. */
export function unreachable(detail: string): StrongroomError {
  return new StrongroomError('server_unreachable', { detail });
}

const maxFieldErrors = 500;

/**
 * Reads problem details (RFC 9457). A code this version doesn't know becomes `internal` and is named in the detail; an
 * answer that isn't problem details came from something between us and the server.
 */
export function problemToError(status: number, headers: Headers, text: string): StrongroomError {
  const problem = parseProblem(text);
  if (problem === undefined || !isProblemType(headers)) {
    return unreachable(`The address answered ${status}, and not as Strongroom does; a proxy may stand between.`);
  }
  const code = textMember(problem, 'code') ?? '';
  const detail = textMember(problem, 'detail');
  const retryAfter = Number(headers.get('retry-after') ?? Number.NaN);
  const known = isErrorCode(code);
  const hint = textMember(problem, 'hint');
  const requestId = textMember(problem, 'requestId') ?? headers.get('x-request-id') ?? undefined;
  const errors = fieldErrors(problem['errors']);
  return new ServerError(known ? code : 'internal', {
    ...(known
      ? optional('detail', detail)
      : { detail: `${code} (${status})${detail === undefined ? '' : `: ${detail}`}` }),
    ...optional('hint', hint),
    ...(errors.length > 0 ? { errors } : {}),
    ...(Number.isFinite(retryAfter) ? { retryAfterSeconds: retryAfter } : {}),
    ...optional('requestId', requestId),
  });
}

function isProblemType(headers: Headers): boolean {
  return /^application\/problem\+json\b/i.test(headers.get('content-type') ?? '');
}

function parseProblem(text: string): Record<string, unknown> | undefined {
  try {
    const document: unknown = JSON.parse(text);
    return isRecord(document) && typeof document['code'] === 'string' ? document : undefined;
  } catch {
    // What JSON.parse would quote is not ours to show.
    return undefined;
  }
}

function fieldErrors(list: unknown): FieldError[] {
  if (!Array.isArray(list)) return [];
  return list.slice(0, maxFieldErrors).flatMap((item: unknown): FieldError[] => {
    if (!isRecord(item)) return [];
    const { pointer, message, reference, code, fixableBy } = item;
    if (typeof pointer !== 'string' || typeof message !== 'string') return [];
    return [
      {
        pointer,
        message,
        ...(typeof reference === 'string' ? { reference } : {}),
        ...(typeof code === 'string' && isErrorCode(code) ? { code } : {}),
        ...(Array.isArray(fixableBy) ? { fixableBy: fixableBy.filter((who) => typeof who === 'string') } : {}),
      },
    ];
  });
}

function optional<Name extends string>(name: Name, value: string | undefined): { [K in Name]?: string } {
  return value === undefined ? {} : ({ [name]: value } as { [K in Name]?: string });
}

function textMember(record: Record<string, unknown>, name: string): string | undefined {
  const member = record[name];
  return typeof member === 'string' ? member : undefined;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
