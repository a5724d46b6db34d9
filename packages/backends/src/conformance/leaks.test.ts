import { StrongroomError } from '@strongroom/contract/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fieldPairs } from './content.ts';
import { leakIn } from './leaks.ts';

const canary = 'canary-"\\é/+?&-0123456789';
const encodings: Readonly<Record<string, (text: string) => string>> = {
  raw: (text) => text,
  json: (text) => JSON.stringify(text),
  url: encodeURIComponent,
  'lower-case hex': (text) => Buffer.from(text).toString('hex'),
  'upper-case hex': (text) => Buffer.from(text).toString('hex').toUpperCase(),
  base64: (text) => Buffer.from(text).toString('base64'),
  base64url: (text) => Buffer.from(text).toString('base64url'),
};

describe('leakIn', () => {
  test.each(Object.entries(encodings))('finds it %s, whatever stands before and behind', (_, encode) => {
    fc.assert(
      fc.property(fc.string({ maxLength: 7 }), fc.string({ maxLength: 7 }), (before, after) => {
        const error = new StrongroomError('backend_denied', { detail: encode(`${before}${canary}${after}`) });
        expect(leakIn(error, [canary])).toBe('the message of the error');
      }),
      { numRuns: 50 },
    );
  });

  test.each([
    ['a cause', () => new StrongroomError('internal', { cause: new Error('x', { cause: new Error(canary) }) })],
    ['a property', () => Object.assign(new Error('x'), { response: { headers: { 'x-token': canary } } })],
    ['a hidden property', () => Object.defineProperty(new Error('x'), 'input', { value: canary, enumerable: false })],
    ['a list of errors', () => new AggregateError([new Error(canary)])],
    ['something that is no error', () => ({ body: [canary] })],
    ['field errors', () => new StrongroomError('validation_failed', { errors: [{ pointer: '/a', message: canary }] })],
    ['the stack alone', () => Object.assign(new Error('x'), { stack: `Error: ${canary}` })],
    ['bytes', () => Object.assign(new Error('x'), { code: Buffer.from(canary).toString('latin1') })],
  ])('finds it in %s', (where, error) => {
    const text = where === 'bytes' ? Buffer.from(canary).toString('latin1') : canary;
    expect(leakIn(error(), [text])).not.toBeNull();
  });

  test('finds nothing where nothing is', () => {
    const error = new StrongroomError('backend_denied', { detail: 'The policy refuses', cause: new Error('403') });
    expect(leakIn(error, [canary, 'short', ''])).toBeNull();
  });
});

describe('fieldPairs', () => {
  test('has every member in the order of the text', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.string(), fc.string()), { maxLength: 8 }), (pairs) => {
        const text = `{ ${pairs.map(([name, value]) => `${JSON.stringify(name)} : ${JSON.stringify(value)}`).join(' ,\n')} }`;
        expect(fieldPairs(Buffer.from(text))).toEqual(pairs);
      }),
    );
  });

  test.each(['', 'x', '[]', 'null', '"a"', '{"a":1}', '{"a":{"b":"c"}}', '{"a":null}', '{"a":"b"'])(
    'is null for %j',
    (text) => expect(fieldPairs(Buffer.from(text))).toBeNull(),
  );
});
