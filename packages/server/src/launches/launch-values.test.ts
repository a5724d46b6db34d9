import { SecretValue } from '@strongroom/crypto';
import { describe, expect, it } from 'vitest';
import { pickField, pickPart } from './launch-values.ts';

function part(text: string, entry: Parameters<typeof pickPart>[1], field?: string): string {
  const picked = pickPart(SecretValue.fromText(text), entry, field);
  return picked.kind === 'value' ? picked.value.revealText() : `none: ${picked.detail}`;
}

describe('the part of an entry that a reference means', () => {
  const native = { shape: 'fields', fields: 'native' } as const;
  it.each([
    ['{"user":"u","value":"v"}', 'user', 'u'],
    ['{"user":"u","value":"v"}', undefined, 'v'],
    ['{"user":"u"}', undefined, expect.stringContaining('name one of them')],
    ['{"user":"u"}', 'constructor', 'none: '],
    ['{"user":"u"}', '__proto__', 'none: '],
  ])('of fields %s #%s', (text, field, expected) => {
    expect(part(text, native, field)).toEqual(expected);
  });

  it('of one value is all of it', () => {
    const entry = { shape: 'text', fields: 'native' } as const;
    expect(part('{"a":1}', entry)).toBe('{"a":1}');
    expect(part('plain', entry, 'value')).toBe('plain');
    expect(part('{"a":1}', entry, 'a')).toBe('none: It is one value without other fields.');
  });

  const json = { shape: 'text', fields: 'json' } as const;
  it.each([
    ['{"port":5432}', '5432'],
    ['{"port":12345678901234567890.10}', '12345678901234567890.10'],
    ['{"port":1e400}', '1e400'],
    ['{"port":true}', 'true'],
    ['{"port":""}', ''],
    ['{"port":{"a":[1,"x"]}}', '{"a":[1,"x"]}'],
    ['{"port":null}', 'none: The field is null.'],
    ['{"other":1}', 'none: '],
    ['[{"port":1}]', 'none: It is no JSON object, so it has no fields.'],
    ['port: 5432', 'none: It is no JSON object, so it has no fields.'],
    ['{"port":"a","port":"b"}', 'none: It is no JSON object, so it has no fields.'],
    [`{"port":${'['.repeat(60_000)}`, 'none: It is no JSON object, so it has no fields.'],
  ])('of a JSON text %.40s is a member, as it is written', (text, expected) => {
    expect(part(text, json, 'port')).toBe(expected);
    expect(part(text, json)).toBe(text);
  });
});

describe('a field of a value', () => {
  const pick = (json: string, field: string): string | undefined =>
    pickField(SecretValue.fromText(json), field)?.revealText();

  it('is a text as it is, and everything else as its JSON, digit by digit', () => {
    expect(pick('{"a": "x\\n", "n": 12345678901234567890.10, "o": {"n": 1e400}, "b": true, "z": null}', 'a')).toBe(
      'x\n',
    );
    expect(pick('{"n": 12345678901234567890.10}', 'n')).toBe('12345678901234567890.10');
    expect(pick('{"o": {"n": 1e400}}', 'o')).toBe('{"n":1e400}');
    expect(pick('{"b": true}', 'b')).toBe('true');
  });

  it.each(['{"a": 1}', '[]', 'null', '"text"', 'not JSON at all', ''])('is missing in %s', (json) => {
    expect(pick(json, 'toString')).toBeUndefined();
    expect(pick(json, '__proto__')).toBeUndefined();
  });
});
