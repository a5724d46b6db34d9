import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BASE64_BYTES, WORD_BYTES } from './bytes.ts';
import { emitForms } from './forms.ts';
import { createRedactor, type NamedValue, type Redactor } from './index.ts';
import { classifyValue, MIN_ENCODED_BYTES, visitParts } from './values.ts';

/** The specification, written for clarity: every form at every position, then merged. */
interface Pattern {
  bytes: Buffer;
  name: string;
  isToken: boolean;
  left: boolean;
  right: boolean;
}

function patternsOf(values: readonly NamedValue[]): Pattern[] {
  const patterns: Pattern[] = [];
  for (const { name, value } of values) {
    const add = (part: Uint8Array): void => {
      const kind = classifyValue(part);
      if (kind === 'token') patterns.push({ bytes: Buffer.from(part), name, isToken: true, left: false, right: false });
      if (kind === 'encoded')
        emitForms(part, (form, left, right) =>
          patterns.push({ bytes: Buffer.from(form), name, isToken: false, left, right }),
        );
    };
    add(value);
    if (['token', 'encoded'].includes(classifyValue(value))) visitParts(value, add, () => {});
  }
  return patterns;
}

interface Match {
  start: number;
  end: number;
  at: number;
  length: number;
  name: string;
}

function matchesOf(patterns: readonly Pattern[], text: Buffer): Match[] {
  const matches: Match[] = [];
  const isIn = (table: Uint8Array, index: number): boolean =>
    index >= 0 && index < text.length && table[text[index] ?? 0] === 1;
  for (const { bytes, name, isToken, left, right } of patterns) {
    for (let at = text.indexOf(bytes); at !== -1; at = text.indexOf(bytes, at + 1)) {
      const end = at + bytes.length;
      if (isToken && (isIn(WORD_BYTES, at - 1) || isIn(WORD_BYTES, end))) continue;
      const start = left && isIn(BASE64_BYTES, at - 1) ? at - 1 : at;
      matches.push({ start, end: right && isIn(BASE64_BYTES, end) ? end + 1 : end, at, length: bytes.length, name });
    }
  }
  const cut = cutMatch(patterns, text);
  return cut === undefined ? matches : [...matches, cut];
}

/** The longest proper prefix of a pattern that the text ends with; of several patterns the first in order of bytes. */
function cutMatch(patterns: readonly Pattern[], text: Buffer): Match | undefined {
  const encoded = patterns.filter((pattern) => !pattern.isToken).toSorted((a, b) => Buffer.compare(a.bytes, b.bytes));
  const longest = encoded.reduce((most, { bytes }) => Math.max(most, bytes.length), 0);
  for (let length = Math.min(longest, text.length); length >= MIN_ENCODED_BYTES; length--) {
    const at = text.length - length;
    const first = encoded.find(({ bytes }) => bytes.subarray(0, length).equals(text.subarray(at)));
    if (first === undefined) continue;
    const left = encoded.some((pattern) => pattern.bytes.equals(first.bytes) && pattern.left);
    const start = left && at > 0 && BASE64_BYTES[text[at - 1] ?? 0] === 1 ? at - 1 : at;
    return { start, end: text.length, at, length, name: first.name };
  }
  return undefined;
}

function redactSlowly(values: readonly NamedValue[], text: Buffer): Buffer {
  const matches = matchesOf(patternsOf(values), text).toSorted((a, b) => a.start - b.start || a.end - b.end);
  const parts: Buffer[] = [];
  let released = 0;
  for (let index = 0; index < matches.length;) {
    let best = matches[index];
    if (best === undefined) break;
    const { start } = best;
    let { end } = best;
    for (index++; index < matches.length; index++) {
      const next = matches[index];
      if (next === undefined || next.start >= end) break;
      end = Math.max(end, next.end);
      if (next.length > best.length || (next.length === best.length && next.at < best.at)) best = next;
    }
    parts.push(text.subarray(released, start), Buffer.from(`[redacted:${best.name}]`));
    released = end;
  }
  return Buffer.concat([...parts, text.subarray(released)]);
}

function redactInChunks(redactor: Redactor, text: Buffer, cuts: readonly number[]): Buffer {
  const stream = redactor.stream();
  const borders = [0, ...cuts.map((cut) => cut % (text.length + 1)).toSorted((a, b) => a - b), text.length];
  const parts = borders.slice(1).map((end, index) => stream.push(text.subarray(borders[index], end)));
  return Buffer.concat([...parts, stream.end()]);
}

const encodings: ((value: Buffer, prefix: Buffer) => Buffer)[] = [
  (value) => value,
  (value, prefix) => Buffer.from(Buffer.concat([prefix, value, prefix]).toString('base64')),
  (value, prefix) => Buffer.from(Buffer.concat([prefix, value]).toString('base64url')),
  (value) => Buffer.from(value.toString('hex')),
  (value) => Buffer.from(value.toString('hex').toUpperCase()),
  (value) => Buffer.from(encodeURIComponent(value.toString('utf8'))),
  (value) => Buffer.from(JSON.stringify(value.toString('utf8'))),
  (value) => Buffer.from(JSON.stringify(JSON.stringify(value.toString('utf8')))),
  (value) => value.subarray(0, Math.ceil(value.length * 0.7)),
  (value) => value.subarray(Math.floor(value.length * 0.3)),
];

const valueBytes = fc.oneof(
  fc.uint8Array({ minLength: 0, maxLength: 40 }),
  fc.string({ minLength: 4, maxLength: 30, unit: 'grapheme' }).map((text) => Buffer.from(text)),
  // Few letters: shared prefixes, periods, values inside values.
  fc
    .string({ minLength: 4, maxLength: 24, unit: fc.constantFrom('a', 'b', 'A', ' ') })
    .map((text) => Buffer.from(text)),
  fc
    .string({ minLength: 20, maxLength: 60, unit: fc.constantFrom('k', '3', '/', '\n', '"') })
    .map((text) => Buffer.from(text)),
  fc
    .dictionary(fc.string({ maxLength: 3 }), fc.oneof(fc.string({ maxLength: 12 }), fc.integer()))
    .map((document) => Buffer.from(JSON.stringify(document))),
);

const scenario = fc.array(valueBytes, { minLength: 1, maxLength: 6 }).chain((raw) => {
  const values = raw.map((value, index) => ({ name: `N${index}`, value: Buffer.from(value) }));
  const planted = fc
    .record({
      value: fc.constantFrom(...values.map(({ value }) => value)),
      encode: fc.constantFrom(...encodings),
      prefix: fc.uint8Array({ maxLength: 4 }),
    })
    .map(({ value, encode, prefix }) => encode(value, Buffer.from(prefix)));
  const filler = fc.oneof(
    fc.uint8Array({ maxLength: 8 }).map((bytes) => Buffer.from(bytes)),
    fc.constantFrom('', ' ', '\n', 'a', 'ab', ' aaaa', 'QQ', '=', 'ä', '"').map((text) => Buffer.from(text)),
  );
  return fc.record({
    values: fc.constant(values),
    text: fc.array(fc.oneof(planted, filler), { maxLength: 12 }).map((parts) => Buffer.concat(parts)),
  });
});

describe('against the specification written naively', () => {
  it('masks exactly the merged occurrences, however the text is cut', () => {
    fc.assert(
      fc.property(scenario, fc.array(fc.nat(), { maxLength: 12 }), ({ values, text }, cuts) => {
        const redactor = createRedactor(values);
        const expected = redactSlowly(values, text).toString('latin1');
        expect(redactInChunks(redactor, text, []).toString('latin1')).toBe(expected);
        expect(redactInChunks(redactor, text, cuts).toString('latin1')).toBe(expected);
      }),
      { numRuns: 200 },
    );
  });

  it('gives the same for single bytes', () => {
    fc.assert(
      fc.property(scenario, ({ values, text }) => {
        const everywhere = Array.from(text.keys());
        expect(redactInChunks(createRedactor(values), text, everywhere).equals(redactSlowly(values, text))).toBe(true);
      }),
      { numRuns: 80 },
    );
  });

  it('agrees over buffers that grow and are compacted', () => {
    const values = ['a'.repeat(60), `${'a'.repeat(40)}b`, 'aaaaaaaab', 'abab', 'x'.repeat(3000)].map(
      (value, index) => ({
        name: `N${index}`,
        value: Buffer.from(value),
      }),
    );
    const text = Buffer.from(
      [
        'a'.repeat(500),
        'x'.repeat(9000),
        ' abab ',
        'x'.repeat(2999),
        'y',
        'ab'.repeat(300),
        'plain text '.repeat(800),
        'x'.repeat(2500),
      ].join(''),
    );
    const redactor = createRedactor(values);
    const expected = redactSlowly(values, text).toString();
    for (const size of [1, 7, 64, 1000, 4096, 5000]) {
      const cuts = Array.from({ length: Math.floor(text.length / size) }, (_, index) => (index + 1) * size);
      expect(redactInChunks(redactor, text, cuts).toString()).toBe(expected);
    }
  });
});
