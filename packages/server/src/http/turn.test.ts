import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Turn } from './turn.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setImmediate'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('a turn of the event loop', () => {
  it('is done at its end, in order; what comes meanwhile belongs to the next', () => {
    const done: string[] = [];
    const turn = new Turn<string>((item) => {
      done.push(item);
      if (item === 'a') turn.add('c');
    });
    turn.add('a');
    turn.add('b');
    expect(done).toEqual([]);
    vi.advanceTimersToNextTimer();
    expect(done).toEqual(['a', 'b']);
    vi.advanceTimersToNextTimer();
    expect(done).toEqual(['a', 'b', 'c']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('goes on after one that throws', () => {
    const done: string[] = [];
    const turn = new Turn<string>((item) => {
      if (item === 'b') throw new TypeError('b is wrong');
      done.push(item);
    });
    for (const item of ['a', 'b', 'c', 'd']) turn.add(item);
    expect(() => vi.advanceTimersToNextTimer()).toThrow('b is wrong');
    vi.advanceTimersToNextTimer();
    expect(done).toEqual(['a', 'c', 'd']);
  });
});
