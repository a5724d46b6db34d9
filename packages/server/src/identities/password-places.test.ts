import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { PasswordPlaces } from './password-places.ts';

describe('the work with passwords', () => {
  const throttled = expect.objectContaining({ code: 'throttled', retryAfterSeconds: 2 });

  it('has so many places for strangers, and others for those who are known there', () => {
    const places = new PasswordPlaces({ places: 2 });
    const [first] = [places.take('stranger'), places.take('stranger')];
    expect(() => places.take('stranger')).toThrow(throttled);
    places.take('familiar');
    places.take('familiar');
    expect(() => places.take('familiar')).toThrow(throttled);
    first?.leave();
    first?.leave();
    places.take('stranger');
    expect(() => places.take('stranger')).toThrow(throttled);
  });

  it('is done by so many at once, of those who are known there first, and goes on after failures', async () => {
    const places = new PasswordPlaces({ atOnce: 2 });
    const begun: string[] = [];
    const ends = new Map<string, PromiseWithResolvers<void>>();
    const work = (guest: 'stranger' | 'familiar', name: string): Promise<void> =>
      places.take(guest).work(() => {
        begun.push(name);
        const end = Promise.withResolvers<void>();
        ends.set(name, end);
        return end.promise;
      });
    const all = Promise.allSettled([
      ...['a', 'b', 'c', 'd'].map((name) => work('stranger', name)),
      work('familiar', 'known'),
    ]);
    const afterwards = async (): Promise<string> => {
      await setImmediate();
      return begun.join(' ');
    };
    expect(await afterwards()).toBe('a b');
    ends.get('b')?.reject(new Error('b'));
    expect(await afterwards()).toBe('a b known');
    ends.get('known')?.resolve();
    expect(await afterwards()).toBe('a b known c');
    ends.get('a')?.resolve();
    expect(await afterwards()).toBe('a b known c d');
    for (const { resolve } of ends.values()) resolve();
    expect((await all).filter(({ status }) => status === 'rejected')).toHaveLength(1);
  });
});
