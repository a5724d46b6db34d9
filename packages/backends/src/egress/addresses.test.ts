import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ipv4Ranges, ipv6Ranges, openingOf, parseAddress } from './addresses.ts';

const kindOf = (text: string) => parseAddress(text)?.kind;

/** An IPv6 address as a number, by a way of its own. */
function toNumber(text: string): bigint {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  const hexadecimal = (high: string, low: string) => ((Number(high) << 8) | Number(low)).toString(16);
  const plain =
    dotted === null
      ? text
      : `${dotted[1]}${hexadecimal(dotted[2] ?? '', dotted[3] ?? '')}:${hexadecimal(dotted[4] ?? '', dotted[5] ?? '')}`;
  const [head = '', tail] = plain.split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':'));
  const [before, after] = [groups(head), groups(tail ?? '')];
  const all =
    tail === undefined ? before : [...before, ...Array<string>(8 - before.length - after.length).fill('0'), ...after];
  return all.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n);
}

const ipv6Text = (value: bigint): string =>
  Array.from({ length: 8 }, (_, index) => ((value >> BigInt(112 - 16 * index)) & 0xffffn).toString(16)).join(':');
const ipv4Number = (text: string): bigint => text.split('.').reduce((sum, part) => (sum << 8n) | BigInt(part), 0n);
const ipv4Text = (value: bigint): string => [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join('.');

/** The table read by arithmetic instead of by Node's block list. */
function expected(value: bigint, bits: 32 | 128): string {
  const rows = bits === 32 ? ipv4Ranges : ipv6Ranges;
  const row = rows.find(({ network, prefix }) => {
    const shift = BigInt(bits - prefix);
    return value >> shift === (bits === 32 ? ipv4Number(network) : toNumber(network)) >> shift;
  });
  return row?.kind ?? 'public';
}

describe('kinds of addresses', () => {
  it.each([
    ['8.8.8.8', 'public'],
    ['10.255.255.255', 'private'],
    ['172.15.255.255', 'public'],
    ['172.31.0.1', 'private'],
    ['172.32.0.0', 'public'],
    ['192.168.1.1', 'private'],
    ['100.64.0.1', 'shared'],
    ['100.128.0.0', 'public'],
    ['127.8.8.8', 'loopback'],
    ['0.0.0.0', 'unspecified'],
    ['0.1.2.3', 'unspecified'],
    ['169.254.169.254', 'metadata'],
    ['169.254.170.2', 'metadata'],
    ['169.254.1.1', 'link-local'],
    ['168.63.129.16', 'metadata'],
    ['100.100.100.200', 'metadata'],
    ['192.0.2.1', 'documentation'],
    ['198.19.255.255', 'benchmarking'],
    ['224.0.0.1', 'multicast'],
    ['250.1.2.3', 'reserved'],
    ['255.255.255.255', 'broadcast'],
    ['2606:4700:4700::1111', 'public'],
    ['::', 'unspecified'],
    ['::1', 'loopback'],
    ['::127.0.0.1', 'transition'],
    ['::ffff:169.254.169.254', 'transition'],
    ['::ffff:a9fe:a9fe', 'transition'],
    ['::ffff:0:10.0.0.1', 'transition'],
    ['64:ff9b::a9fe:a9fe', 'reserved'],
    ['64:ff9b::10.0.0.1', 'reserved'],
    ['64:ff9b::224.0.0.1', 'multicast'],
    ['64:ff9b::8.8.8.8', 'public'],
    ['64:ff9b:1::1', 'reserved'],
    ['2001::7f00:1', 'transition'],
    ['2002:7f00:1::', 'transition'],
    ['2001:db8::1', 'documentation'],
    ['3fff::1', 'documentation'],
    ['fd00:ec2::254', 'metadata'],
    ['fd20:ce::254', 'metadata'],
    ['fd12:3456::1', 'unique-local'],
    ['fe80::1', 'link-local'],
    ['fec0::1', 'reserved'],
    ['ff02::1', 'multicast'],
    ['5f00::1', 'reserved'],
    ['4000::1', 'reserved'],
    ['100::1', 'reserved'],
  ])('%s is %s', (text, kind) => {
    expect(kindOf(text)).toBe(kind);
  });

  it.each([
    '',
    '127.1',
    '0177.0.0.1',
    '01.2.3.4',
    '0x7f.0.0.1',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '[::1]',
    '::1%lo',
    'fe80::1%eth0',
    '1::2::3',
    '12345::',
    'vault',
  ])('%j is no address', (text) => {
    expect(parseAddress(text)).toBeNull();
  });

  it('gives an IPv6 address one spelling', () => {
    expect(parseAddress('2001:0DB8:0:0::0:1')?.text).toBe('2001:db8::1');
    expect(parseAddress('64:FF9B::1.2.3.4')?.text).toBe('64:ff9b::102:304');
  });

  it('reads the table as arithmetic does, in and around every range', () => {
    const near = (rows: typeof ipv4Ranges, bits: number, number: (text: string) => bigint) =>
      fc
        .tuple(fc.constantFrom(...rows), fc.bigInt(-2n, 2n), fc.bigInt(0n, 2n ** BigInt(bits) - 1n), fc.nat(2))
        .map(([{ network, prefix }, step, random, where]) => {
          const size = 2n ** BigInt(bits - prefix);
          const start = number(network);
          const value = where === 0 ? start + step : where === 1 ? start + size + step : start + (random % size);
          return BigInt.asUintN(bits, value);
        });
    fc.assert(
      fc.property(near(ipv4Ranges, 32, ipv4Number), near(ipv6Ranges, 128, toNumber), (four, six) => {
        expect(kindOf(ipv4Text(four))).toBe(expected(four, 32));
        expect(kindOf(ipv6Text(six))).toBe(expected(six, 128));
      }),
      { numRuns: 1000 },
    );
  });

  it('never calls an IPv6 address open because the IPv4 address in it is not', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 2n ** 32n - 1n), (value) => {
        const inner = kindOf(ipv4Text(value)) ?? 'public';
        const translated = kindOf(ipv6Text((0x64ff9bn << 96n) | value)) ?? 'public';
        expect(openingOf[translated] === 'open').toBe(openingOf[inner] === 'open');
        for (const prefix of [0n, 0xffffn << 32n, 0xffffn << 48n])
          expect(openingOf[kindOf(ipv6Text(prefix | value)) ?? 'public']).not.toBe('open');
      }),
    );
  });
});
