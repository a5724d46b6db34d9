import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseYaml } from './yaml.ts';

const read = (text: string) => parseYaml(text, 'file.yaml');

describe('manifests as YAML', () => {
  it('are read as JSON could say them', async () => {
    expect(await read('a: 1\nb: [yes, 0x10, 1.5, ~, "no", 2026-01-31]\n---\n---\n"c": {d: "text\\n"}\n')).toEqual([
      { a: 1, b: ['yes', 16, 1.5, null, 'no', '2026-01-31'] },
      { c: { d: 'text\n' } },
    ]);
    expect(await read('a: &x {b: 1}\nc: *x\n')).toEqual([{ a: { b: 1 }, c: { b: 1 } }]);
    expect(await read('')).toEqual([]);
  });

  /** Integers beyond 2⁵³ are refused, though some of them are doubles. */
  const isExact = (text: string): boolean => !/\d{16}/.test(text);

  it('hold whatever JSON holds', async () => {
    await fc.assert(
      fc.asyncProperty(fc.json({ maxDepth: 2 }).filter(isExact), async (text) => {
        const value: unknown = JSON.parse(text);
        expect(await read(`- ${text}`)).toEqual([[value]]);
      }),
      { numRuns: 25 },
    );
  });

  it('keep names that JavaScript has a meaning for', async () => {
    const [value] = await read('__proto__: {a: 1}\nconstructor: 2\n');
    expect(Object.keys(Object(value) as object)).toEqual(['__proto__', 'constructor']);
    expect(({} as { a?: number }).a).toBeUndefined();
  });

  it.each([
    ['a name that is there twice', 'a: 1\nb: 2\na: 3\n', 'file.yaml:3:1 is there a second time'],
    ['a name twice in quotes', '{"a": 1, a: 2}', 'file.yaml:1:10 is there a second time'],
    ['an unknown tag', 'a: !thing x\n', 'file.yaml:1:4 is not YAML (tag resolve failed)'],
    ['bytes', 'a: !!binary aGk=\n', 'is of a type that JSON has not'],
    ['an alias of nothing', 'a: *b\n', 'is an alias of nothing'],
    ['a name that is a list', '? [a]\n: 1\n', 'is a name that is not text'],
    ['a name that is a number', '1: a\n', 'is a name that is not text'],
    ['a name that is nothing', ': a\n', 'is a name that is not text'],
    ['a number that a double has not', 'a: 9007199254740993\n', 'file.yaml:1:4 is a number that would be altered'],
    ['infinity', 'a: .inf\n', 'is no number that JSON has'],
    ['no number', 'a: .nan\n', 'is no number that JSON has'],
    ['another version of YAML', '%YAML 1.1\n---\na: yes\n', 'is not YAML 1.2'],
    ['half a list', 'a: [1, 2\n', 'is not YAML'],
    ['a tab for a blank', 'a:\n\t- b\n', 'is not YAML'],
  ])('are refused with %s', async (_what, text, message) => {
    await expect(read(text)).rejects.toThrow(message);
  });

  it('are refused in time when they are bombs', async () => {
    const laughs = ['a0: &a0 [x, x, x, x, x, x, x, x, x]'];
    for (let depth = 1; depth < 30; depth += 1)
      laughs.push(
        `a${depth}: &a${depth} [${Array(9)
          .fill(`*a${depth - 1}`)
          .join(', ')}]`,
      );
    await expect(read(laughs.join('\n'))).rejects.toThrow('more than a manifest has');
    await expect(read('a: &a [*a]\n')).rejects.toThrow('nested too deeply');
    await expect(read(`${'['.repeat(70)}${']'.repeat(70)}`)).rejects.toThrow('nested too deeply');
    await expect(read('['.repeat(2000))).rejects.toThrow('is not YAML');
    await expect(read('['.repeat(200_000))).rejects.toThrow('more than 50000 brackets');
    await expect(read('a: 1\n'.repeat(200_000))).rejects.toThrow('more than 50000 lines');
  });

  it('say where, and never what', async () => {
    const error = await read('password: "canary-in-a-manifest\n').then(
      () => undefined,
      (caught: unknown) => caught,
    );
    expect(String(error)).toMatch(/file\.yaml:\d+:\d+/);
    expect(JSON.stringify(error) + String(error)).not.toContain('canary-in-a-manifest');
  });
});
