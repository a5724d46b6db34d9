import { BlockList, isIP, SocketAddress } from 'node:net';

export type AddressKind =
  | 'public'
  | 'private'
  | 'shared'
  | 'unique-local'
  | 'loopback'
  | 'link-local'
  | 'metadata'
  | 'documentation'
  | 'benchmarking'
  | 'reserved'
  | 'unspecified'
  | 'multicast'
  | 'broadcast'
  | 'transition';

/**
 * What can open addresses of a kind: nothing is needed (`open`); an entry with the host's name, or a network (`name`); an
 * entry with a network alone, since a name in somebody's zone must not lead there (`network`); nothing (`never`).
 */
export type Opening = 'open' | 'name' | 'network' | 'never';

export const openingOf: Readonly<Record<AddressKind, Opening>> = {
  public: 'open',
  private: 'name',
  shared: 'name',
  'unique-local': 'name',
  loopback: 'network',
  'link-local': 'network',
  metadata: 'network',
  documentation: 'network',
  benchmarking: 'network',
  reserved: 'network',
  unspecified: 'never',
  multicast: 'never',
  broadcast: 'never',
  transition: 'never',
};

interface Range {
  readonly network: string;
  readonly prefix: number;
  readonly kind: AddressKind;
  readonly source: string;
}

const range = (cidr: string, kind: AddressKind, source: string): Range => {
  const [network = '', prefix] = cidr.split('/');
  return { network, prefix: Number(prefix), kind, source };
};

/** The first that holds an address says its kind. The rest of IPv4 is public. After the IANA IPv4 Special-Purpose Address Registry. */
export const ipv4Ranges: readonly Range[] = [
  range('168.63.129.16/32', 'metadata', 'Azure: What is IP address 168.63.129.16?'),
  range('100.100.100.200/32', 'metadata', 'Alibaba Cloud: ECS instance metadata'),
  range('192.0.0.192/32', 'metadata', 'Oracle Cloud Classic: instance metadata'),
  range('169.254.169.254/32', 'metadata', 'AWS, Azure, Google: instance metadata'),
  range('169.254.170.0/24', 'metadata', 'AWS: credentials of ECS tasks and EKS pods'),
  range('0.0.0.0/8', 'unspecified', 'RFC 1122 §3.2.1.3'),
  range('10.0.0.0/8', 'private', 'RFC 1918'),
  range('100.64.0.0/10', 'shared', 'RFC 6598'),
  range('127.0.0.0/8', 'loopback', 'RFC 1122 §3.2.1.3'),
  range('169.254.0.0/16', 'link-local', 'RFC 3927'),
  range('172.16.0.0/12', 'private', 'RFC 1918'),
  range('192.0.0.0/24', 'reserved', 'RFC 6890 §2.1'),
  range('192.0.2.0/24', 'documentation', 'RFC 5737'),
  range('192.88.99.0/24', 'reserved', 'RFC 7526'),
  range('192.168.0.0/16', 'private', 'RFC 1918'),
  range('198.18.0.0/15', 'benchmarking', 'RFC 2544'),
  range('198.51.100.0/24', 'documentation', 'RFC 5737'),
  range('203.0.113.0/24', 'documentation', 'RFC 5737'),
  range('224.0.0.0/4', 'multicast', 'RFC 5771'),
  range('255.255.255.255/32', 'broadcast', 'RFC 919'),
  range('240.0.0.0/4', 'reserved', 'RFC 1112 §4'),
];

/**
 * The first that holds an address says its kind. After the IANA IPv6 Special-Purpose Address Registry; what IANA has not
 * given out as global unicast is reserved. A translated address (RFC 6052) has the kind of the IPv4 address in it, but no
 * name opens it.
 */
export const ipv6Ranges: readonly Range[] = [
  range('fd00:ec2::/32', 'metadata', 'AWS: IMDS, EKS pod identity'),
  range('fd20:ce::/32', 'metadata', 'Google: metadata server over IPv6'),
  range('::/128', 'unspecified', 'RFC 4291 §2.5.2'),
  range('::1/128', 'loopback', 'RFC 4291 §2.5.3'),
  range('::/96', 'transition', 'RFC 4291 §2.5.5.1, IPv4-compatible'),
  range('::ffff:0:0/96', 'transition', 'RFC 4291 §2.5.5.2, IPv4-mapped'),
  range('::ffff:0:0:0/96', 'transition', 'RFC 2765 §2.1, IPv4-translated'),
  ...ipv4Ranges.map(({ network, prefix, kind, source }) =>
    range(`64:ff9b::${network}/${96 + prefix}`, openingOf[kind] === 'never' ? kind : 'reserved', `RFC 6052; ${source}`),
  ),
  range('64:ff9b::/96', 'public', 'RFC 6052'),
  range('64:ff9b:1::/48', 'reserved', 'RFC 8215'),
  range('100::/64', 'reserved', 'RFC 6666'),
  range('100:0:0:1::/64', 'reserved', 'RFC 9780'),
  range('2001::/32', 'transition', 'RFC 4380, Teredo'),
  range('2001:2::/48', 'benchmarking', 'RFC 5180'),
  range('2001::/23', 'reserved', 'RFC 2928'),
  range('2001:db8::/32', 'documentation', 'RFC 3849'),
  range('2002::/16', 'transition', 'RFC 3056, 6to4'),
  range('3fff::/20', 'documentation', 'RFC 9637'),
  range('2000::/3', 'public', 'RFC 4291 §2.4; IANA IPv6 Global Unicast Address Assignments'),
  range('5f00::/16', 'reserved', 'RFC 9602'),
  range('fc00::/7', 'unique-local', 'RFC 4193'),
  range('fe80::/10', 'link-local', 'RFC 4291 §2.5.6'),
  range('fec0::/10', 'reserved', 'RFC 3879'),
  range('ff00::/8', 'multicast', 'RFC 4291 §2.7'),
  range('::/0', 'reserved', 'RFC 4291 §2.4'),
];

export type Family = 'ipv4' | 'ipv6';

/** An IP address in its one spelling (RFC 5952 for IPv6). */
export interface Address {
  readonly text: string;
  readonly family: Family;
  readonly kind: AddressKind;
}

/** A network of one family: Node's block list also compares an IPv4-mapped address with IPv4 networks. */
export interface Network {
  readonly family: Family;
  has(address: { readonly text: string; readonly family: Family }): boolean;
}

export function createNetwork(network: string, prefix: number, family: Family): Network {
  const list = new BlockList();
  list.addSubnet(network, prefix, family);
  return {
    family,
    has: (address) => address.family === family && list.check(address.text, family),
  };
}

const compile = (ranges: readonly Range[], family: Family) =>
  ranges.map(({ network, prefix, kind }) => ({ kind, network: createNetwork(network, prefix, family) }));
const ipv4Networks = compile(ipv4Ranges, 'ipv4');
const ipv6Networks = compile(ipv6Ranges, 'ipv6');

/**
 * Reads an IP address: four decimal numbers without leading zeros, or any RFC 4291 spelling of IPv6 without a zone.
 * `null` is anything else, in particular the other spellings of IPv4 that `inet_aton` takes.
 */
export function parseAddress(text: string): Address | null {
  const version = isIP(text);
  if (version === 0 || text.includes('%')) return null;
  let address = readAddresses.get(text);
  if (address !== undefined) return address;
  address = readAddress(text, version);
  if (readAddresses.size >= maxReadAddresses) readAddresses.clear();
  readAddresses.set(text, address);
  return address;
}

/** What was read before: an address is what it is, and each request to one asks again. */
const readAddresses = new Map<string, Address>();
const maxReadAddresses = 1000;

function readAddress(text: string, version: number): Address {
  const family = version === 4 ? 'ipv4' : 'ipv6';
  const canonical = new SocketAddress({ address: text, family }).address;
  const networks = family === 'ipv4' ? ipv4Networks : ipv6Networks;
  const kind = networks.find(({ network }) => network.has({ text: canonical, family }))?.kind ?? 'public';
  return { text: canonical, family, kind };
}
