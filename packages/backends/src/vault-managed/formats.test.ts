import fc from 'fast-check';
import { SecretValue } from '@strongroom/crypto';
import { describe, expect, it } from 'vitest';
import type { Content } from '../backend.ts';
import { contentOf, foreignMembers, maxValueBytes, membersOf, writeRequest } from './content.ts';
import { formatWriteMark, readWriteMark, type WriteMark } from './mark.ts';
import { encodeDomain, type ManagedScope, scopePath } from './scope-path.ts';

const place = 'secret/poc/KEY';
const canary = 'canary-4be1';

describe('where a scope is', () => {
  it('is the documented layout', () => {
    const at = (scope: ManagedScope) => scopePath('/v1/secret/data/iomete/poc', scope).folder;
    expect([at({ kind: 'global' }), at({ kind: 'admin' }), at({ kind: 'domain', name: 'finance-1' })]).toEqual([
      'iomete/poc',
      'iomete/poc-admin',
      'iomete/poc-domain-finance-1',
    ]);
    expect(() => scopePath('/v1/secret/data', { kind: 'global' })).toThrow(
      expect.objectContaining({ code: 'validation_failed' }),
    );
  });

  it('is another one for each domain, and never that of Admin or Global', () => {
    const domain = fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }).filter((name) => name.isWellFormed());
    const odd = fc.constantFrom(
      'admin',
      '-admin',
      'a_62',
      'ab',
      'a_b',
      'A',
      'a',
      'a/b',
      '..',
      '_',
      '_5f',
      'é',
      'e\u0301',
    );
    const any = fc.oneof(domain, odd);
    fc.assert(
      fc.property(any, any, (a, b) => {
        expect(encodeDomain(a) === encodeDomain(b)).toBe(a === b);
        expect(encodeDomain(a)).toMatch(/^[a-z0-9_-]+$/);
      }),
    );
  });
});

describe('what is written', () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 50 });
  const fields = fc.dictionary(
    fc
      .oneof(text, fc.constantFrom('value', 'valueBase64', '__proto__', '10', '9'))
      .filter((name) => name !== '_strongroom'),
    text,
    { maxKeys: 6 },
  );
  const content: fc.Arbitrary<Content> = fc.oneof(
    text.map((value): Content => ({ shape: 'text', value: SecretValue.fromText(value) })),
    fc
      .uint8Array({ maxLength: 60 })
      .map((value): Content => ({ shape: 'binary', value: SecretValue.fromBytes(value) })),
    fields.map((value): Content => ({ shape: 'fields', value: SecretValue.fromText(JSON.stringify(value)) })),
  );

  it('is read as it was, beside whatever others have there, which stays', () => {
    fc.assert(
      fc.property(content, fc.dictionary(text, text, { maxKeys: 3 }), (written, theirs) => {
        const { shape, members } = membersOf(written);
        const foreign = Object.fromEntries(
          Object.entries(theirs).filter(([name]) => !Object.hasOwn(members, name) && name !== '_strongroom'),
        );
        const mark: WriteMark = {
          intentId: 'i',
          version: 1,
          place,
          shape,
          ...(shape === 'fields' ? { fields: Object.keys(members) } : {}),
        };
        const body = writeRequest({ ...foreign, ...members, _strongroom: formatWriteMark(mark) }, 0);
        const { data } = JSON.parse(body.revealText()) as { data: Record<string, unknown> };
        const found = readWriteMark(data['_strongroom'], place);
        const read = contentOf(data, found);
        expect(read.shape).toBe(shape);
        if (shape === 'fields')
          expect(JSON.parse(read.value.revealText())).toEqual(JSON.parse(written.value.revealText()));
        else expect(read.value.equals(written.value)).toBe(true);
        expect(foreignMembers(data, found)).toEqual(foreign);
      }),
      { numRuns: 200 },
    );
  });

  it.each([
    `{"a":"${canary}"`,
    `["${canary}"]`,
    `"${canary}"`,
    'null',
    `{"a":1,"b":"${canary}"}`,
    `{"a":{"b":"${canary}"}}`,
    `{"_strongroom":"${canary}"}`,
  ])('is refused when it is no object of texts: %s', (value) => {
    const call = () => membersOf({ shape: 'fields', value: SecretValue.fromText(value) });
    expect(call).toThrow(expect.objectContaining({ code: 'validation_failed' }));
    expect(call).not.toThrow(canary);
  });

  it('is refused over the size, as a value and as a request', () => {
    const sized = (bytes: number, fill: string) =>
      ({ shape: 'text', value: SecretValue.fromText(fill.repeat(bytes)) }) as const;
    expect(() => membersOf(sized(maxValueBytes + 1, 'x'))).toThrow(expect.objectContaining({ code: 'backend_limit' }));
    const { members } = membersOf(sized(maxValueBytes, '\u0001'));
    expect(() => writeRequest(members, 0)).toThrow(expect.objectContaining({ code: 'backend_limit' }));
  });

  it('is not text when its bytes are not', () => {
    const value = SecretValue.fromBytes(Uint8Array.of(0xff));
    expect(() => membersOf({ shape: 'text', value })).toThrow(expect.objectContaining({ code: 'validation_failed' }));
  });
});

describe('the mark of a write', () => {
  const mark: WriteMark = { intentId: 'i', version: 3, place, shape: 'text' };

  it('is read at its own place alone', () => {
    expect(readWriteMark(formatWriteMark(mark), place)).toEqual(mark);
    expect(readWriteMark(formatWriteMark(mark), 'secret/other/KEY')).toBeNull();
  });

  it.each([
    undefined,
    7,
    '',
    '{',
    '[]',
    '{}',
    formatWriteMark({ ...mark, shape: 'fields' }),
    '{"place":"secret/poc/KEY"}',
  ])('is none: %j', (text) => {
    expect(readWriteMark(text, place)).toBeNull();
  });

  it('leaves legacy entries as they are: text by the field value, else fields', () => {
    expect(contentOf({ value: 'a', note: 'b' }, null)).toMatchObject({ shape: 'text', fieldNames: null });
    expect(contentOf({ user: 'a', password: 'b' }, null)).toMatchObject({ fieldNames: ['user', 'password'] });
    expect(() => contentOf({ value: { a: 'b' } }, null)).toThrow(
      expect.objectContaining({ code: 'backend_malformed' }),
    );
  });
});
