import { type Address, parseAddress } from './addresses.ts';
import { denied, type EgressError, printable } from './errors.ts';
import { isHostName } from './host-name.ts';

/** Where a connection shall go, from text alone. */
export interface Target {
  /** Lower case; an IPv6 address without brackets. */
  readonly host: string;
  readonly port: number;
  /** The address, when the host is one; `null` for a name. */
  readonly address: Address | null;
  /** `host:port` for messages. */
  readonly label: string;
}

/** A URL of the strict form, in its one spelling. */
export interface CheckedUrl {
  readonly href: string;
  /** Without the colon. */
  readonly scheme: string;
  readonly host: string;
  readonly port: number;
  /** Path and query; at least `/` for http and https. */
  readonly path: string;
}

const defaultPorts: Readonly<Record<string, number>> = {
  http: 80,
  https: 443,
  ldap: 389,
  ldaps: 636,
  smtp: 587,
  smtps: 465,
};
const maxUrlCharacters = 8192;

/**
 * Reads a URL in the form that every parser reads alike: visible ASCII, `scheme://host[:port][/path][?query]`. There is no
 * userinfo, no fragment, no backslash, no dot segment, no other spelling of an address; so a check of it holds for whoever
 * parses it next.
 *
 * @throws EgressError `egress_denied`, which quotes the host at most: path and query can hold a token (webhooks).
 */
export function parseUrl(
  text: string,
  schemes: readonly string[],
): { readonly url: CheckedUrl; readonly target: Target } {
  if (text.length > maxUrlCharacters) throw malformed(`is longer than ${maxUrlCharacters} characters`);
  if (/[^!-~]/.test(text)) throw malformed('holds a blank, a control character or a character beyond ASCII');
  if (/[\\"<>^`{|}]/.test(text)) throw malformed('holds a character that URLs do not have (RFC 3986 §2)');
  const [, written = '', authority = '', rest = ''] = /^([a-z][a-z0-9+.-]{0,31}):\/\/([^/?#]*)(.*)$/i.exec(text) ?? [];
  const scheme = written.toLowerCase();
  if (scheme === '') throw malformed('has no scheme, or no // after it');
  if (!schemes.includes(scheme)) throw malformed(`must begin with ${schemes.map((name) => `${name}://`).join(' or ')}`);
  if (authority.includes('@')) throw malformed('holds a user or a password; they have fields of their own');
  checkAfterAuthority(rest);

  const target = parseAuthority(authority, defaultPorts[scheme]);
  const isWeb = scheme === 'http' || scheme === 'https';
  const path = isWeb && !rest.startsWith('/') ? `/${rest}` : rest;
  const hostText = target.address?.family === 'ipv6' ? `[${target.host}]` : target.host;
  const portText = target.port === defaultPorts[scheme] ? '' : `:${target.port}`;
  const href = `${scheme}://${hostText}${portText}${path}`;
  // A second opinion: what the platform's parser makes of it has to be the same.
  if (isWeb && !isReadAlike(href, hostText)) throw malformed('is read differently by different programs');
  return { url: { href, scheme, host: target.host, port: target.port, path }, target };
}

/**
 * Checks a path, with its query, as {@link parseUrl} checks what is after the authority: such a path can stand in the place of
 * that of a URL which was read there.
 *
 * @throws EgressError `egress_denied`, which quotes nothing
 */
export function checkPath(path: string): void {
  if (path.length > maxUrlCharacters) throw malformed(`is longer than ${maxUrlCharacters} characters`);
  if (!/^\/[!$-;=?-[\]_a-z~]*$/.test(path))
    throw malformed('has a path that does not begin with a slash, or holds a character that paths do not have');
  checkAfterAuthority(path);
}

function checkAfterAuthority(rest: string): void {
  if (rest.includes('#')) throw malformed('has a fragment');
  if (/%(?![0-9a-f]{2})/i.test(rest)) throw malformed('has a % that is not an escape');
  if (hasDotSegment(rest)) throw malformed('has a segment . or .. in its path');
}

function malformed(what: string): EgressError {
  return denied(`The URL ${what}.`, 'Write scheme://host:port/path and nothing else.');
}

/** But for the apostrophe of a query, which WHATWG escapes. */
function isReadAlike(href: string, hostText: string): boolean {
  const parsed = URL.parse(href);
  if (parsed === null) return false;
  const [path = '', ...query] = href.split('?');
  return (
    parsed.href === [path, ...query.map((part) => part.replaceAll("'", '%27'))].join('?') &&
    parsed.hostname === hostText
  );
}

/** `.`, `..` and their percent-encoded spellings, which URL parsers resolve (RFC 3986 §5.2.4; WHATWG «double-dot segment»). */
function hasDotSegment(rest: string): boolean {
  if (!/(?:\.|%2e)(?:[/?]|$)/i.test(rest)) return false;
  const [path = ''] = rest.split('?');
  return path.split('/').some((segment) => /^(?:\.|%2e){1,2}$/i.test(segment));
}

function parseAuthority(authority: string, defaultPort: number | undefined): Target {
  const [, bracketed, plain = '', portText] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(.*))?$/.exec(authority) ?? [];
  if (authority === '' || (bracketed === undefined && plain === ''))
    throw denied('The URL has no host, or a malformed one.');
  const host = bracketed === undefined ? plain : `[${bracketed}]`;
  if (portText === undefined && defaultPort === undefined) throw denied(`${printable(authority)} needs a port.`);
  if (portText !== undefined && !/^[1-9]\d{0,4}$/.test(portText))
    throw denied(`${printable(authority)}: the port must be a number from 1 to 65535.`, portHint);
  return parseTarget(host, portText === undefined ? (defaultPort ?? 0) : Number(portText));
}

const portHint = 'Write the port in decimal digits.';
const hostHint = 'Write a host name, an IPv4 address as four decimal numbers, or an IPv6 address in brackets.';

/**
 * Reads a host (name, IPv4 address, `[IPv6]`; the brackets may be left out) and a port.
 *
 * @throws EgressError `egress_denied`
 */
export function parseTarget(hostText: string, port: number): Target {
  const label = printable(`${hostText}:${port}`);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw denied(`${label}: the port must be a number from 1 to 65535.`, portHint);
  const bracketed = /^\[([^[\]]*)\]$/.exec(hostText)?.[1];
  const address = parseAddress(bracketed ?? hostText);
  if (address !== null) {
    if (bracketed !== undefined && address.family === 'ipv4') throw denied(`${label} is not a host.`, hostHint);
    return { host: address.text, port, address, label };
  }
  const host = hostText.toLowerCase();
  if (!isHostName(host)) throw denied(`${label} is neither a host name nor an address in its usual form.`, hostHint);
  return { host, port, address: null, label };
}
