import { StrongroomError } from '@strongroom/contract';
import * as fc from 'fast-check';
import { inspect, isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import { maxJsonDepth, maxJsonMembers, parseJsonBody } from './json-body.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function refusal(text: string | Uint8Array): StrongroomError {
  try {
    parseJsonBody(typeof text === 'string' ? bytes(text) : text);
  } catch (error) {
    if (error instanceof StrongroomError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

function attempt(text: string): unknown {
  try {
    return parseJsonBody(bytes(text));
  } catch (error) {
    return error;
  }
}

/** Whether JSON.parse refuses it, or keeps fewer members than the text has keys: a duplicate was dropped. */
function isRefusedElsewhere(text: string): boolean {
  let members = 0;
  try {
    JSON.parse(text, (_key, value: unknown) => {
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) members += Object.keys(value).length;
      return value;
    });
  } catch {
    return true;
  }
  return [...text.matchAll(/"(?:\\.|[^"\\])*"\s*:/g)].length > members;
}

describe('parseJsonBody', () => {
  it('reads what JSON.parse reads, and refuses only what that would change', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), (text) => {
        const outcome = attempt(text);
        // fast-check also makes doubles with more digits than they hold, and __proto__ keys.
        if (outcome instanceof StrongroomError) return /__proto__|\d[.eE]|\d{16}|\\u/.test(text);
        return isDeepStrictEqual(outcome, JSON.parse(text));
      }),
    );
  });

  it('refuses a document exactly when JSON.parse refuses it or drops a duplicate', () => {
    const tokens = ['{', '}', '[', ']', ',', ':', '"a"', '"b"', '"\\u0061"', '1', '-2.5', 'true', 'null', ' ', '"\\""'];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...tokens), { maxLength: 14 }), (chosen) => {
        const text = chosen.join('');
        return attempt(text) instanceof StrongroomError === isRefusedElsewhere(text);
      }),
      { numRuns: 5000 },
    );
  });

  it.each([
    ['an equal duplicate', '{"a":1,"a":1}'],
    ['a duplicate behind an escape', '{"a":1,"\\u0061":2}'],
    ['a duplicate deep inside', '{"x":[{"k":{"a":1,"b":2,"a":3}}]}'],
    ['a duplicate after a nested object', '{"a":{"a":1},"a":2}'],
    ['nothing', ''],
    ['a byte order mark', '\uFEFF{}'],
    ['a comment', '{"a":1}//'],
    ['a trailing comma', '{"a":1,}'],
    ['NaN', '{"a":NaN}'],
    ['an integer over 2^53', '{"a":9007199254740993}'],
    ['2^53 itself', '{"a":9007199254740992}'],
    ['an integer as a float', '{"a":9007199254740993.0}'],
    ['more digits than a double has', '{"a":0.12345678901234567890}'],
    ['overflow', '{"a":1e400}'],
    ['underflow', '{"a":1e-400}'],
    ['an endless number', `{"a":${'1'.repeat(500_000)}}`],
    ['an open string', '{"a":"b'],
    ['a raw control character', '{"a":"\u0001"}'],
  ])('answers request_malformed to %s', (_name, text) => {
    expect(refusal(text).code).toBe('request_malformed');
  });

  it('keeps what doubles keep', () => {
    expect(parseJsonBody(bytes('[9007199254740991,-9007199254740991,0.1,1.50,1e5,-0.25,0,1E+2]'))).toEqual([
      9007199254740991, -9007199254740991, 0.1, 1.5, 100000, -0.25, 0, 100,
    ]);
  });

  it('refuses invalid UTF-8 instead of replacing it', () => {
    for (const bad of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82]])
      expect(refusal(Uint8Array.from([0x22, ...bad, 0x22])).code).toBe('request_malformed');
  });

  it('refuses depth and numbers of members, fast and without a deep stack', () => {
    const started = performance.now();
    for (const text of [
      '['.repeat(1_000_000),
      '{"a":'.repeat(200_000),
      `${'['.repeat(maxJsonDepth + 1)}${']'.repeat(maxJsonDepth + 1)}`,
      `{${Array.from({ length: 1_000_000 }, (_, index) => `"k${index}":0`).join(',')}}`,
      `[${'0,'.repeat(maxJsonMembers + 1)}0]`,
    ])
      expect(refusal(text).code).toBe('request_malformed');
    expect(performance.now() - started).toBeLessThan(60_000);
    expect(parseJsonBody(bytes(`${'['.repeat(maxJsonDepth)}${']'.repeat(maxJsonDepth)}`))).toBeDefined();
  });

  it('is linear in backslashes and quotes', () => {
    const started = performance.now();
    parseJsonBody(bytes(`"${'\\\\'.repeat(500_000)}"`));
    parseJsonBody(bytes(`"${'\\"'.repeat(500_000)}"`));
    expect(performance.now() - started).toBeLessThan(60_000);
  });

  it('refuses text that cannot be stored as it is, and points to it', () => {
    expect(refusal('{"a":["\\ud800"]}')).toMatchObject({ code: 'validation_failed', errors: [{ pointer: '/a/0' }] });
    expect(refusal('{"a":{"b/c~":"x\\u0000"}}')).toMatchObject({
      code: 'validation_failed',
      errors: [{ pointer: '/a/b~1c~0' }],
    });
    expect(refusal('{"\\udc00":1}').code).toBe('validation_failed');
    expect(refusal('{"__proto__":{"x":1}}').code).toBe('validation_failed');
    expect(refusal('{"fields":{"\\u005f_proto__":"x"}}').code).toBe('validation_failed');
  });

  it('keeps NUL in values, which are bytes', () => {
    expect(parseJsonBody(bytes('{"value":"a\\u0000b","fields":{"user":"\\u0000"}}'))).toEqual({
      value: 'a\0b',
      fields: { user: '\0' },
    });
  });

  it('never quotes the body in its errors', () => {
    const canary = 'canary-5b1f';
    for (const text of [`{"value":"${canary}"`, `{"a":"${canary}" "b"}`, `{"${canary}":1,"${canary}":2}`]) {
      const error = refusal(text);
      expect(inspect(error, { depth: 5 })).not.toContain(canary);
    }
  });
});
