import { isIPv4, isIPv6 } from 'node:net';

const mappedPrefix = '0:0:0:0:0:ffff:';
const nat64Prefix = '64:ff9b:0:0:0:0:';

/**
 * What counts as one network when attempts are limited: an IPv4 address, or the /64 of an IPv6 address (one customer
 * usually has at least that, RFC 6177 §2, so single addresses are free to change). IPv4 inside IPv6 (mapped, RFC 4291
 * §2.5.5.2; NAT64, RFC 6052 §2.1) counts as IPv4. Anything else is one network together.
 */
export function networkOf(address: string): string {
  const [plain = ''] = address.split('%');
  if (isIPv4(plain)) return plain;
  if (!isIPv6(plain)) return 'unknown';
  const groups = expandIpv6(plain);
  const text = groups.map((group) => group.toString(16)).join(':');
  if (text.startsWith(mappedPrefix) || text.startsWith(nat64Prefix)) {
    const [high = 0, low = 0] = groups.slice(6);
    return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
  }
  return `${text.split(':').slice(0, 4).join(':')}::/64`;
}

/** The eight groups of an address that `isIPv6` accepts. */
function expandIpv6(address: string): readonly number[] {
  const [head = '', tail] = address.split('::');
  const left = groupsOf(head);
  if (tail === undefined) return left;
  const right = groupsOf(tail);
  return [...left, ...Array.from({ length: 8 - left.length - right.length }, () => 0), ...right];
}

function groupsOf(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((part) => {
    if (!part.includes('.')) return [Number.parseInt(part, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = part.split('.').map(Number);
    return [(a << 8) | b, (c << 8) | d];
  });
}
