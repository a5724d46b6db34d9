import { inspect } from 'node:util';
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { CryptoError } from './errors.ts';
import { SecretValue } from './secret-value.ts';

const CANARY = 'canary-6f1d0c4e-secret-value';

it('prints as [secret] wherever text is made of it', () => {
  const value = SecretValue.fromText(CANARY);
  const printed = [
    String(value),
    ['', value].join(),
    JSON.stringify({ value, list: [value] }),
    inspect({ value }, { depth: null, showHidden: true }),
    inspect(value, { customInspect: false, showHidden: true }),
    JSON.stringify(Object.entries(value)),
    JSON.stringify(structuredClone(value)),
    JSON.stringify(Object.getOwnPropertyNames(value)),
  ].join('\n');
  expect(printed).toContain('[secret]');
  expect(printed).not.toContain(CANARY);
  expect(printed).not.toContain(Buffer.from(CANARY).join(','));
  expect(printed).not.toContain(Buffer.from(CANARY).toString('hex'));
});

it('keeps any well-formed text exactly', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const value = SecretValue.fromText(text);
      expect(value.revealText()).toBe(text);
      expect(value.byteLength).toBe(Buffer.byteLength(text));
    }),
  );
});

it.each(['\uFEFFbom', 'nul\0', '  blanks\r\n', 'e\u0301'])('alters nothing in %j', (text) => {
  expect(SecretValue.fromText(text).revealText()).toBe(text);
});

it.each(['\uD800', 'a\uDC00b', '\uDC00\uD800'])('refuses the lone surrogate in %j', (text) => {
  expect(() => SecretValue.fromText(text)).toThrow(CryptoError);
});

it('refuses to make text of bytes that are no UTF-8, without quoting them', () => {
  const bytes = Buffer.concat([Buffer.from(CANARY), Buffer.of(0xff)]);
  const value = SecretValue.fromBytes(bytes);
  expect(() => value.revealText()).toThrow(new CryptoError('format_invalid', "The value isn't UTF-8 text"));
  expect(Buffer.from(value.reveal()).equals(bytes)).toBe(true);
});

it('is not changed through what went in or came out', () => {
  const bytes = Uint8Array.of(1, 2, 3);
  const value = SecretValue.fromBytes(bytes);
  bytes.fill(9);
  value.reveal().fill(9);
  expect([...value.reveal()]).toEqual([1, 2, 3]);
});

it('compares contents of any length', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
      const left = SecretValue.fromBytes(a);
      expect(left.equals(SecretValue.fromBytes(Uint8Array.from(a)))).toBe(true);
      expect(left.equals(SecretValue.fromBytes(b))).toBe(Buffer.compare(a, b) === 0);
    }),
  );
});

it('is copied for somebody else to destroy', () => {
  const value = SecretValue.fromText(CANARY);
  const copy = value.copy();
  value.destroy();
  expect(copy.revealText()).toBe(CANARY);
  expect(() => value.copy()).toThrow(TypeError);
});

it('can not be read once destroyed', () => {
  const value = SecretValue.fromText(CANARY);
  value.destroy();
  expect(() => value.reveal()).toThrow(TypeError);
  expect(() => value.revealText()).toThrow(TypeError);
  expect(() => SecretValue.fromText('').equals(value)).toThrow(TypeError);
});
