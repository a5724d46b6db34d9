import { type Address, createNetwork, type Network, openingOf, parseAddress } from './addresses.ts';
import { isHostName, isLoopbackName } from './host-name.ts';

/** One `host-suffix:port` or `CIDR:port` of STRONGROOM_EGRESS_ALLOW; `port` is `null` for `*`. */
export type AllowEntry =
  | {
      readonly kind: 'name';
      /** Lower case, without a leading dot. */
      readonly suffix: string;
      /** Also the suffix itself, not only what is below it. */
      readonly hasApex: boolean;
      readonly port: number | null;
    }
  | { readonly kind: 'network'; readonly network: Network; readonly port: number | null };

/** What is wrong with an entry, in words that hold nothing of it. */
export class AllowEntryError extends Error {
  override readonly name = 'AllowEntryError';
}

/**
 * Reads one entry:
 *
 * - `vault.corp.example:8200`: this name and all names below it; `.corp.example:443` and `*.corp.example:443`: below it only
 * - `10.0.0.0/8:8200`, `10.1.2.3:8200`, `[fd12::]/16:8200`, `[fd12::1]:8200`: a network or an address; IPv6 in brackets
 * - `:*` for any port
 *
 * @throws AllowEntryError
 */
export function parseAllowEntry(text: string): AllowEntry {
  const [, host = '', portText = ''] = /^(.+):(\d{1,5}|\*)$/.exec(text) ?? [];
  if (host === '') throw new AllowEntryError('it must be host-suffix:port or CIDR:port');
  const port = portText === '*' ? null : Number(portText);
  if (port !== null && (port < 1 || port > 65_535 || String(port) !== portText))
    throw new AllowEntryError('the port must be * or a number from 1 to 65535');
  return host.startsWith('[') || /^[\d.]+(?:\/|$)/.test(host)
    ? { kind: 'network', network: parseNetwork(host), port }
    : { kind: 'name', ...parseSuffix(host), port };
}

function parseNetwork(text: string): Network {
  const [, bracketed, plain = '', prefixText] = /^(?:\[([^\]]+)\]|([^/[\]]+))(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const address = parseAddress(bracketed ?? plain);
  if (address === null || (address.family === 'ipv6') !== (bracketed !== undefined))
    throw new AllowEntryError('the address is neither a.b.c.d nor [IPv6]');
  const bits = address.family === 'ipv4' ? 32 : 128;
  const prefix = prefixText === undefined ? bits : Number(prefixText);
  if (prefix > bits || (prefixText !== undefined && String(prefix) !== prefixText))
    throw new AllowEntryError(`the prefix length must be a number from 0 to ${bits}`);
  if (address.kind === 'transition' && prefix > 0)
    throw new AllowEntryError('addresses that carry an IPv4 address are never allowed; write the IPv4 network');
  return createNetwork(address.text, prefix, address.family);
}

function parseSuffix(text: string): { readonly suffix: string; readonly hasApex: boolean } {
  const suffix = text.replace(/^\*?\./, '').toLowerCase();
  if (!isHostName(suffix)) throw new AllowEntryError('the host is neither a name nor an address');
  return { suffix, hasApex: suffix.length === text.length };
}

const hasPort = (entry: AllowEntry, port: number): boolean => entry.port === null || entry.port === port;

/** Whether an entry holds the name `host` (lower case) and the port. */
export function allowsName(entries: readonly AllowEntry[], host: string, port: number): boolean {
  return entries.some(
    (entry) =>
      entry.kind === 'name' &&
      hasPort(entry, port) &&
      (host.endsWith(`.${entry.suffix}`) || (entry.hasApex && host === entry.suffix)),
  );
}

/** Whether an entry holds the address itself and the port. */
export function allowsNetwork(entries: readonly AllowEntry[], address: Address, port: number): boolean {
  return (
    openingOf[address.kind] !== 'never' &&
    entries.some((entry) => entry.kind === 'network' && hasPort(entry, port) && entry.network.has(address))
  );
}

/** Whether the address may be connected to, when it was reached by this name; `host` is `null` for an address that was typed. */
export function allowsAddress(
  entries: readonly AllowEntry[],
  address: Address,
  host: string | null,
  port: number,
): boolean {
  const opening = openingOf[address.kind];
  if (opening === 'open' || allowsNetwork(entries, address, port)) return true;
  if (host === null || !allowsName(entries, host, port)) return false;
  return opening === 'name' || (address.kind === 'loopback' && isLoopbackName(host));
}
