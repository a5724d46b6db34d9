import { expect, it } from 'vitest';
import { createRevisionCache } from './revision-cache.ts';

const entry = (revision: number, name: string) => ({ revision, name });

it('keeps a value while its revision stands', async () => {
  const cache = createRevisionCache<{ revision: number; name: string }>(10);
  let loads = 0;
  const load = (revision: number) => async () => entry(revision, `load ${(loads += 1)}`);
  expect((await cache.get('a', 1, load(1)))?.name).toBe('load 1');
  expect((await cache.get('a', 1, load(1)))?.name).toBe('load 1');
  expect((await cache.get('a', 2, load(2)))?.name).toBe('load 2');
  expect((await cache.get('a', 1, load(1)))?.name).toBe('load 3');
});

it('shares a load that began at the same revision, never an earlier one', async () => {
  const cache = createRevisionCache<{ revision: number; name: string }>(10);
  const { promise, resolve } = Promise.withResolvers<{ revision: number; name: string }>();
  const old = cache.get('a', 1, () => promise);
  const alsoOld = cache.get('a', 1, async () => entry(1, 'second load'));
  const fresh = await cache.get('a', 2, async () => entry(2, 'fresh'));
  resolve(entry(1, 'old'));
  expect(await old).toBe(await alsoOld);
  expect(fresh?.name).toBe('fresh');
  // The late, old value is of revision 1 and answers nobody who asks at 2.
  expect((await cache.get('a', 2, async () => entry(2, 'reloaded')))?.revision).toBe(2);
});

it('drops the least recently used, and keeps neither failures nor absences', async () => {
  const cache = createRevisionCache<{ revision: number; name: string }>(2);
  const put = (key: string) => cache.get(key, 1, async () => entry(1, key));
  await put('a');
  await put('b');
  await put('a');
  await put('c');
  const reload = async () => entry(1, 'reloaded');
  expect((await cache.get('a', 1, reload))?.name).toBe('a');
  expect((await cache.get('b', 1, reload))?.name).toBe('reloaded');
  await expect(cache.get('d', 1, () => Promise.reject(new TypeError('no')))).rejects.toThrow('no');
  expect(await cache.get('d', 1, async () => null)).toBeNull();
  expect((await cache.get('d', 1, reload))?.name).toBe('reloaded');
});
