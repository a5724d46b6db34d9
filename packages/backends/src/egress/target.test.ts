import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openingOf, parseAddress } from './addresses.ts';
import { createEgress } from './egress.ts';
import { EgressError } from './errors.ts';

const egress = createEgress({ allow: [], allowLoopback: false });
const check = (text: string) => egress.checkUrl(text, { schemes: ['https', 'http'], allowPlaintext: true });

function refusalOf(text: string): EgressError {
  try {
    check(text);
  } catch (error) {
    if (error instanceof EgressError) return error;
    throw error;
  }
  throw new Error(`${text} was accepted`);
}

describe('what a URL may look like', () => {
  it.each([
    ['https://vault.example', { href: 'https://vault.example/', host: 'vault.example', port: 443, path: '/' }],
    ['HTTPS://Vault.Example:8200/v1/', { href: 'https://vault.example:8200/v1/', host: 'vault.example', port: 8200 }],
    ['https://vault.example:443/a?b=c%20d&e', { href: 'https://vault.example/a?b=c%20d&e', path: '/a?b=c%20d&e' }],
    ['http://8.8.8.8:8200', { href: 'http://8.8.8.8:8200/', host: '8.8.8.8' }],
    ['https://[2606:4700:4700::1111]/', { host: '2606:4700:4700::1111', href: 'https://[2606:4700:4700::1111]/' }],
    ['https://[2606:4700:4700:0:0:0:0:1111]:8200/', { host: '2606:4700:4700::1111', port: 8200 }],
    ['https://my_vault-1:8200', { host: 'my_vault-1' }],
    ['https://xn--bcher-kva.example?x', { path: '/?x' }],
    ["https://a.example/?it's", { host: 'a.example' }],
    ['https://1and1.0x7g', { host: '1and1.0x7g' }],
    ['https://a.example//b/.../c..d/%2f', { path: '//b/.../c..d/%2f' }],
  ])('%s is read', (text, expected) => {
    expect(check(text)).toMatchObject(expected);
  });

  it.each([
    ['a loopback name', 'https://localhost/'],
    ['a loopback name', 'https://LOCALHOST:8200/'],
    ['a name below it', 'https://vault.localhost/'],
    ['a final dot', 'https://localhost./'],
    ['a final dot', 'https://vault.example./'],
    ['only a dot', 'https://./'],
    ['decimal', 'https://2130706433/'],
    ['hexadecimal', 'https://0x7f000001/'],
    ['hexadecimal with an empty number', 'https://0x/'],
    ['two parts', 'https://0x7f.1/'],
    ['two parts', 'https://127.1/'],
    ['three parts', 'https://127.0.1/'],
    ['octal', 'https://0177.0.0.1/'],
    ['octal', 'https://0300.0250.0.1/'],
    ['leading zeros', 'https://010.0.0.1/'],
    ['too large a part', 'https://127.0.0.256/'],
    ['capital hexadecimal', 'https://0X7F.0.0.1/'],
    ['a number as the last label', 'https://vault.1/'],
    ['circled digits', 'https://①②⑦.⓪.⓪.①/'],
    ['full-width digits', 'https://１２７.0.0.1/'],
    ['an ideographic stop', 'https://127。0。0。1/'],
    ['escapes', 'https://%31%32%37.0.0.1/'],
    ['a soft hyphen', 'https://local\u00adhost/'],
    ['a zero-width joiner', 'https://local\u200dhost/'],
    ['a long s', 'https://localho\u017ft/'],
    ['a Kelvin sign', 'https://\u212aube.example/'],
    ['a private address', 'https://10.0.0.1/'],
    ['metadata', 'https://169.254.169.254/latest/meta-data/'],
    ['unspecified', 'https://0.0.0.0/'],
    ['unspecified', 'https://0/'],
    ['IPv6 loopback', 'https://[::1]/'],
    ['IPv6 loopback, long', 'https://[0:0:0:0:0:0:0:1]/'],
    ['IPv6 unspecified', 'https://[::]/'],
    ['IPv4-mapped', 'https://[::ffff:a9fe:a9fe]/'],
    ['IPv4-mapped, dotted', 'https://[::ffff:127.0.0.1]/'],
    ['IPv4-mapped, a public one', 'https://[::ffff:8.8.8.8]/'],
    ['IPv4-compatible', 'https://[::127.0.0.1]/'],
    ['IPv4-translated', 'https://[::ffff:0:7f00:1]/'],
    ['NAT64', 'https://[64:ff9b::a9fe:a9fe]/'],
    ['NAT64, local prefix', 'https://[64:ff9b:1::a9fe:a9fe]/'],
    ['6to4', 'https://[2002:7f00:1::]/'],
    ['Teredo', 'https://[2001:0:7f00:1::]/'],
    ['link-local', 'https://[fe80::1]/'],
    ['a zone', 'https://[fe80::1%25eth0]/'],
    ['a zone', 'https://[::1%lo]/'],
    ['unique local', 'https://[fd00:ec2::254]/'],
    ['IPv6 without brackets', 'https://::1/'],
    ['half a bracket', 'https://[::1/'],
    ['two brackets', 'https://[[::1]]/'],
    ['something after the bracket', 'https://[::1]x:443/'],
    ['IPvFuture', 'https://[v1.a]/'],
    ['IPv4 in brackets', 'https://[8.8.8.8]/'],
    ['a user', 'https://user@vault.example/'],
    ['a user and a password', 'https://user:word@vault.example/'],
    ['a host in the user', 'https://vault.example@10.0.0.1/'],
    ['an empty user', 'https://@vault.example/'],
    ['a fragment', 'https://vault.example/#x'],
    ['a fragment for a host', 'https://vault.example#@10.0.0.1/'],
    ['a backslash', 'https://vault.example\\@10.0.0.1/'],
    ['a backslash', 'https:\\\\vault.example/'],
    ['a tab', 'https://vault\t.example/'],
    ['a line end', 'https://vault.example/\r\nX-A: b'],
    ['a NUL', 'https://vault.example\0.evil.example/'],
    ['a blank before', ' https://vault.example/'],
    ['a blank after', 'https://vault.example/ '],
    ['no scheme', 'vault.example:8200'],
    ['no scheme', '//vault.example/'],
    ['one slash', 'https:/vault.example'],
    ['no slash', 'https:vault.example'],
    ['three slashes', 'https:///vault.example/'],
    ['file', 'file:///etc/passwd'],
    ['gopher', 'gopher://vault.example:70/'],
    ['ftp', 'ftp://vault.example/'],
    ['data', 'data://vault.example/'],
    ['unix', 'http+unix://vault.example/'],
    ['javascript', 'javascript://vault.example/'],
    ['no host', 'https://'],
    ['no host', 'https://:443/'],
    ['an empty port', 'https://vault.example:/'],
    ['port 0', 'https://vault.example:0/'],
    ['port 65536', 'https://vault.example:65536/'],
    ['a port with zeros', 'https://vault.example:0443/'],
    ['a signed port', 'https://vault.example:+443/'],
    ['two ports', 'https://vault.example:443:80/'],
    ['a hyphen at an edge', 'https://-vault.example/'],
    ['an empty label', 'https://vault..example/'],
    ['too long a label', `https://${'a'.repeat(64)}.example/`],
    ['too long a name', `https://${'a.'.repeat(127)}example/`],
    ['too long a URL', `https://vault.example/${'a'.repeat(8200)}`],
    ['a dot segment', 'https://vault.example/v1/../sys'],
    ['a dot segment at the end', 'https://vault.example/v1/.'],
    ['an escaped dot segment', 'https://vault.example/v1/%2e%2E/sys'],
    ['a half-escaped dot segment', 'https://vault.example/v1/.%2e/sys'],
    ['half an escape', 'https://vault.example/%2'],
    ['a brace', 'https://vault.example/{x}'],
    ['nothing', ''],
  ])('%s is refused: %j', (_what, text) => {
    expect(refusalOf(text)).toMatchObject({ code: 'egress_denied', status: 422, step: 'address' });
  });

  it('names the setting where it would help', () => {
    expect(refusalOf('https://10.0.0.1/').hint).toContain('STRONGROOM_EGRESS_ALLOW');
    expect(refusalOf('https://localhost/').hint).toContain('STRONGROOM_EGRESS_ALLOW');
  });

  it('says the host at most: a path, a query or a user can hold a secret', () => {
    const canary = 'canary-8f1c';
    for (const text of [
      `https://user:${canary}@vault.example/`,
      `https://10.0.0.1/hooks/${canary}?token=${canary}`,
      `https://vault.example/${canary}#${canary}`,
      `https://vault.example/${canary}/../x`,
      `https://vault.example/?${canary}\n`,
      `nothing://${canary}/`,
      `https://vault.example:${canary}@10.0.0.1/`,
    ]) {
      const error = refusalOf(text);
      expect(`${error.message}${error.detail ?? ''}${error.hint}${error.stack ?? ''}`).not.toContain(canary);
    }
  });

  it('makes what it quotes harmless', () => {
    const quoted = (host: string) => {
      try {
        egress.checkHost(host, 25);
      } catch (error) {
        return String(error);
      }
      return '';
    };
    expect(quoted('a\u001b[31m\u202e\r\nb')).toContain('a\\u{1b}[31m\\u{202e}\\u{d}\\u{a}b:25');
    expect(quoted('x'.repeat(10_000)).length).toBeLessThan(500);
  });
});

describe('what other parsers make of a spelling', () => {
  const isPrivate = (host: string): boolean => {
    const address = parseAddress(host.replaceAll(/[[\]]/g, ''));
    return host === 'localhost' || host === 'localhost.' || (address !== null && openingOf[address.kind] !== 'open');
  };

  /** inet_aton(3), which getaddrinfo follows: one to four parts, each decimal, octal or hexadecimal; the last fills the rest. */
  function inetAton(text: string): boolean {
    const parts = text.split('.');
    const numbers = parts.map((part) =>
      /^(?:0[xX][0-9a-fA-F]+|0[0-7]*|[1-9]\d*)$/.test(part)
        ? Number(/^0\d/.test(part) ? `0o${part.slice(1)}` : part)
        : NaN,
    );
    const last = numbers.pop() ?? NaN;
    return numbers.length <= 3 && numbers.every((number) => number <= 255) && last < 256 ** (4 - numbers.length);
  }

  const digits = Array.from('⓪①②③④⑤⑥⑦⑧⑨');
  const part = (value: number) =>
    fc.constantFrom(
      String(value),
      `0${value.toString(8)}`,
      `00${value.toString(8)}`,
      `0x${value.toString(16)}`,
      `0X${value.toString(16).toUpperCase()}`,
      Array.from(String(value))
        .map((digit) => digits[Number(digit)])
        .join(''),
      Array.from(String(value))
        .map((digit) => String.fromCodePoint(0xff10 + Number(digit)))
        .join(''),
      Array.from(String(value))
        .map((digit) => `%3${digit}`)
        .join(''),
    );
  const privateNumber = fc
    .tuple(
      fc.constantFrom([10, 0], [127, 0], [169, 254], [192, 168], [172, 16], [100, 64], [0, 0]),
      fc.nat(255),
      fc.nat(255),
    )
    .map(([[a = 0, b = 0], c, d]) => [a, b, c, d] as const);
  const ipv4Spelling = privateNumber.chain(([a, b, c, d]) =>
    fc
      .constantFrom(
        [a, b, c, d],
        [a, b, c * 256 + d],
        [a, (b * 256 + c) * 256 + d],
        [((a * 256 + b) * 256 + c) * 256 + d],
      )
      .chain((numbers) =>
        fc
          .tuple(fc.tuple(...numbers.map(part)), fc.constantFrom('.', '。', '．'), fc.constantFrom('', '.'))
          .map(([parts, dot, end]) => parts.join(dot) + end),
      ),
  );
  const ipv6Spelling = privateNumber.chain(([a, b, c, d]) => {
    const [high, low] = [(a * 256 + b).toString(16), (c * 256 + d).toString(16)];
    return fc.constantFrom(
      `[::ffff:${high}:${low}]`,
      `[0:0:0:0:0:FFFF:${a}.${b}.${c}.${d}]`,
      `[64:ff9b::${high}:${low}]`,
      `[0064:FF9B:0::${a}.${b}.${c}.${d}]`,
      `[2002:${high}:${low}::1]`,
      `[::${high}:${low}]`,
      `[fd${low.padStart(2, '0').slice(-2)}::${high}]`,
      '[::1]',
      '[0::0001]',
    );
  });

  it('refuses every spelling that WHATWG URL or getaddrinfo reads as a private address', () => {
    fc.assert(
      fc.property(fc.oneof(ipv4Spelling, ipv6Spelling), fc.constantFrom('', ':80', ':443', ':8200'), (host, port) => {
        const text = `https://${host}${port}/`;
        const read = URL.parse(text);
        // The spellings are what they should be.
        if (read !== null && !host.startsWith('[2002') && !host.startsWith('[64'))
          expect(isPrivate(read.hostname)).toBe(true);
        expect(refusalOf(text).code).toBe('egress_denied');
      }),
      { numRuns: 2000 },
    );
  });

  it('accepts only what every parser reads alike, and never a private address', () => {
    const text = fc
      .tuple(
        fc.constantFrom('https://', 'http://', 'HTTPS://', 'https:\\\\', 'https:/'),
        fc.string({
          unit: fc.constantFrom(...Array.from('0123456789abcdefxX.:[]%@\\/-_~?#①\u00ad\u200b')),
          maxLength: 24,
        }),
        fc.constantFrom('', '/', '/p', ':443', ':8200/', '@10.0.0.1/', '#x'),
      )
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(text, (text) => {
        let checked;
        try {
          checked = check(text);
        } catch (error) {
          expect(error).toMatchObject({ code: 'egress_denied' });
          return;
        }
        const read = new URL(text);
        expect(checked.href).toBe(read.href);
        expect(read.hostname.replaceAll(/[[\]]/g, '')).toBe(checked.host);
        expect(isPrivate(read.hostname)).toBe(false);
        expect(parseAddress(checked.host) === null && inetAton(checked.host)).toBe(false);
      }),
      { numRuns: 5000 },
    );
  });
});

describe('what allows it', () => {
  const open = createEgress({ allow: ['10.0.0.0/8:8200', 'localhost:8201', '[::1]:8202'], allowLoopback: false });
  const isAllowed = (text: string): boolean => {
    try {
      open.checkUrl(text, { schemes: ['https'] });
      return true;
    } catch {
      return false;
    }
  };

  it('an operator’s entry', () => {
    expect(isAllowed('https://10.1.2.3:8200')).toBe(true);
    expect(isAllowed('https://10.1.2.3')).toBe(false);
    expect(isAllowed('https://localhost:8201')).toBe(true);
    expect(isAllowed('https://localhost:8202')).toBe(true);
    expect(isAllowed('https://localhost:8203')).toBe(false);
    expect(isAllowed('https://127.0.0.1:8201')).toBe(false);
    expect(isAllowed('https://[::1]:8202')).toBe(true);
  });

  it('the embedded install, for this machine', () => {
    const embedded = createEgress({ allow: [], allowLoopback: true });
    for (const text of [
      'http://localhost:8200',
      'http://127.0.0.1:8200',
      'http://[::1]:8200',
      'http://127.8.8.8',
      'http://vault.localhost',
    ])
      expect(embedded.checkUrl(text, { schemes: ['http'] }).scheme).toBe('http');
    for (const text of [
      'http://0.0.0.0',
      'http://[::ffff:127.0.0.1]',
      'http://127.1',
      'http://localhost.',
      'http://10.0.0.1',
    ])
      expect(() => embedded.checkUrl(text, { schemes: ['http'], allowPlaintext: true })).toThrow(EgressError);
  });

  it('no entry: plaintext to another machine', () => {
    expect(() => open.checkUrl('http://10.1.2.3:8200', { schemes: ['http'] })).toThrow(/without TLS/);
    expect(open.checkUrl('http://10.1.2.3:8200', { schemes: ['http'], allowPlaintext: true }).port).toBe(8200);
  });

  it('other schemes with their ports', () => {
    expect(open.checkUrl('ldaps://directory.example', { schemes: ['ldaps'] })).toMatchObject({ port: 636, path: '' });
    expect(open.checkUrl('smtp://mail.example', { schemes: ['smtp'] }).port).toBe(587);
    expect(() => open.checkUrl('ldap://10.0.0.1', { schemes: ['ldap'] })).toThrow(EgressError);
    expect(() => open.checkUrl('vault://vault.example', { schemes: ['vault'] })).toThrow(/needs a port/);
  });
});
