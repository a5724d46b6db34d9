import { decodeJwt, decodeProtectedHeader } from 'jose';

/** What a token of a ServiceAccount says of itself. Nothing of it is proven: the cluster decides. */
export interface TokenClaims {
  readonly issuer: string;
  readonly audience: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly uid: string;
  readonly podUid: string;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

/** What API servers sign with (https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/). */
const algorithms: ReadonlySet<unknown> = new Set(['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'EdDSA']);
/** Of what is allowed in the header, all there is; a key or an address in it is nobody's business (RFC 7515 §4.1). */
const headerFields: ReadonlySet<string> = new Set(['alg', 'kid', 'typ']);
const maxLength = 12_288;
const toleranceSeconds = 60;

/**
 * Reads a token of a pod's ServiceAccount as far as it takes to know whom to ask about it. Whatever is not exactly such a token,
 * for one audience and bound to a pod, is `null`: signed by nobody, encrypted, with keys of its own, for several audiences,
 * expired, not valid yet.
 */
export function readWorkloadToken(token: string, now: number): TokenClaims | null {
  if (token.length > maxLength || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) return null;
  try {
    const header = decodeProtectedHeader(token);
    return isPlainHeader(header) ? claimsOf(decodeJwt(token), now / 1000) : null;
  } catch {
    // What the parser would say quotes the token.
    return null;
  }
}

function isPlainHeader(header: object): boolean {
  const { alg, kid, typ } = header as Readonly<Record<string, unknown>>;
  return (
    algorithms.has(alg) &&
    Object.keys(header).every((name) => headerFields.has(name)) &&
    (kid === undefined || (typeof kid === 'string' && /^[\w-]{1,128}$/.test(kid))) &&
    (typ === undefined || typ === 'JWT')
  );
}

function claimsOf(claims: Readonly<Record<string, unknown>>, nowSeconds: number): TokenClaims | null {
  const { iss: issuer, aud, sub, exp, nbf, iat } = claims;
  const audience = Array.isArray(aud) && aud.length === 1 ? (aud[0] as unknown) : aud;
  const kubernetes = memberOf(claims, 'kubernetes.io');
  const account = memberOf(kubernetes, 'serviceaccount');
  const namespace = textOf(kubernetes, 'namespace');
  const serviceAccount = textOf(account, 'name');
  const uid = textOf(account, 'uid');
  const podUid = textOf(memberOf(kubernetes, 'pod'), 'uid');
  if (typeof issuer !== 'string' || typeof audience !== 'string' || issuer === '' || audience === '') return null;
  if (namespace === '' || serviceAccount === '' || uid === '' || podUid === '') return null;
  if (sub !== `system:serviceaccount:${namespace}:${serviceAccount}`) return null;
  if (typeof exp !== 'number' || exp <= nowSeconds) return null;
  for (const start of [nbf, iat])
    if (start !== undefined && (typeof start !== 'number' || start > nowSeconds + toleranceSeconds)) return null;
  return { issuer, audience, namespace, serviceAccount, uid, podUid, expiresAt: exp * 1000 };
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

/** The empty text where it is none. */
function textOf(value: unknown, name: string): string {
  const member = memberOf(value, name);
  return typeof member === 'string' ? member : '';
}
