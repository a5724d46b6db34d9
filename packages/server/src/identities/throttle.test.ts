import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { attemptKey, bucketsOf, judgeAttempt } from './throttle.ts';

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const key = attemptKey('admin', '192.0.2.1');
const buckets = bucketsOf(key);
const now = 1_800_000_000_000;

function wait(rows: readonly { bucket: string; window_start: number; failures: number }[], at = now): number {
  return judgeAttempt(rows, key, at).waitMilliseconds;
}

describe('the wait of an account from one network', () => {
  const pair = (failures: number, window_start = now) => [{ bucket: buckets.pair, failures, window_start }];

  it('is nothing for the first five', () => {
    expect(wait([])).toBe(0);
    expect(wait(pair(4))).toBe(0);
  });

  it('doubles from two seconds to a quarter of an hour', () => {
    expect(wait(pair(5))).toBe(2 * second);
    expect(wait(pair(6))).toBe(4 * second);
    expect(wait(pair(10))).toBe(64 * second);
    expect(wait(pair(14))).toBe(15 * minute);
    expect(wait(pair(1_000_000))).toBe(15 * minute);
  });

  it('passes, and is forgotten after a day', () => {
    expect(wait(pair(5), now + 2 * second)).toBe(0);
    expect(wait(pair(1000), now + 15 * minute)).toBe(0);
    expect(wait(pair(1000, now - 24 * hour))).toBe(0);
  });

  it('is nothing for a failure of the future: a clock that was wrong and is set back locks nobody out', () => {
    expect(wait(pair(1000, now + hour))).toBe(0);
    expect(wait(pair(1000, now + 365 * 24 * hour))).toBe(0);
  });

  it('never gets shorter with more failures', () => {
    fc.assert(
      fc.property(fc.nat(100), fc.nat(100), (a, b) => {
        expect(wait(pair(Math.max(a, b)))).toBeGreaterThanOrEqual(wait(pair(Math.min(a, b))));
      }),
    );
  });
});

describe('failures elsewhere', () => {
  const elsewhere = [{ bucket: buckets.account, failures: 1_000_000, window_start: now }];
  const sameNetwork = [{ bucket: buckets.network, failures: 1_000_000, window_start: now }];

  it('slow an account down by half a minute, not more', () => {
    expect(wait(elsewhere)).toBe(30 * second);
  });

  it('slow a network down by a minute, not more', () => {
    expect(wait(sameNetwork)).toBe(minute);
  });

  it('do not matter where the account signed in lately', () => {
    const familiar = { bucket: buckets.familiar, failures: 0, window_start: now - 29 * 24 * hour };
    expect(wait([...elsewhere, ...sameNetwork, familiar])).toBe(0);
    expect(judgeAttempt([familiar], key, now).counted).toEqual(['pair']);
    const old = { ...familiar, window_start: now - 31 * 24 * hour };
    expect(wait([...elsewhere, old])).toBe(30 * second);
  });
});
