import { StrongroomError } from '@strongroom/contract';
import { parseCookie, stringifySetCookie } from 'cookie';
import type { IncomingHttpHeaders } from 'node:http';
import type { Caller } from '../access/types.ts';
import type { MaybePromise } from '../store/maybe-promise.ts';

export interface AuthenticationContext {
  readonly requestId: string;
  /** Address the request comes from. */
  readonly network: string;
}

/** Who a credential belongs to. `identities/` implements it; both throw `unauthenticated` for whatever is not valid now. */
export interface Authentication {
  byBearer(token: string, context: AuthenticationContext): MaybePromise<Caller>;
  /** @throws StrongroomError `csrf_failed` without the tab's token */
  byCookie(cookie: string, tabToken: string | undefined, context: AuthenticationContext): Promise<Caller>;
}

export type Credential =
  | { readonly type: 'bearer'; readonly token: string }
  | { readonly type: 'cookie'; readonly cookie: string; readonly tabToken: string | undefined };

/** Browsers keep a cookie of this name to HTTPS, this host and path / (RFC 6265bis §4.1.3.2); on plain HTTP they'd drop it. */
export function sessionCookieName(isHttps: boolean): string {
  return isHttps ? '__Host-strongroom' : 'strongroom';
}

/**
 * The credential a request presents; `Authorization` wins over a cookie.
 *
 * @throws StrongroomError `unauthenticated` when there is none, or one of another scheme
 */
export function readCredential(headers: IncomingHttpHeaders, cookieName: string): Credential {
  const { authorization, cookie } = headers;
  if (authorization !== undefined) {
    // RFC 6750 §2.1: the scheme in any case, one blank, b64token.
    if (!/^bearer [A-Za-z0-9\-._~+/]+=*$/i.test(authorization))
      throw new StrongroomError('unauthenticated', { detail: 'Authorization is not Bearer and a token.' });
    return { type: 'bearer', token: authorization.slice('bearer '.length) };
  }
  const session = cookie === undefined ? undefined : parseCookie(cookie)[cookieName];
  if (session === undefined || session === '') throw new StrongroomError('unauthenticated');
  const tab = headers['x-strongroom-tab'];
  return { type: 'cookie', cookie: session, tabToken: typeof tab === 'string' ? tab : undefined };
}

/** Serialises the cookie of a session; `null` clears it. */
export function sessionCookie(
  isHttps: boolean,
  session: { readonly value: string; readonly maxAgeSeconds: number } | null,
): string {
  return stringifySetCookie({
    name: sessionCookieName(isHttps),
    value: session?.value ?? '',
    maxAge: session === null ? 0 : Math.floor(session.maxAgeSeconds),
    path: '/',
    httpOnly: true,
    sameSite: 'strict',
    secure: isHttps,
  });
}
