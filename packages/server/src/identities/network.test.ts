import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { networkOf } from './network.ts';
import { foldUserName } from './user-name.ts';

describe('networkOf', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::ffff:c000:201', '192.0.2.1'],
    ['64:ff9b::192.0.2.1', '192.0.2.1'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:DB8:0:0:ffff:1:2:3', '2001:db8:0:0::/64'],
    ['2001:db8:0:1::1', '2001:db8:0:1::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['', 'unknown'],
    ['192.0.2.1, 198.51.100.1', 'unknown'],
    ['localhost', 'unknown'],
  ])('takes %s for %s', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });

  it('keeps every address of a /64 together, however it is written', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 4, maxLength: 4 }), (host) => {
        const groups = host.map((group) => group.toString(16));
        const upper = groups.map((group) => group.toUpperCase().padStart(4, '0'));
        expect(networkOf(`2001:db8:7:9:${groups.join(':')}`)).toBe('2001:db8:7:9::/64');
        expect(networkOf(`2001:0DB8:0007:0009:${upper.join(':')}`)).toBe('2001:db8:7:9::/64');
      }),
    );
  });
});

describe('foldUserName', () => {
  it.each([
    ['Ann', 'ann'],
    ['  ann\t', 'ann'],
    ['A.B_c-d@example.org', 'a.b_c-d@example.org'],
    ['constructor', 'constructor'],
  ])('folds %j to %j', (typed, name) => {
    expect(foldUserName(typed)).toBe(name);
  });

  // ſ, the Kelvin sign and İ fold into ASCII; the others look like something they are not.
  it.each([
    '',
    ' ',
    'an\u017f',
    '\u212aim',
    '\u0130nga',
    'a nn',
    'ann\u200b',
    '\u202eann',
    'ann\0',
    '__proto__',
    '-ann',
    'a'.repeat(65),
  ])('refuses %j', (typed) => {
    expect(foldUserName(typed)).toBeNull();
  });
});
