import { describe, expect, it } from 'vitest';
import { parseAddress } from './addresses.ts';
import { AllowEntryError, allowsAddress, allowsName, parseAllowEntry } from './allow-list.ts';

function isAllowed(entry: string, text: string, host: string | null, port: number): boolean {
  const address = parseAddress(text);
  if (address === null) throw new TypeError(`${text} is no address`);
  return allowsAddress([parseAllowEntry(entry)], address, host, port);
}

describe('entries of the allow-list', () => {
  it.each([
    ['10.0.0.0/8:8200', '10.1.2.3', null, 8200],
    ['10.1.2.3:8200', '10.1.2.3', 'vault.corp', 8200],
    ['10.0.0.0/8:*', '10.1.2.3', null, 1],
    ['[fd12::]/16:443', 'fd12:1::1', null, 443],
    ['[fd12::1]:443', 'fd12::1', null, 443],
    ['127.0.0.0/8:8200', '127.0.0.1', null, 8200],
    ['169.254.169.254:80', '169.254.169.254', null, 80],
    ['corp.example:8200', '10.1.2.3', 'corp.example', 8200],
    ['corp.example:8200', '10.1.2.3', 'vault.corp.example', 8200],
    ['Corp.Example:*', 'fd12::1', 'a.b.corp.example', 1],
    ['.corp.example:443', '100.64.0.1', 'vault.corp.example', 443],
    ['*.corp.example:443', '192.168.0.1', 'vault.corp.example', 443],
    ['localhost:8200', '127.0.0.1', 'localhost', 8200],
    ['[64:ff9b::]/96:443', '64:ff9b::a00:1', null, 443],
  ])('%s opens %s (as %s) at %i', (entry, address, host, port) => {
    expect(isAllowed(entry, address, host, port)).toBe(true);
  });

  it.each([
    ['10.0.0.0/8:8200', '10.1.2.3', null, 8201],
    ['10.0.0.0/8:8200', '11.1.2.3', 'private.example', 8200, true],
    ['10.0.0.0/8:8200', '192.168.0.1', null, 8200],
    // Node's block list takes an IPv4-mapped address for the IPv4 address.
    ['10.0.0.0/8:8200', '::ffff:10.0.0.1', null, 8200],
    ['0.0.0.0/0:*', '::ffff:10.0.0.1', null, 8200],
    ['[::]/0:*', '10.0.0.1', null, 8200],
    ['[::]/0:*', '::ffff:10.0.0.1', null, 8200],
    ['0.0.0.0/0:*', '0.0.0.0', null, 8200],
    ['0.0.0.0/0:*', '224.0.0.1', null, 8200],
    ['corp.example:8200', '10.1.2.3', 'corp.example', 443],
    ['corp.example:8200', '10.1.2.3', 'evilcorp.example', 8200],
    ['corp.example:8200', '10.1.2.3', 'corp.example.evil.example', 8200],
    ['.corp.example:443', '10.1.2.3', 'corp.example', 443],
    // A name opens private networks, not this machine and not the metadata service.
    ['corp.example:*', '127.0.0.1', 'vault.corp.example', 8200],
    ['corp.example:*', '169.254.169.254', 'vault.corp.example', 80],
    ['corp.example:*', '100.100.100.200', 'vault.corp.example', 80],
    ['corp.example:*', 'fd00:ec2::254', 'vault.corp.example', 80],
    ['corp.example:*', '0.0.0.0', 'vault.corp.example', 80],
    ['corp.example:*', '::ffff:10.0.0.1', 'vault.corp.example', 80],
    ['localhost:8200', '10.0.0.1', null, 8200],
  ])('%s does not open %s (as %s) at %i', (entry, address, host, port, isPublic = false) => {
    expect(isAllowed(entry, address, host, port)).toBe(isPublic);
  });

  it('compares names label by label', () => {
    const entries = [parseAllowEntry('corp.example:443')];
    expect(allowsName(entries, 'xcorp.example', 443)).toBe(false);
    expect(allowsName(entries, 'x.corp.example', 443)).toBe(true);
  });

  const canary = 'canary4711';
  it.each([
    '',
    ':443',
    canary,
    `${canary}:`,
    `${canary}:0`,
    `${canary}:65536`,
    `${canary}:0443`,
    `${canary}:44a`,
    `*:443`,
    `.:443`,
    `*${canary}:443`,
    `a.*.${canary}:443`,
    `-${canary}:443`,
    `${canary}.:443`,
    `https://${canary}:443`,
    `10.0.0.0/33:443`,
    `10.0.0.0/08:443`,
    `10.0.0.0/:443`,
    `10.0.0/8:443`,
    `127.1:443`,
    `0x7f.1:443`,
    `${canary}/8:443`,
    `[10.0.0.0]/8:443`,
    `fd00::/8:443`,
    `[fd00::]/129:443`,
    `[fd00::%${canary}]:443`,
    `[::ffff:10.0.0.0]/104:443`,
  ])('%j is refused, with words that hold nothing of it', (text) => {
    const parse = () => parseAllowEntry(text);
    expect(parse).toThrow(AllowEntryError);
    expect(parse).not.toThrow(canary);
  });
});
