import { StrongroomError } from '@strongroom/contract';
import { type IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import helmet from 'helmet';

/** What every answer of the API carries: nothing of it may be kept, framed, sniffed or run. */
export function apiHeaders(isHttps: boolean): Record<string, string> {
  return {
    'cache-control': 'no-store',
    ...helmetHeaders({
      contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
      // Of documents only.
      crossOriginOpenerPolicy: false,
      originAgentCluster: false,
      xDnsPrefetchControl: false,
      xDownloadOptions: false,
      xPermittedCrossDomainPolicies: false,
      xXssProtection: false,
      xFrameOptions: { action: 'deny' },
      strictTransportSecurity: isHttps,
    }),
  };
}

/** The same for pages: only what this server sends as a file may run or be shown, nothing inline. */
export function pageHeaders(isHttps: boolean): Record<string, string> {
  return {
    'cache-control': 'no-store',
    ...helmetHeaders({
      contentSecurityPolicy: {
        useDefaults: false,
        directives: {
          defaultSrc: ["'none'"],
          scriptSrc: ["'self'"],
          styleSrc: ["'self'"],
          imgSrc: ["'self'"],
          fontSrc: ["'self'"],
          connectSrc: ["'self'"],
          baseUri: ["'none'"],
          formAction: ["'none'"],
          frameAncestors: ["'none'"],
        },
      },
      xFrameOptions: { action: 'deny' },
      strictTransportSecurity: isHttps,
    }),
  };
}

/** Helmet's headers are the same for every answer, so they are made once instead of per request. */
function helmetHeaders(options: Parameters<typeof helmet>[0]): Record<string, string> {
  const request = new IncomingMessage(new Socket());
  const response = new ServerResponse(request);
  helmet(options)(request, response, () => undefined);
  return Object.fromEntries(Object.entries(response.getHeaders()).map(([name, value]) => [name, String(value)]));
}

/**
 * The revision in `If-Match` (RFC 9110 §13.1.1), which is an ETag of ours: a number in quotes. `*` asks only that there
 * is something, which the route says by itself.
 *
 * @throws StrongroomError `validation_failed` when it is no ETag; `revision_mismatch` when it is one that can't be ours
 */
export function parseIfMatch(header: string | undefined): number | undefined {
  if (header === undefined || header === '*') return undefined;
  const revision = /^"(\d{1,15})"$/.exec(header)?.[1];
  if (revision !== undefined) return Number(revision);
  if (/^(?:W\/)?"[!#-~]*"$/.test(header)) throw new StrongroomError('revision_mismatch');
  throw new StrongroomError('validation_failed', {
    errors: [{ pointer: 'If-Match', message: 'must be one ETag, a number in double quotes, or *' }],
  });
}

/** @throws StrongroomError `validation_failed` unless it is 1 to 255 visible ASCII characters */
export function parseIdempotencyKey(header: string): string {
  if (/^[!-~]{1,255}$/.test(header)) return header;
  throw new StrongroomError('validation_failed', {
    errors: [{ pointer: 'Idempotency-Key', message: 'must be 1 to 255 visible ASCII characters' }],
  });
}

/** Headers that mean something once; with a second one, two servers on the way may read two different things. */
const onlyOnce = new Set(['host', 'authorization', 'content-type', 'content-length', 'if-match', 'idempotency-key']);
const onlyOnceLengths = new Set([...onlyOnce].map((name) => name.length));

/**
 * @param rawHeaders names and values in turn, as they came
 * @param headers the same by name
 * @throws StrongroomError `request_malformed`
 */
export function refuseRepeatedHeaders(rawHeaders: readonly string[], headers: IncomingHttpHeaders): void {
  // Mostly no name is there twice.
  if (Object.keys(headers).length * 2 === rawHeaders.length) return;
  let seen: string[] | undefined;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    if (!onlyOnceLengths.has(name.length)) continue;
    const folded = name.toLowerCase();
    if (!onlyOnce.has(folded)) continue;
    if (seen?.includes(folded) === true)
      throw new StrongroomError('request_malformed', { detail: `The header ${folded} is there more than once.` });
    (seen ??= []).push(folded);
  }
}
