import { describe, expect, test } from 'vitest';
import { Slots } from './slots.ts';

const { signal } = new AbortController();

describe('slots', () => {
  test('go to those who wait, in order', async () => {
    const slots = new Slots(1);
    const begun: number[] = [];
    await Promise.all([1, 2, 3].map((number) => slots.run(async () => begun.push(number), signal)));
    expect(begun).toEqual([1, 2, 3]);
  });

  test('are given back by work that fails, also before it is a promise', async () => {
    const slots = new Slots(1);
    const failed = slots.run(() => Promise.reject(new TypeError('late')), signal);
    const thrown = slots.run(() => {
      throw new TypeError('at once');
    }, signal);
    await expect(failed).rejects.toThrow('late');
    await expect(thrown).rejects.toThrow('at once');
    expect(await slots.run(async () => 'free', signal)).toBe('free');
  });

  test('pass over however many gave up while they waited', async () => {
    const slots = new Slots(1);
    const { promise, resolve } = Promise.withResolvers<string>();
    const first = slots.run(() => promise, signal);
    const callers = Array.from({ length: 12_000 }, () => new AbortController());
    let begun = 0;
    const waiting = callers.map((caller) => slots.run(async () => (begun += 1), caller.signal));
    const last = slots.run(async () => 'last', signal);
    for (const caller of callers) caller.abort();
    const outcomes = await Promise.allSettled([...waiting, slots.run(async () => (begun += 1), AbortSignal.abort())]);
    expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true);
    resolve('first');
    expect([await first, await last, begun]).toEqual(['first', 'last', 0]);
  });
});
