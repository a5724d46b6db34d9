import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseKubernetesTags, splitKubernetesTags } from './kubernetes-tags.ts';

describe('tags', () => {
  it('are labels, split at the first colon', () => {
    expect([...parseKubernetesTags(['team:data', 'example.com/cost-center:42', 'empty:'])]).toEqual([
      ['team', 'data'],
      ['example.com/cost-center', '42'],
      ['empty', ''],
    ]);
  });

  it.each([
    ['team', 'no colon'],
    [':data', 'a key that can not be'],
    ['team:a:b', 'a value that can not be'],
    ['team: data', 'a value that can not be'],
    ['te am:data', 'a key that can not be'],
    ['-team:data', 'a key that can not be'],
    ['a/b/c:data', 'a key that can not be'],
    ['Example.com/a:b', 'whose prefix is not'],
    ['/a:b', 'whose prefix is not'],
    [`${'k'.repeat(64)}:v`, 'a key that can not be'],
    [`k:${'v'.repeat(64)}`, 'a value that can not be'],
    ['team:grün', 'a value that can not be'],
    ['team:a\nb', 'a value that can not be'],
    ['app:other', 'a label of the store itself'],
    ['managed-by:other', 'a label of the store itself'],
    ['good:1', 'that another tag has'],
  ])('refuse %j by name', (tag, why) => {
    expect(() => parseKubernetesTags(['good:0', tag])).toThrow(
      expect.objectContaining({ code: 'validation_failed', message: expect.stringContaining(JSON.stringify(tag)) }),
    );
    expect(() => parseKubernetesTags(['good:0', tag])).toThrow(why);
  });

  it('are all named when several are wrong', () => {
    expect(() => parseKubernetesTags(['app:x', 'ok:1', 'b'])).toThrow(/"app:x".*; the tag "b"/);
  });

  it('are never our own labels, nor what Kubernetes refuses', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'B', '-', '_', '.', '/', ':', 'app', ' '), maxLength: 8 });
    fc.assert(
      fc.property(text, (tag) => {
        let labels: ReadonlyMap<string, string>;
        try {
          labels = parseKubernetesTags([tag]);
        } catch (error) {
          expect(error).toMatchObject({ code: 'validation_failed' });
          return;
        }
        const [[key, value] = ['', '']] = [...labels];
        expect(`${key}:${value}`).toBe(tag);
        expect(['app', 'managed-by']).not.toContain(key);
        expect(value).toMatch(/^(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?)?$/);
      }),
      { numRuns: 1000 },
    );
  });

  it('come out of OpenMetadata’s text', () => {
    expect(splitKubernetesTags('[team:data, env:prod ,]')).toEqual(['team:data', 'env:prod']);
    expect(splitKubernetesTags('team:data')).toEqual(['team:data']);
    expect(splitKubernetesTags('[]')).toEqual([]);
    expect(splitKubernetesTags('')).toEqual([]);
  });
});
