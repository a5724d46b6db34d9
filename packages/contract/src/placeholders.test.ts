import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseText, placeholderKeys } from './placeholders.ts';

const fill = (text: string, values: Readonly<Record<string, string>>, withVariables = false): string =>
  parseText(text, withVariables)
    .parts.map((part) => {
      if (part.kind === 'literal') return part.text;
      return values[part.kind === 'placeholder' ? part.key : part.name] ?? '?';
    })
    .join('');

describe('placeholders', () => {
  it.each([
    ['${secrets.a}', 'A'],
    ['x${secrets.a}y${secrets.b}z', 'xAyBz'],
    ['${secrets.a}${secrets.a}', 'AA'],
    ['$${secrets.a}', '${secrets.a}'],
    ['$$${secrets.a}', '$${secrets.a}'],
    ['${HOME} $HOME $ $$ ${', '${HOME} $HOME $ $$ ${'],
    ['$${HOME}', '$${HOME}'],
  ])('%s', (text, expected) => {
    expect(fill(text, { a: 'A', b: 'B' })).toBe(expected);
  });

  it('reads variables in templates only, and escapes them there', () => {
    expect(fill('${N} $${N} ${secrets.a} ${not a name} $N', { N: 'n', a: 'A' }, true)).toBe(
      'n ${N} A ${not a name} $N',
    );
  });

  it('is one pass: what a value holds is not read again', () => {
    expect(fill('${secrets.a}', { a: '${secrets.b}', b: 'B' })).toBe('${secrets.b}');
  });

  it.each([
    '${secrets.',
    '${secrets.}',
    '${secrets.a b}',
    `\${secrets.${'a'.repeat(254)}}`,
    '${secrets.ſ}',
    '${secrets..}',
    '${secrets...}',
  ])('calls %s malformed', (text) => {
    expect(parseText(text).malformed).toHaveLength(1);
    expect(placeholderKeys(text)).toEqual([]);
  });

  it('changes no text without one, and is linear', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        fc.pre(!text.includes('${secrets.'));
        expect(fill(text, {})).toBe(text);
      }),
    );
    const started = performance.now();
    parseText('${secrets.'.repeat(100_000), true);
    expect(performance.now() - started).toBeLessThan(60_000);
  });
});
