import { describe, expect, it } from 'vitest';
import { createRedactor, RedactorLimitError, type Redactor, unmaskedReason } from './index.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const redactorOf = (values: Record<string, string>): Redactor =>
  createRedactor(Object.entries(values).map(([name, value]) => ({ name, value: bytes(value) })));
const base64 = (text: string): string => Buffer.from(text).toString('base64');

const SECRET = 'canary-6f1d+/Zoë "quoted" <&>\n\ttail';

describe('encoded forms', () => {
  const redactor = redactorOf({ DB_PASSWORD: SECRET });
  const percent = (hex: string): string =>
    [...bytes(SECRET)]
      .map((byte) => `%${byte.toString(16).padStart(2, '0')}`)
      .join('')
      .replaceAll(/[a-f]/g, (digit) => (hex === 'upper' ? digit.toUpperCase() : digit));
  const asciiJson = (text: string): string =>
    JSON.stringify(text).replaceAll(
      /[\u0080-\uffff]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
  const forms: Record<string, string> = {
    raw: SECRET,
    hex: Buffer.from(SECRET).toString('hex'),
    HEX: Buffer.from(SECRET).toString('hex').toUpperCase(),
    encodeURIComponent: encodeURIComponent(SECRET),
    'encodeURIComponent, lower-case escapes': encodeURIComponent(SECRET).replaceAll(/%../g, (escape) =>
      escape.toLowerCase(),
    ),
    encodeURI: encodeURI(SECRET),
    'form with + for blanks': new URLSearchParams({ x: SECRET }).toString().slice(2),
    'every byte percent-encoded': percent('upper'),
    'every byte percent-encoded, lower case': percent('lower'),
    JSON: JSON.stringify(SECRET).slice(1, -1),
    'JSON with \\/': JSON.stringify(SECRET).slice(1, -1).replaceAll('/', '\\/'),
    'JSON in ASCII': asciiJson(SECRET).slice(1, -1),
    'JSON in ASCII, upper-case escapes': asciiJson(SECRET).slice(1, -1).replaceAll('00eb', '00EB'),
    'JSON with < > & escaped': JSON.stringify(SECRET)
      .slice(1, -1)
      .replaceAll('<', '\\u003c')
      .replaceAll('>', '\\u003e')
      .replaceAll('&', '\\u0026'),
    'JSON in JSON': JSON.stringify(JSON.stringify(SECRET).slice(1, -1)).slice(1, -1),
    'ASCII JSON in JSON': JSON.stringify(asciiJson(SECRET).slice(1, -1)).slice(1, -1),
  };
  it.each(Object.entries(forms))('masks %s', (_, form) => {
    expect(redactor.redactText(`before ${form} after`)).toBe('before [redacted:DB_PASSWORD] after');
  });

  it.each([0, 1, 2, 3, 4])('masks base64 with %i bytes before the value, in both alphabets', (count) => {
    const whole = base64(`${'\u007f'.repeat(count)}${SECRET}??>>`);
    for (const text of [whole, whole.replaceAll('+', '-').replaceAll('/', '_')]) {
      const masked = redactor.redactText(` ${text} `);
      const [head = '', tail = ''] = masked.split('[redacted:DB_PASSWORD]');
      // Only characters without a bit of the value are left.
      expect(Buffer.from(head.trim(), 'base64').every((byte) => byte === 0x7f)).toBe(true);
      expect(head.trim()).toHaveLength(Math.floor((count * 8) / 6));
      expect(tail.trim().length).toBeLessThanOrEqual(Math.ceil((4 * 8) / 6) + 2);
      expect(text.startsWith(head.trim())).toBe(true);
      expect(text.endsWith(tail.trim())).toBe(true);
    }
  });

  it('leaves no canary in any encoding', () => {
    const canary = 'CANARY_b3c1a1f0_9d';
    const masked = redactorOf({ TOKEN: canary }).redactText(
      [
        canary,
        base64(canary),
        base64(`a${canary}`),
        base64(`ab${canary}z`),
        Buffer.from(canary).toString('hex'),
        encodeURIComponent(canary),
        JSON.stringify({ canary }),
      ].join('\n'),
    );
    expect(masked).not.toContain('b3c1a1f0');
    expect(masked).not.toContain(Buffer.from('b3c1a1f0').toString('hex'));
    expect(masked.match(/\[redacted:TOKEN\]/g)).toHaveLength(7);
  });

  it('masks a value that is not UTF-8', () => {
    const value = Uint8Array.of(0xff, 0xfe, 0, 1, 2, 3, 0x80, 0x81, 0xc3);
    const stream = createRedactor([{ name: 'KEY', value }]).stream();
    const output = Buffer.concat([
      stream.push(bytes('<')),
      stream.push(value),
      stream.push(bytes(`> ${Buffer.from(value).toString('hex')}`)),
      stream.end(),
    ]);
    expect(output.toString()).toBe('<[redacted:KEY]> [redacted:KEY]');
  });
});

describe('short values and words', () => {
  const redactor = redactorOf({
    PIN: '4711',
    SHORT: 'abc',
    NOTHING: '',
    BLANK: '         ',
    FLAG: 'True',
    HOST: 'localhost',
    ODD: 'p@s-1',
    WORD8: 'password',
  });

  it('reports what is not masked, and why', () => {
    expect(redactor.unmasked).toEqual([
      { name: 'SHORT', reason: 'too_short' },
      { name: 'NOTHING', reason: 'empty' },
      { name: 'BLANK', reason: 'empty' },
      { name: 'FLAG', reason: 'common_word' },
      { name: 'HOST', reason: 'common_word' },
      { name: 'WORD8', reason: 'common_word' },
    ]);
    const text = 'abc True localhost password          end';
    expect(redactor.redactText(text)).toBe(text);
  });

  it('says so of one value, without an index', () => {
    expect(unmaskedReason(bytes('abc'))).toBe('too_short');
    expect(unmaskedReason(bytes('{"a":"b"}'))).toBe('json_leaf_too_short');
    expect(unmaskedReason(bytes('4711'))).toBeUndefined();
  });

  it.each([
    ['4711', '[redacted:PIN]'],
    ['pin=4711, pin:4711\n4711', 'pin=[redacted:PIN], pin:[redacted:PIN]\n[redacted:PIN]'],
    ['47110 x4711 4711_ é4711 4711é', '47110 x4711 4711_ é4711 4711é'],
    ['(p@s-1)xp@s-1', '([redacted:ODD])xp@s-1'],
    ['p@s-11 p@s-1', 'p@s-11 [redacted:ODD]'],
    ['4711-4711', '[redacted:PIN]-[redacted:PIN]'],
  ])('masks 4–7 bytes as whole tokens: %s', (text, expected) => {
    expect(redactor.redactText(text)).toBe(expected);
  });

  it('does not search for encodings of 4–7 bytes', () => {
    const text = `${base64('4711')} ${Buffer.from('p@s-1').toString('hex')}`;
    expect(redactor.redactText(text)).toBe(text);
  });
});

describe('values inside values', () => {
  it('counts JSON leaves, numbers as written, but no keys', () => {
    const redactor = redactorOf({
      CONFIG:
        '{"username":"leaf-canary-1","list":[{"serial":12345678901234567890.0}],"unicode":"\\u00e9\\ud83d\\ude00canary","port":54321,"on":true}',
    });
    expect(redactor.redactText('leaf-canary-1 12345678901234567890.0 é😀canary 54321 username')).toBe(
      '[redacted:CONFIG] [redacted:CONFIG] [redacted:CONFIG] [redacted:CONFIG] username',
    );
    expect(redactor.redactText(base64('user:leaf-canary-1'))).not.toContain(base64('canary-1').slice(0, 6));
  });

  it('says once when a JSON string is too short', () => {
    expect(redactorOf({ CONFIG: '{"password":"abc","pin":"12","ssl":"yes","none":""}' }).unmasked).toEqual([
      { name: 'CONFIG', reason: 'json_leaf_too_short' },
    ]);
    expect(redactorOf({ CONFIG: '{"ssl":"yes","none":"","n":1}' }).unmasked).toEqual([]);
  });

  it('counts leaves of a document inside a leaf', () => {
    const inner = JSON.stringify({ private_key: 'inner-canary-77' });
    expect(redactorOf({ CONFIG: JSON.stringify({ inner }) }).redactText('<inner-canary-77>')).toBe(
      '<[redacted:CONFIG]>',
    );
  });

  it('treats deep or broken JSON as text', () => {
    for (const value of [`${'['.repeat(20_000)}canary-deep-1`, '{"a":"canary-broken-1"', '[not json]']) {
      expect(redactorOf({ CONFIG: value }).redactText(`<${value}>`)).toBe('<[redacted:CONFIG]>');
    }
  });

  const pem = [
    '-----BEGIN PRIVATE KEY-----',
    'MIIEvQIBADANBgkqhkiG9w0BAQEFAASC',
    'BKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj',
    'Mzz=',
    '-----END PRIVATE KEY-----',
    '',
  ].join('\n');

  it('counts the lines and the joined body of a PEM block, but not its frame', () => {
    const redactor = redactorOf({ TLS_KEY: pem });
    expect(redactor.redactText(pem)).toBe('[redacted:TLS_KEY]');
    expect(redactor.redactText('| MIIEvQIBADANBgkqhkiG9w0BAQEFAASC |')).toBe('| [redacted:TLS_KEY] |');
    expect(redactor.redactText(`<${pem.split('\n').slice(1, 4).join('')}>`)).toBe('<[redacted:TLS_KEY]>');
    expect(redactor.redactText('-----BEGIN PRIVATE KEY-----\nother')).toBe('-----BEGIN PRIVATE KEY-----\nother');
  });

  it('counts lines of a text without the blanks around them', () => {
    const redactor = redactorOf({ FILE: '  first-canary \r\n--------\nsecond-canary\n' });
    expect(redactor.redactText('[first-canary] -------- second-canary')).toBe(
      '[[redacted:FILE]] -------- [redacted:FILE]',
    );
    expect(redactorOf({ FILE: 'value-canary\n' }).redactText('"value-canary"')).toBe('"[redacted:FILE]"');
  });
});

describe('spans', () => {
  it('merges overlapping matches and names the longest', () => {
    const redactor = redactorOf({ A: 'overlap-one', B: 'one-and-a-longer-two' });
    expect(redactor.redactText('<overlap-one-and-a-longer-two>')).toBe('<[redacted:B]>');
  });
  it('names the first of two overlapping matches of one length', () => {
    expect(redactorOf({ B: 'gh12345678', A: 'abcdefgh12' }).redactText('abcdefgh12345678')).toBe('[redacted:A]');
  });
  it('masks the border character of a form that ends a longer match', () => {
    const redactor = redactorOf({ A: 'canary-8', B: `zz${base64('canary-8').slice(0, 10)}` });
    expect(redactor.redactText(`zz${base64('canary-8')}`)).toBe('[redacted:B]=');
  });
  it('keeps neighbours apart', () => {
    expect(redactorOf({ A: 'neighbour' }).redactText('neighbourneighbour')).toBe('[redacted:A][redacted:A]');
  });
  it('names the first of two equal values', () => {
    expect(redactorOf({ A: 'same-value', B: 'same-value' }).redactText('same-value')).toBe('[redacted:A]');
  });
  it('masks a self-overlapping run as one span', () => {
    expect(redactorOf({ A: 'aaaaaaaa' }).redactText(` ${'a'.repeat(100_000)} `)).toBe(' [redacted:A] ');
  });
  it('shows control characters of a name as ?', () => {
    expect(redactorOf({ 'A\n\u001b[0m': 'named-value' }).redactText('named-value')).toBe('[redacted:A??[0m]');
  });
});

describe('streams', () => {
  const redactor = redactorOf({ A: 'stream-canary-1', PIN: '4711' });

  it('releases at once what cannot become a match', () => {
    const stream = redactor.stream();
    expect(Buffer.from(stream.push(bytes('an ordinary line\n'))).toString()).toBe('an ordinary line\n');
    expect(Buffer.from(stream.push(bytes('progress .. '))).toString()).toBe('progress .. ');
    expect(Buffer.from(stream.push(bytes('x: stream-can'))).toString()).toBe('x: ');
    expect(Buffer.from(stream.push(bytes('didate\n'))).toString()).toBe('stream-candidate\n');
    expect(Buffer.from(stream.push(bytes('stream-canary-1 '))).toString()).toBe('[redacted:A] ');
    expect(Buffer.from(stream.push(bytes('4711'))).toString()).toBe('');
    expect(Buffer.from(stream.push(bytes('5\n'))).toString()).toBe('47115\n');
    expect(stream.end()).toHaveLength(0);
  });

  it('masks the start of a value at the end of the text, from 8 bytes on', () => {
    expect(redactor.redactText('cut: stream-c')).toBe('cut: [redacted:A]');
    expect(redactor.redactText('cut: stream-')).toBe('cut: stream-');
  });

  it('keeps streams apart', () => {
    const [out, err] = [redactor.stream(), redactor.stream()];
    const outParts = [out.push(bytes('stream-'))];
    const errParts = [err.push(bytes('canary-1')), err.end()];
    outParts.push(out.push(bytes('canary-1')), out.end());
    expect(Buffer.concat(errParts).toString()).toBe('canary-1');
    expect(Buffer.concat(outParts).toString()).toBe('[redacted:A]');
  });

  it('keeps bytes that are not UTF-8 and characters cut by a chunk border', () => {
    const text = Uint8Array.of(0xc3, 0x28, 0xff, ...bytes('ä😀stream-canary-1ü'), 0x00, 0xe2, 0x82);
    const stream = redactor.stream();
    const output = Buffer.concat([...Array.from(text, (byte) => stream.push(Uint8Array.of(byte))), stream.end()]);
    expect(output).toEqual(
      Buffer.concat([Uint8Array.of(0xc3, 0x28, 0xff), bytes('ä😀[redacted:A]ü'), Uint8Array.of(0x00, 0xe2, 0x82)]),
    );
  });

  it('does not change or keep the caller’s chunk', () => {
    const stream = redactor.stream();
    const chunk = bytes('a plain chunk, s');
    const output = stream.push(chunk);
    chunk.fill(0);
    expect(Buffer.concat([output, stream.end()]).toString()).toBe('a plain chunk, s');
  });

  it('refuses use after the end and after dispose', () => {
    const own = redactorOf({ A: 'dispose-canary' });
    const [ended, open] = [own.stream(), own.stream()];
    ended.end();
    expect(() => ended.push(bytes('x'))).toThrow('ended');
    expect(() => ended.end()).toThrow('ended');
    own.dispose();
    expect(() => open.push(bytes('x'))).toThrow('disposed');
    expect(() => own.redactText('x')).toThrow('disposed');
  });
});

describe('limits', () => {
  it('holds 1,000 values within the memory of a launch', () => {
    const values = Array.from({ length: 1000 }, (_, index) => ({
      name: `V${index}`,
      value: bytes(`value-${index}-${'p?ss/'.repeat(10)}`),
    }));
    const redactor = createRedactor(values);
    expect(redactor.indexBytes).toBeLessThan(64 * 1024 * 1024);
    expect(redactor.redactText(`<value-999-${'p?ss/'.repeat(10)}>`)).toBe('<[redacted:V999]>');
  });

  it('finds a value of 64 KiB in every form, in small chunks', () => {
    const value = Buffer.from(
      Array.from({ length: 65_536 }, (_, index) => 33 + ((index * index * 31 + index * 7) % 94)),
    );
    const redactor = createRedactor([{ name: 'BIG', value }]);
    for (const form of [
      value.toString(),
      value.toString('base64'),
      value.toString('hex'),
      encodeURIComponent(value.toString()),
    ]) {
      const stream = redactor.stream();
      const parts: Uint8Array[] = [];
      const text = bytes(`<${form}>`);
      for (let at = 0; at < text.length; at += 100) parts.push(stream.push(text.subarray(at, at + 100)));
      expect(Buffer.concat([...parts, stream.end()]).toString()).toMatch(/^<\[redacted:BIG\]=*>$/);
    }
  });

  it('refuses values whose index would be too large, without naming them', () => {
    const values = Array.from({ length: 8 }, (_, index) => ({
      name: 'BIG',
      value: bytes(`limit-canary-${index}-`.repeat(800)),
    }));
    let caught: unknown;
    try {
      createRedactor(values, { indexLimitBytes: 4 * 1024 * 1024 });
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(RedactorLimitError);
    expect(caught).toMatchObject({ code: 'limit_exceeded', message: expect.not.stringContaining('canary') });
  });

  it('takes no values', () => {
    expect(createRedactor([]).redactText('nothing to hide')).toBe('nothing to hide');
  });
});
