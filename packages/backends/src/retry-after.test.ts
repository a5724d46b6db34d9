import { expect, it } from 'vitest';
import { retryAfterSeconds } from './retry-after.ts';

const own = 'Wed, 21 Oct 2026 07:28:00 GMT';

it.each<readonly [string, string | undefined, number | undefined]>([
  ['7', undefined, 7],
  ['0', undefined, 0],
  ['86400', undefined, 3600],
  ['9'.repeat(400), undefined, 3600],
  ['Wed, 21 Oct 2026 07:28:09 GMT', own, 9],
  ['Wednesday, 21-Oct-26 07:28:09 GMT', own, 9],
  ['Wed, 21 Oct 2026 07:27:00 GMT', own, 0],
  ['Wed, 21 Oct 2099 07:28:00 GMT', undefined, 3600],
  ['Wed, 21 Oct 2015 07:28:00 GMT', 'no date', 0],
  ['Wed, 99 Oct 2026 07:28:00 GMT', own, undefined],
  ['Wed Oct 21 07:28:09 2026', own, undefined],
  ['2026-10-21T07:28:09Z', own, undefined],
  ['-1', own, undefined],
  ['3.5', own, undefined],
  ['', own, undefined],
  ['soon', own, undefined],
])('a pause of %s, where it is %s, is %s seconds', (text, date, seconds) => {
  const headers: Readonly<Record<string, string | undefined>> = { 'retry-after': text, date };
  expect(retryAfterSeconds((name) => headers[name])).toBe(seconds);
});

it('is none where nothing is said', () => {
  expect(retryAfterSeconds(() => undefined)).toBeUndefined();
});
